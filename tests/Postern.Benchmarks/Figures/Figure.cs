using System.Globalization;

namespace Postern.Benchmarks.Figures;

/// <summary>Something that is measured once a round.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Unit">Empty for a ratio.</param>
/// <param name="AtLeast">The target, where more is better.</param>
/// <param name="AtMost">The target, where less is better.</param>
internal sealed record Figure(string Name, string Unit, double? AtLeast = null, double? AtMost = null)
{
    /// <summary>Whether it is judged; the others are there to be compared with.</summary>
    public bool HasTarget => AtLeast is not null || AtMost is not null;

    /// <summary>The target as text.</summary>
    public string Target => AtLeast is { } least ? $"≥ {Text(least)}{Suffix}" : AtMost is { } most ? $"≤ {Text(most)}{Suffix}" : "";

    /// <summary>Whether a median meets the target.</summary>
    public bool IsMet(double median) => (AtLeast is not { } least || median >= least) && (AtMost is not { } most || median <= most);

    /// <summary>A value with as many digits as mean something.</summary>
    public static string Text(double value) => value.ToString(Math.Abs(value) switch { >= 1000 => "#,0", >= 100 => "0", >= 10 => "0.0", _ => "0.00" }, CultureInfo.InvariantCulture);

    /// <summary>Median and range, with the unit.</summary>
    public string Summary(IReadOnlyList<double> values) =>
        values.Count == 1 ? Text(values[0]) + Suffix : $"{Text(Median(values))} [{Text(values.Min())}–{Text(values.Max())}]{Suffix}";

    public static double Median(IReadOnlyList<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }

    private string Suffix => Unit.Length == 0 ? "" : " " + Unit;
}
