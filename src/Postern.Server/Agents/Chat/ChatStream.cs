using System.Buffers;

namespace Postern.Server.Agents.Chat;

/// <summary>
/// The events of one streamed answer (<c>text/event-stream</c>), each as soon as its last byte is there. Disposed before its end it
/// closes the request.
/// </summary>
internal sealed class ChatStream(HttpResponseMessage response, Stream stream) : IDisposable
{
    /// <summary>The longest line that is taken.</summary>
    public const int LongestLine = 256 * 1024;

    private const int FirstBuffer = 4096;

    private byte[] buffer = ArrayPool<byte>.Shared.Rent(FirstBuffer);
    private int start, end, seen;
    private bool finished;

    /// <summary>The next chunk; null when the answer is over.</summary>
    /// <exception cref="ChatException">It was cut off, or is no answer.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="ct"/> was cancelled.</exception>
    public async ValueTask<ChatChunk?> ReadAsync(CancellationToken ct)
    {
        while (await LineAsync(ct) is { } line)
        {
            // Comments, blank lines and the names of events say nothing here.
            if (!line.Span.StartsWith("data:"u8))
            {
                continue;
            }
            var data = line[(line.Span.StartsWith("data: "u8) ? 6 : 5)..];
            if (data.Span.SequenceEqual("[DONE]"u8))
            {
                return null;
            }
            var chunk = ChatChunk.Read(data);
            finished |= chunk.Finish is not null;
            return chunk;
        }
        return finished ? null : throw new ChatException(AgentFailure.Unreachable, "The endpoint's answer ended before it was finished.");
    }

    public void Dispose()
    {
        response.Dispose();
        ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
        buffer = [];
    }

    // Without its end, which is a line feed; valid until the next call. A last line without one was cut off, and is none.
    private async ValueTask<ReadOnlyMemory<byte>?> LineAsync(CancellationToken ct)
    {
        while (true)
        {
            var length = buffer.AsSpan(seen, end - seen).IndexOf((byte)'\n');
            if (length >= 0)
            {
                var line = buffer.AsMemory(start, seen + length - start);
                start = seen = seen + length + 1;
                return line.Span.EndsWith("\r"u8) ? line[..^1] : line;
            }
            seen = end;
            if (!await FillAsync(ct))
            {
                return null;
            }
        }
    }

    private async ValueTask<bool> FillAsync(CancellationToken ct)
    {
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (end, seen, start) = (end - start, seen - start, 0);
        }
        if (end > LongestLine)
        {
            throw new ChatException(AgentFailure.Broken, $"A line of the endpoint's answer is longer than {LongestLine} bytes.");
        }
        if (end == buffer.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(2 * buffer.Length);
            buffer.AsSpan(0, end).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
            buffer = larger;
        }
        try
        {
            var count = await stream.ReadAsync(buffer.AsMemory(end), ct);
            end += count;
            return count > 0;
        }
        catch (Exception e) when (e is not OperationCanceledException || !ct.IsCancellationRequested)
        {
            throw ChatEndpoints.Translate(e);
        }
    }
}
