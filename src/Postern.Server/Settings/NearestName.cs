namespace Postern.Server.Settings;

/// <summary>What somebody who mistyped a name may have meant.</summary>
internal static class NearestName
{
    /// <summary>" Did you mean X?", or nothing where no known name is near.</summary>
    public static string Suggest(string wrong, IEnumerable<string> known)
    {
        // A setting written without its section.
        if (known.FirstOrDefault(name => name.EndsWith(':' + wrong.TrimStart('-'), StringComparison.OrdinalIgnoreCase)) is { } whole)
        {
            return $" Did you mean {whole}?";
        }
        var (name, distance) = known.Select(name => (name, distance: Distance(wrong, name)))
            .OrderBy(pair => pair.distance).FirstOrDefault((name: "", distance: int.MaxValue));
        return distance <= Math.Max(2, wrong.Length / 3) ? $" Did you mean {name}?" : "";
    }

    private static int Distance(string a, string b)
    {
        var before = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var row = new int[b.Length + 1];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var same = char.ToUpperInvariant(a[i - 1]) == char.ToUpperInvariant(b[j - 1]);
                row[j] = Math.Min(Math.Min(row[j - 1] + 1, before[j] + 1), before[j - 1] + (same ? 0 : 1));
            }
            before = row;
        }
        return before[b.Length];
    }
}
