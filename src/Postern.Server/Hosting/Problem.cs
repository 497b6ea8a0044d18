using System.Buffers;
using System.Text.Json;

namespace Postern.Server.Hosting;

/// <summary>A refusal of the server itself, as RFC 9457 has it; the vendors' routes answer in their own way.</summary>
internal static class Problem
{
    /// <summary>Answers with this status and a sentence that names nothing of the inside.</summary>
    public static async Task WriteAsync(HttpContext context, int status, string detail)
    {
        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = "application/problem+json";
        var body = new ArrayBufferWriter<byte>(160);
        using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            json.WriteString("type", "about:blank");
            json.WriteString("title", Microsoft.AspNetCore.WebUtilities.ReasonPhrases.GetReasonPhrase(status));
            json.WriteNumber("status", status);
            json.WriteString("detail", detail);
            json.WriteEndObject();
        }
        response.ContentLength = body.WrittenCount;
        if (HttpMethods.IsHead(context.Request.Method)) return;
        await response.Body.WriteAsync(body.WrittenMemory, CancellationToken.None);
    }
}
