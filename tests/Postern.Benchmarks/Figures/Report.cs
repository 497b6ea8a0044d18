using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Postern.Benchmarks.Figures;

/// <summary>What a run has measured, as Markdown.</summary>
internal static class Report
{
    private const string Begin = "<!-- figures: written by the command below -->";
    private const string End = "<!-- end of figures -->";

    public static string Write(Run run, string command, DateTimeOffset now)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{now:yyyy-MM-dd}, {Machine()}, load average {LoadAverage()} at the end, {run.Rounds} rounds: `{command}`").AppendLine();
        text.AppendLine("| Figure | Target | Median [min–max] | Met |").AppendLine("| --- | --- | --- | --- |");
        foreach (var (_, figure, values) in run.Measured.Where(one => one.Figure.HasTarget))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"| {figure.Name} | {figure.Target} | **{figure.Summary(values)}** | {(figure.IsMet(Figure.Median(values)) ? "yes" : "**no**")} |");
        }
        text.AppendLine().AppendLine("Measured beside them, in the same rounds:").AppendLine();
        text.AppendLine("| Benchmark | Figure | Median [min–max] |").AppendLine("| --- | --- | --- |");
        foreach (var (benchmark, figure, values) in run.Measured.Where(one => !one.Figure.HasTarget))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"| {benchmark} | {figure.Name} | {figure.Summary(values)} |");
        }
        text.AppendLine().AppendLine("<details>").AppendLine("<summary>Every round</summary>").AppendLine().AppendLine("```");
        foreach (var (benchmark, figure, values) in run.Measured)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{benchmark}: {figure.Name}{(figure.Unit.Length > 0 ? ", " + figure.Unit : "")}: {string.Join(" ", values.Select(Figure.Text))}");
        }
        return text.AppendLine("```").AppendLine().AppendLine("</details>").ToString();
    }

    /// <summary>Puts the report into a page, between its two marks.</summary>
    public static void WriteInto(string file, string report)
    {
        var page = File.ReadAllText(file);
        var begin = page.IndexOf(Begin, StringComparison.Ordinal);
        var end = page.IndexOf(End, StringComparison.Ordinal);
        if (begin < 0 || end < begin)
        {
            throw new InvalidDataException($"{file} has no place for the figures: it needs the lines '{Begin}' and '{End}'.");
        }
        File.WriteAllText(file, $"{page[..(begin + Begin.Length)]}\n{report.ReplaceLineEndings("\n")}{page[end..]}");
    }

    private static string Machine()
    {
        var system = File.ReadLines("/etc/os-release").FirstOrDefault(line => line.StartsWith("PRETTY_NAME=", StringComparison.Ordinal))?[12..].Trim('"') ?? "Linux";
        var processor = File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? RuntimeInformation.ProcessArchitecture.ToString();
        return $"{Environment.ProcessorCount} shared cores ({processor}), {system}, {RuntimeInformation.FrameworkDescription}";
    }

    private static string LoadAverage() => File.ReadAllText("/proc/loadavg").Split(' ')[0];
}
