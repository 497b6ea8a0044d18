using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Postern.Tests;

/// <summary>Holds the house together: what docs/decisions say about the shape of the code, said to the build.</summary>
public sealed partial class HouseRulesTests
{
    private static readonly string[] BannedWords =
        ["Manager", "Service", "Helper", "Util", "Utility", "Processor", "Provider", "Base", "Common", "Impl"];

    // Types whose name a framework prescribes. Each entry is a defeat: look for the real word first.
    private static readonly string[] NamedByOthers = [];

    [Fact]
    public void Core_References_AreTheRuntimeAlone()
    {
        var foreign = typeof(Core.Denial).Assembly.GetReferencedAssemblies()
            .Select(name => name.Name!)
            .Where(name => !name.StartsWith("System.", StringComparison.Ordinal) || name.StartsWith("System.Data", StringComparison.Ordinal));

        var project = XDocument.Parse(SourceTree.Read("src/Postern.Core/Postern.Core.csproj"));
        var declared = project.Descendants()
            .Where(element => element.Name.LocalName is "PackageReference" or "ProjectReference" or "FrameworkReference" or "Reference")
            .Select(element => element.ToString());

        SourceTree.AssertNone(foreign.Concat(declared));
    }

    [Fact]
    public void Core_Sources_NameNoVendor() =>
        SourceTree.AssertNone(SourceTree.Find(SourceTree.Sources("src/Postern.Core"), Vendor));

    [Fact]
    public void Dialects_Sources_NameNoLedgerAndNoVerb() =>
        SourceTree.AssertNone(SourceTree.Find(SourceTree.Sources("src/Postern.Server/Dialects"), WhatDialectsMayNotName));

    [Fact]
    public void Refusals_SwitchOverDenialReason_HasNoDefaultArm()
    {
        var withDefault =
            from path in SourceTree.Sources("src")
            let text = SourceTree.Read(path)
            from Match match in SwitchExpression.Matches(text)
            let arms = SourceTree.Between(text, match.Index + match.Length - 1)
            where arms.TrimStart().StartsWith("DenialReason.", StringComparison.Ordinal) && DefaultArm.IsMatch(arms)
            select SourceTree.At(path, text, match.Index, "a switch over DenialReason with a default arm: a new reason must not compile");

        SourceTree.AssertNone(withDefault);
    }

    [Fact]
    public void TypeNames_BannedWords_AreAbsent()
    {
        var banned =
            from path in SourceTree.Files(".cs")
            let text = SourceTree.Read(path)
            from Match match in TypeDeclaration.Matches(text)
            let name = match.Groups["name"].Value
            where !NamedByOthers.Contains(name)
            where Word.Matches(Base64.Replace(name, "")).Any(word => BannedWords.Contains(word.Value) || BannedWords.Contains(word.Value.TrimEnd('s')))
            select SourceTree.At(path, text, match.Index, name);

        SourceTree.AssertNone(banned);
    }

    [Fact]
    public void SourceFiles_Length_IsAtMostFourHundredLines()
    {
        var tooLong =
            from path in SourceTree.Files(".cs", ".mjs", ".js", ".css", ".html", ".sql", ".sh")
            let lines = File.ReadLines(Path.Combine(SourceTree.Root, path)).Count()
            where lines > 400
            select $"{path}: {lines} lines";

        SourceTree.AssertNone(tooLong);
    }

    [Fact]
    public void TextFiles_LineEndings_AreLineFeeds()
    {
        var wrong =
            from path in SourceTree.Files()
            let text = SourceTree.ReadText(path)
            where text is { Length: > 0 }
            let problem = text.Contains('\r') ? "carriage return" : text[0] == '\uFEFF' ? "byte order mark" : text[^1] != '\n' ? "no line feed at the end" : null
            where problem is not null && !IsToolsOrVector(path)
            select $"{path}: {problem}";

        SourceTree.AssertNone(wrong);
    }

    [Fact]
    public void Macs_Comparison_IsNeverByOperator() =>
        SourceTree.AssertNone(SourceTree.Find(SourceTree.Sources("src"), MacByOperator));

    // The writer, the migrations, feedback by an id alone, a project's own API key, and what such a key may list of all users when it names none.
    // Each other one would be a hole in the second wall.
    [Fact]
    [Trait("attack", "F1")]
    public void Sights_BeyondOneUser_AreTheseAlone()
    {
        var wide = SourceTree.Find(SourceTree.Sources("src"), WideSight).CountBy(found => found[..found.IndexOf(':', StringComparison.Ordinal)]);

        Assert.Equal(
            [
                ("src/Postern.Server/Dialects/ElevenLabs/ConversationsRest.cs", 2), ("src/Postern.Server/Flow/HttpSessionEndpoint.cs", 1),
                ("src/Postern.Server/Storage/ConversationListing.cs", 1), ("src/Postern.Server/Storage/ConversationMove.cs", 1), ("src/Postern.Server/Storage/ConversationStore.cs", 5),
                ("src/Postern.Server/Storage/Database.cs", 1), ("src/Postern.Server/Storage/GroupedWriter.cs", 1), ("src/Postern.Server/Storage/MemoryStore.cs", 2),
            ],
            wide.Select(file => (file.Key, file.Value)));
    }

    [Fact]
    public void Json_FromOutside_IsReadWithOptions()
    {
        var withoutOptions =
            from path in SourceTree.Sources("src")
            let text = SourceTree.Read(path)
            from Match match in JsonCall.Matches(text)
            let arguments = SourceTree.Between(text, match.Index + match.Length - 1)
            where !JsonOptions.IsMatch(arguments) && !arguments.StartsWith('"')   // a literal is not from outside
            select SourceTree.At(path, text, match.Index, $"{match.Value}{arguments}): name the options, or duplicates and depth are the framework's choice");

        SourceTree.AssertNone(withoutOptions);
    }

    [Fact]
    [Trait("attack", "H1")]
    public void Packages_AtRuntime_AreThreeAndFourWithTheirClosure()
    {
        var direct = Packages("src/Postern.Server").Where(package => package.Kind == "Direct").Select(package => package.Name);
        var closure = Packages("src/Postern.Server").Select(package => package.Name);

        Assert.Equal(["Microsoft.Data.Sqlite.Core", "Npgsql", "SQLitePCLRaw.provider.e_sqlite3"], direct);
        Assert.True(closure.Count() <= 4, "Closure: " + string.Join(", ", closure));
        Assert.Empty(Packages("src/Postern.Core"));
    }

    [Fact]
    [Trait("attack", "H1")]
    public void Packages_Versions_AreExactAndLocked()
    {
        var loose = XDocument.Parse(SourceTree.Read("Directory.Packages.props")).Descendants("PackageVersion")
            .Where(package => !ExactVersion.IsMatch(package.Attribute("Version")!.Value))
            .Select(package => package.ToString());
        var unlocked = SourceTree.Files(".csproj")
            .Where(path => !File.Exists(Path.Combine(SourceTree.Root, Path.GetDirectoryName(path)!, "packages.lock.json")));

        SourceTree.AssertNone(loose.Concat(unlocked));
    }

    [Fact]
    [Trait("attack", "H6")]
    public void Tree_Secrets_AreAbsent() =>
        SourceTree.AssertNone(SourceTree.Find(SourceTree.Files(), OwnSecret));

    [Fact]
    public void AttackTraits_Rows_Exist()
    {
        var unknown =
            from method in TestMethods()
            from trait in method.GetCustomAttributes<TraitAttribute>().Concat(method.DeclaringType!.GetCustomAttributes<TraitAttribute>())
            where trait.Name == "attack" && !IsAttackRow(trait.Value)
            select $"{method.DeclaringType!.Name}.{method.Name}: {trait.Value}";

        SourceTree.AssertNone(unknown);
    }

    private static IEnumerable<MethodInfo> TestMethods() =>
        typeof(HouseRulesTests).Assembly.GetTypes()
            .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static))
            .Where(method => method.GetCustomAttributes<FactAttribute>().Any());

    // The attack table: A user JWT, B signed URL and its like, C origin and sockets, D HTTP, E availability, F data, G faults, H supply.
    private static bool IsAttackRow(string row) =>
        row.Length is 2 or 3 && int.TryParse(row.AsSpan(1), out var number) && number >= 1 && number <= row[0] switch
        {
            'A' => 22,
            'B' or 'C' => 17,
            'D' or 'E' => 10,
            'F' => 13,
            'G' => 14,
            'H' => 6,
            _ => 0,
        };

    // NuGet writes its lock files without a last line feed; vectors are what others published, byte for byte.
    private static bool IsToolsOrVector(string path) =>
        path.EndsWith("packages.lock.json", StringComparison.Ordinal) || path.StartsWith("tests/vectors/", StringComparison.Ordinal);

    // Analyzers take part in the build only: they are in the lock file and in no output.
    private static IEnumerable<(string Name, string Kind)> Packages(string project)
    {
        using var file = JsonDocument.Parse(SourceTree.Read(project + "/packages.lock.json"));
        return [.. from framework in file.RootElement.GetProperty("dependencies").EnumerateObject()
                   from package in framework.Value.EnumerateObject()
                   let kind = package.Value.GetProperty("type").GetString()
                   where kind != "Project" && !package.Name.EndsWith("Analyzers", StringComparison.Ordinal)
                   select (package.Name, kind)];
    }

    [GeneratedRegex(@"\b\w*Ledger\b|\b(Mint|Admit)Async\b|\b(CredentialMint|ConnectionGate)\b")]
    private static partial Regex WhatDialectsMayNotName { get; }

    [GeneratedRegex("eleven ?labs|xuna|open ?ai|\\bx-?ai\\b|convai|algolia|sk-alg", RegexOptions.IgnoreCase)]
    private static partial Regex Vendor { get; }

    [GeneratedRegex(@"\bSight\.(All|OfProject)\b")]
    private static partial Regex WideSight { get; }

    [GeneratedRegex(@"\bswitch\s*\{")]
    private static partial Regex SwitchExpression { get; }

    [GeneratedRegex(@"(^|,)\s*(_|var _|\{ \})\s*(when[^=]*)?=>", RegexOptions.Multiline)]
    private static partial Regex DefaultArm { get; }

    [GeneratedRegex(@"^[^/""\n]*\b(class|struct|interface|enum|record(\s+struct|\s+class)?)\s+(?<name>[A-Z]\w*)", RegexOptions.Multiline)]
    private static partial Regex TypeDeclaration { get; }

    [GeneratedRegex("[A-Z][a-z]*")]
    private static partial Regex Word { get; }

    [GeneratedRegex("Base[0-9]+")]
    private static partial Regex Base64 { get; }

    [GeneratedRegex(@"\b\w*(mac|signature|digest)\b\s*[!=]=(?!\s*(null|default)\b)|[!=]=\s*\w*(mac|signature|digest)\b(?!\.)", RegexOptions.IgnoreCase)]
    private static partial Regex MacByOperator { get; }

    [GeneratedRegex(@"\bJson(Serializer\.Deserialize\w*(<[^()]*>)?|(Document|Node|Element)\.Parse\w*)\(")]
    private static partial Regex JsonCall { get; }

    [GeneratedRegex(@",[^,]*(Options|options|StrictJson|Json\w*Context|\.Default\.|typeInfo)")]
    private static partial Regex JsonOptions { get; }

    [GeneratedRegex(@"^\[[0-9.]+\]$")]
    private static partial Regex ExactVersion { get; }

    // API keys, then signed credentials, personal access tokens, private keys. Written so that this file does not find itself.
    [GeneratedRegex(@"\bpst_[0-9A-Za-z]{43,}|\b(psu|pct|ek)_[\w-]{16,}\.[\w-]{16,}\.[\w-]{43}\b|\bpat_(?!0{20})[\w-]{65}\b|-----BEGIN [A-Z ]*PRIVATE KEY-{5}")]
    private static partial Regex OwnSecret { get; }
}
