using System.Text.Json;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using Postern.Core;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>A JSON body, or the answer that refuses it. No body at all is neither.</summary>
internal readonly record struct RestBody(JsonElement? Json, HttpAnswer? Refusal)
{
    /// <summary>What the routes that write agents take of a caller whose key holds.</summary>
    public const long Large = 1 << 20;

    /// <param name="large">Take up to <see cref="Large"/>: a stranger is not given the memory.</param>
    public static async Task<RestBody> ReadAsync(HttpContext context, bool large)
    {
        if (large && context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = Large;
        }
        byte[] bytes;
        try
        {
            bytes = await RequestBody.ReadAsync(context);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            return new(null, Wire.Error(413, "invalid_request", "payload_too_large", "payload_too_large", "The request body is too large."));
        }
        if (bytes.Length == 0)
        {
            return default;
        }
        return IsJson(context.Request.ContentType)
            ? Parse(bytes)
            : new(null, Wire.Error(415, "invalid_request", "unsupported_media_type", "unsupported_media_type", "Send the body as application/json in UTF-8."));
    }

    /// <summary>The value in <paramref name="bytes"/>, which can be written again, or the answer.</summary>
    public static RestBody Parse(byte[] bytes)
    {
        try
        {
            if (Utf8.IsValid(bytes))
            {
                var json = JsonElement.Parse(bytes, StrictJson.Document);
                // What cannot be written again, such as half of a surrogate pair, cannot be kept.
                _ = JsonText.Value(json.WriteTo);
                return new(json, null);
            }
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            // Refused below: the reader's message may quote the input.
        }
        return new(null, Wire.Invalid([new FieldProblem("json_invalid", ["body"], "JSON decode error: one UTF-8 JSON value without repeated names, comments or more than 64 levels")]));
    }

    // No type at all is what many simple clients send; a wrong one is a request that a page of somebody else's may make.
    private static bool IsJson(string? contentType) => string.IsNullOrEmpty(contentType)
        || (MediaTypeHeaderValue.TryParse(contentType, out var type)
            && (type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase) || type.Suffix.Equals("json", StringComparison.OrdinalIgnoreCase))
            && (!type.Charset.HasValue || type.Charset.Value.Trim('"').Equals("utf-8", StringComparison.OrdinalIgnoreCase)));
}
