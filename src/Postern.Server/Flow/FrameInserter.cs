using System.Buffers;

namespace Postern.Server.Flow;

/// <summary>
/// The way to a client when Postern itself has something to say in a relayed session: whole messages are put in between two messages
/// of the upstream, never inside one. Writes follow each other; each ends after a whole head, as the pump's do.
/// </summary>
internal sealed class FrameInserter(Stream client) : Stream
{
    private const int MostWaiting = 256;

    private readonly SemaphoreSlim turn = new(1, 1);
    private readonly Queue<byte[]> waiting = new();
    private Unanswered? expected;
    private byte[] seen = [];       // the end of what has passed since, as a word may come cut in two
    private long remaining;
    private bool inMessage;

    /// <summary>Sends a text message now, or as soon as the message that is passing has ended.</summary>
    public async ValueTask InsertAsync(byte[] text)
    {
        await turn.WaitAsync();
        try
        {
            if (remaining == 0 && !inMessage)
            {
                await client.WriteAsync(Frames.Text(text));
            }
            else if (waiting.Count < MostWaiting)
            {
                waiting.Enqueue(Frames.Text(text));
            }
        }
        catch (Exception e) when (FramePump.IsLoss(e))
        {
            // The pump that reads from the client notices it and ends the session.
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Lets the upstream answer, or does it in its place.</summary>
    public async ValueTask ExpectAsync(Unanswered unanswered, TimeProvider clock, CancellationToken over)
    {
        await turn.WaitAsync(CancellationToken.None);
        (expected, seen) = (unanswered, []);
        turn.Release();
        _ = InsteadAsync(unanswered, clock, over);
    }

    private async Task InsteadAsync(Unanswered unanswered, TimeProvider clock, CancellationToken over)
    {
        await Task.Delay(unanswered.After, clock, over).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!over.IsCancellationRequested && Interlocked.CompareExchange(ref expected, null, unanswered) == unanswered)
        {
            await InsertAsync(unanswered.Instead);
        }
    }

    // The upstream's payloads are not masked, so a word shows in the bytes.
    private void LookForAnswer(ReadOnlySpan<byte> bytes)
    {
        if (expected is not { } unanswered)
        {
            return;
        }
        byte[] looked = [.. seen, .. bytes];
        if (looked.AsSpan().IndexOf(unanswered.Word) >= 0)
        {
            Interlocked.CompareExchange(ref expected, null, unanswered);
        }
        seen = looked[Math.Max(0, looked.Length - unanswered.Word.Length + 1)..];
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await turn.WaitAsync(cancellationToken);
        try
        {
            LookForAnswer(buffer.Span);
            await client.WriteAsync(buffer, cancellationToken);
            Follow(buffer.Span);
            while (remaining == 0 && !inMessage && waiting.TryDequeue(out var frame))
            {
                await client.WriteAsync(frame, cancellationToken);
            }
        }
        finally
        {
            turn.Release();
        }
    }

    private void Follow(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (remaining == 0)
            {
                if (FrameHeader.Read(bytes, out var header) != OperationStatus.Done)
                {
                    return;
                }
                remaining = header.Length;
                inMessage = header.IsControl ? inMessage : !header.Final;
                bytes = bytes[header.Size..];
            }
            var part = (int)Math.Min(remaining, bytes.Length);
            remaining -= part;
            bytes = bytes[part..];
        }
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => client.ReadAsync(buffer, cancellationToken);
    public override Task FlushAsync(CancellationToken cancellationToken) => client.FlushAsync(cancellationToken);
    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public override void Flush() => client.Flush();
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
}
