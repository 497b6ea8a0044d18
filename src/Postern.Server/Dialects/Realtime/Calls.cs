using Postern.Server.Flow;

namespace Postern.Server.Dialects.Realtime;

/// <summary>The routes of a WebRTC call, which say that there is none: a page must be able to read why, and nobody should ask again (contract, sections 7 and 10).</summary>
internal static class Calls
{
    private const string Path = "/v1/realtime/calls";

    private static readonly KeyValuePair<string, string> AnyOrigin = KeyValuePair.Create("Access-Control-Allow-Origin", "*");

    private static readonly HttpAnswer Preflight = new(204, [])
    {
        Headers =
        [
            AnyOrigin,
            KeyValuePair.Create("Access-Control-Allow-Methods", "POST"),
            KeyValuePair.Create("Access-Control-Allow-Headers", "authorization, content-type, x-openai-agents-sdk"),
            KeyValuePair.Create("Access-Control-Max-Age", "600"),
        ],
    };

    // Never 5xx: clients would post it again.
    private static readonly HttpAnswer Unavailable =
        Wire.Error(400, "invalid_request_error", "webrtc_unavailable", "WebRTC is not available here: connect by WebSocket to /v1/realtime with the same client secret.") with
        {
            Headers = [AnyOrigin, KeyValuePair.Create("Access-Control-Expose-Headers", "Location")],
        };

    public static void Map(IEndpointRouteBuilder routes)
    {
        foreach (var path in new[] { Path, Path + "/{id}/{verb}" })
        {
            routes.MapMethods(path, ["POST"], context => HttpAnswers.WriteAsync(context, Unavailable));
            routes.MapMethods(path, ["OPTIONS"], context => HttpAnswers.WriteAsync(context, Preflight));
        }
    }
}
