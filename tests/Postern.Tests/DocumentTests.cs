using System.Reflection;
using System.Text.RegularExpressions;

namespace Postern.Tests;

/// <summary>What the documents say is so: their links lead somewhere, and what is promised is shown by a test.</summary>
public sealed partial class DocumentTests
{
    private const string ThreatModel = "docs/threat-model.md";

    [Fact]
    public void Links_InAllDocuments_Resolve()
    {
        var broken =
            from path in SourceTree.Files(".md")
            let text = WithoutCode(SourceTree.Read(path))
            from Match match in Link.Matches(text)
            let target = match.Groups["target"].Value
            where !target.Contains("://", StringComparison.Ordinal) && !target.StartsWith("mailto:", StringComparison.Ordinal)
            where !Resolves(path, target)
            select SourceTree.At(path, text, match.Index, target);

        SourceTree.AssertNone(broken);
    }

    [Fact]
    public void Readme_Length_IsAtMost120Lines() =>
        Assert.InRange(File.ReadLines(Path.Combine(SourceTree.Root, "README.md")).Count(), 1, 120);

    [Fact]
    public void ThreatModel_EveryPromise_NamesTestsThatExist()
    {
        var promises = Promises().ToList();
        Assert.NotEmpty(promises);

        var unproven = promises.Where(promise => !Reference.IsMatch(promise)).Select(promise => "names no test: " + promise);
        var dangling =
            from promise in promises
            from Match match in Reference.Matches(promise)
            where !Exists(match)
            select $"no such test: {match.Value}";

        SourceTree.AssertNone(unproven.Concat(dangling));
    }

    /// <summary>The rows of the table under "Promises", without its head.</summary>
    private static IEnumerable<string> Promises() =>
        SourceTree.Read(ThreatModel).Split('\n')
            .SkipWhile(line => !line.StartsWith("## Promises", StringComparison.Ordinal)).Skip(1)
            .TakeWhile(line => !line.StartsWith("## ", StringComparison.Ordinal))
            .Where(line => line.StartsWith('|')).Skip(2);

    private static bool Exists(Match reference) =>
        reference.Groups["file"] is { Success: true } file
            ? File.Exists(Path.Combine(SourceTree.Root, "tests/e2e", file.Value))
                && SourceTree.Read("tests/e2e/" + file.Value).Contains(reference.Groups["title"].Value, StringComparison.Ordinal)
            : typeof(DocumentTests).Assembly.GetTypes()
                .Where(type => type.Name == reference.Groups["class"].Value)
                .SelectMany(type => type.GetMethods())
                .Any(method => method.Name == reference.Groups["test"].Value && method.GetCustomAttributes<FactAttribute>().Any());

    private static bool Resolves(string from, string target)
    {
        var (file, anchor) = target.IndexOf('#') is var at and >= 0 ? (target[..at], target[(at + 1)..]) : (target, "");
        var path = file.Length == 0 ? from : Path.GetRelativePath(SourceTree.Root, Path.Combine(SourceTree.Root, Path.GetDirectoryName(from)!, file));
        var full = Path.Combine(SourceTree.Root, path);
        return (File.Exists(full) || Directory.Exists(full))
            && (anchor.Length == 0 || Headings(SourceTree.Read(path)).Contains(anchor));
    }

    // As GitHub makes them: lower case, spaces to hyphens, all else but letters, digits, hyphens and underscores dropped.
    private static IEnumerable<string> Headings(string markdown) =>
        from Match match in Heading.Matches(WithoutCode(markdown))
        select NotInAnchor.Replace(match.Groups["text"].Value.Trim().ToLowerInvariant(), "").Replace(' ', '-');

    // Blanked, not removed, so that line numbers stay true.
    private static string WithoutCode(string markdown) =>
        Code.Replace(markdown, match => NotLineFeed.Replace(match.Value, " "));

    [GeneratedRegex(@"\]\((?<target>[^()\s]+)(\s+""[^""]*"")?\)")]
    private static partial Regex Link { get; }

    [GeneratedRegex(@"^```.*?^```|`[^`\n]+`", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Code { get; }

    [GeneratedRegex(@"[^\n]")]
    private static partial Regex NotLineFeed { get; }

    [GeneratedRegex(@"^#{1,6} (?<text>.+)$", RegexOptions.Multiline)]
    private static partial Regex Heading { get; }

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex NotInAnchor { get; }

    /// <summary>`SomeTests.Subject_Condition_Result`, or `file.test.mjs: title` for an end-to-end test.</summary>
    [GeneratedRegex(@"`((?<file>[\w.-]+\.test\.mjs): (?<title>[^`]+)|(?<class>\w+)\.(?<test>\w+_\w+))`")]
    private static partial Regex Reference { get; }
}
