using System.Buffers;

namespace Postern.Server.Flow;

/// <summary>Reads a request's body whole; Kestrel's limits bound it.</summary>
internal static class RequestBody
{
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
            if (read.IsCompleted)
            {
                var body = read.Buffer.ToArray();
                reader.AdvanceTo(read.Buffer.End);
                return body;
            }
            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }
}
