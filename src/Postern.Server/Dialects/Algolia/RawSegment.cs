using System.Text;
using Microsoft.AspNetCore.Http.Features;

namespace Postern.Server.Dialects.Algolia;

/// <summary>
/// The last segment of a path as its client meant it. The server's own path keeps <c>%2F</c> as text and makes the same text of
/// <c>%252F</c>: two users' ids would be one. So it is taken from the request line and decoded once.
/// </summary>
internal static class RawSegment
{
    /// <summary>The decoded text; null when it is empty or no UTF-8.</summary>
    public static string? Last(HttpContext context)
    {
        var target = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
        var path = target.IndexOf('?', StringComparison.Ordinal) is var query and >= 0 ? target[..query] : target;
        return Decode(path[(path.LastIndexOf('/') + 1)..]);
    }

    private static string? Decode(string segment)
    {
        var bytes = new byte[segment.Length];
        var length = 0;
        for (var i = 0; i < segment.Length; i++)
        {
            if (segment[i] != '%')
            {
                bytes[length++] = (byte)segment[i]; // the server takes no other than ASCII in a request line
                continue;
            }
            if (i + 2 >= segment.Length || !char.IsAsciiHexDigit(segment[i + 1]) || !char.IsAsciiHexDigit(segment[i + 2]))
            {
                return null;
            }
            bytes[length++] = Convert.FromHexString(segment.AsSpan(i + 1, 2))[0];
            i += 2;
        }
        return length > 0 && System.Text.Unicode.Utf8.IsValid(bytes.AsSpan(0, length)) ? Encoding.UTF8.GetString(bytes, 0, length) : null;
    }
}
