namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>
/// CORS for the few calls that pages make without a key (contract, sections 2 and 12): any origin, never with credentials. Every other
/// route answers without these headers, so that a key pasted into a page does not work.
/// </summary>
internal static class OpenToPages
{
    private static readonly KeyValuePair<string, string> AnyOrigin = KeyValuePair.Create("Access-Control-Allow-Origin", "*");

    /// <summary>The answer, readable by any page.</summary>
    public static HttpAnswer Allow(HttpAnswer answer) => answer with { Headers = [.. answer.Headers, AnyOrigin] };

    /// <summary>The answer to the browser's question before the call. A key is not among the headers that may be sent.</summary>
    public static HttpAnswer Preflight(string method) => new(204, [])
    {
        Headers =
        [
            AnyOrigin,
            KeyValuePair.Create("Access-Control-Allow-Methods", method),
            KeyValuePair.Create("Access-Control-Allow-Headers", "content-type"),
            KeyValuePair.Create("Access-Control-Max-Age", "600"),
        ],
    };
}
