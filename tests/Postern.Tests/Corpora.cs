using System.Text.Json;

namespace Postern.Tests;

/// <summary>Public test data of others, kept beside the repository: in POSTERN_CORPORA, or in shared/corpora above it.</summary>
internal static class Corpora
{
    private static readonly string? Root = Find();

    /// <summary>The file's bytes; skips the test where the corpora are not.</summary>
    public static byte[] Read(string path) => File.ReadAllBytes(Path.Combine(Folder(), path));

    /// <summary>A JSON file of the corpora.</summary>
    public static JsonElement Json(string path) => JsonElement.Parse(Read(path));

    /// <summary>The files of a folder of the corpora, as paths from their root.</summary>
    public static IReadOnlyList<string> Files(string folder) =>
        [.. Directory.GetFiles(Path.Combine(Folder(), folder), "*.json", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Folder(), file)).Order(StringComparer.Ordinal)];

    private static string Folder()
    {
        Assert.SkipWhen(Root is null, "The public vectors are absent: set POSTERN_CORPORA to the folder that holds wycheproof, jsontestsuite and jose-cookbook.");
        return Root!;
    }

    private static string? Find()
    {
        if (Environment.GetEnvironmentVariable("POSTERN_CORPORA") is { Length: > 0 } named)
        {
            return named;
        }
        for (var folder = new DirectoryInfo(SourceTree.Root); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "shared", "corpora");
            if (Directory.Exists(candidate))
            {
                return candidate;
            }
        }
        return null;
    }
}
