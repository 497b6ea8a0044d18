using Postern.Server.Dialects;
using Postern.Server.Flow;

namespace Postern.Server.Admin;

/// <summary>The description of Postern's own routes (OpenAPI 3.1). The vendors describe theirs.</summary>
internal static class OpenApi
{
    public const string Path = "/openapi.json";

    public static void Map(IEndpointRouteBuilder routes)
    {
        var answer = new HttpAnswer(200, Read());
        routes.MapGet(Path, context => HttpAnswers.WriteAsync(context, answer));
    }

    private static byte[] Read()
    {
        using var stream = typeof(OpenApi).Assembly.GetManifestResourceStream("openapi.json")!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
