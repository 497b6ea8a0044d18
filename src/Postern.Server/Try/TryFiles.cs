using System.Collections.Frozen;

namespace Postern.Server.Try;

/// <summary>The files of the page, embedded in the program. They hold no secret and nothing of this installation.</summary>
internal static class TryFiles
{
    private const string Folder = "try/";

    private static readonly FrozenDictionary<string, (string Type, byte[] Content)> Files = typeof(TryFiles).Assembly.GetManifestResourceNames()
        .Where(name => name.StartsWith(Folder, StringComparison.Ordinal))
        .ToFrozenDictionary(name => name[Folder.Length..], name => (TypeOf(name), Read(name)), StringComparer.Ordinal);

    /// <summary>The page itself.</summary>
    public const string Page = "index.html";

    /// <summary>The names of all files.</summary>
    public static IEnumerable<string> Names => Files.Keys;

    /// <summary>Answers with a file.</summary>
    public static Task WriteAsync(HttpContext context, string name)
    {
        var (type, content) = Files[name];
        context.Response.ContentType = type;
        context.Response.ContentLength = content.Length;
        return context.Response.BodyWriter.WriteAsync(content, context.RequestAborted).AsTask();
    }

    private static string TypeOf(string name) => Path.GetExtension(name) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".js" => "text/javascript; charset=utf-8",
        ".svg" => "image/svg+xml",
        _ => throw new InvalidOperationException($"No content type for {name}."),
    };

    private static byte[] Read(string name)
    {
        using var stream = typeof(TryFiles).Assembly.GetManifestResourceStream(name)!;
        using var memory = new MemoryStream();
        stream.CopyTo(memory);
        return memory.ToArray();
    }
}
