using System.Text;

namespace Postern.Tests;

/// <summary>docs/authorisation.md, one section a test: written when POSTERN_WRITE_DOCUMENTS says so, else compared.</summary>
internal static class AuthorisationDocument
{
    private const string Path = "docs/authorisation.md";
    private static readonly Lock Writing = new();

    public static void Check(string heading, string introduction, IReadOnlyList<string> columns, IEnumerable<string> rows)
    {
        var text = new StringBuilder().Append("## ").Append(heading).Append("\n\n").Append(introduction.ReplaceLineEndings("\n")).Append("\n\n| ").AppendJoin(" | ", columns).Append(" |\n|")
            .Append(string.Concat(Enumerable.Repeat("---|", columns.Count))).Append('\n');
        foreach (var row in rows)
        {
            text.Append(row).Append('\n');
        }
        var wanted = text.ToString();
        lock (Writing)
        {
            var sections = SourceTree.Read(Path).Split("\n## ");
            var at = Array.FindIndex(sections, section => section.StartsWith(heading + "\n", StringComparison.Ordinal));
            if (Environment.GetEnvironmentVariable("POSTERN_WRITE_DOCUMENTS") == "1")
            {
                sections[at] = wanted["## ".Length..];
                File.WriteAllText(System.IO.Path.Combine(SourceTree.Root, Path), string.Join("\n## ", sections));
                return;
            }
            Assert.Equal(wanted.TrimEnd('\n'), ("## " + sections[at]).TrimEnd('\n'));
        }
    }
}
