using System.Buffers;
using System.IO.Compression;
using Microsoft.AspNetCore.Http.Features;
using Postern.Server.Hosting;

namespace Postern.Server.Flow;

/// <summary>Reads a request's body whole; Kestrel's limits bound it, what it unpacks to as well.</summary>
internal static class RequestBody
{
    /// <summary>The body, taking more of it than of a stranger's: only for callers who are known.</summary>
    /// <exception cref="BadHttpRequestException">It is larger, or is not packed as it says.</exception>
    public static ValueTask<byte[]> ReadAsync(HttpContext context, long largest)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = largest;
        }
        return ReadAsync(context);
    }

    /// <summary>The body.</summary>
    /// <exception cref="BadHttpRequestException">It is larger than allowed, or is not packed as it says.</exception>
    public static async ValueTask<byte[]> ReadAsync(HttpContext context)
    {
        if (context.Request.ContentLength is 0 || (context.Request.ContentLength is null && !context.Request.Headers.ContainsKey("Transfer-Encoding") && context.Request.Protocol == "HTTP/1.1"))
        {
            return [];
        }
        var reader = context.Request.BodyReader;
        while (true)
        {
            var read = await reader.ReadAsync(context.RequestAborted);
            await SocketThread.LeaveAsync();
            if (read.IsCompleted)
            {
                var body = read.Buffer.ToArray();
                reader.AdvanceTo(read.Buffer.End);
                // Where packed bodies are not read, the guard has refused them.
                return context.Request.Headers.ContentEncoding.Count == 0 ? body : Unpack(body, context.Features.Get<IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize ?? 0);
            }
            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }
    // Stops at the limit: a few bytes may unpack to any number (attack D).
    private static byte[] Unpack(byte[] packed, long largest)
    {
        using var gzip = new GZipStream(new MemoryStream(packed), CompressionMode.Decompress);
        var body = new ArrayBufferWriter<byte>();
        try
        {
            while (gzip.Read(body.GetSpan(4096)) is var length and > 0)
            {
                body.Advance(length);
                if (body.WrittenCount > largest)
                {
                    throw new BadHttpRequestException("The request body is too large when unpacked.", StatusCodes.Status413PayloadTooLarge);
                }
            }
            return body.WrittenSpan.ToArray();
        }
        catch (InvalidDataException)
        {
            throw new BadHttpRequestException("The request body is not gzip.", StatusCodes.Status400BadRequest);
        }
    }
}
