using System.Buffers;
using Postern.Server.Hosting;

namespace Postern.Server.Flow;

/// <summary>
/// Stands before the platform's WebSocket, which knows neither limits nor what came in pieces: every frame of the client is judged as
/// it comes. The one that breaks a rule and all behind it never pass; the leash ends the session for it. Without a byte to read it
/// holds no buffer. Does not dispose the stream behind it.
/// </summary>
internal sealed class ScannedStream(Stream client, Leash leash, RelayLimits limits, TimeProvider clock) : Stream
{
    private const int Piece = 4096;

    private FrameScanner scanner = new(fromClient: true, limits, clock.TimestampFrequency);
    private byte[] buffer = [];     // [taken][may pass][not judged yet]
    private int taken, passable, end;
    private bool over;

    public override bool CanRead => true;
    public override bool CanWrite => true;
    public override bool CanSeek => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override async ValueTask<int> ReadAsync(Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        if (destination.IsEmpty && passable == taken && end == taken)
        {
            return await ReceiveAsync(destination, cancellationToken);
        }
        while (passable == taken)
        {
            if (over)
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken); // the leash has the word
            }
            MakeRoom();
            var count = await ReceiveAsync(buffer.AsMemory(end), cancellationToken);
            if (count == 0)
            {
                return 0;
            }
            end += count;
            Judge();
        }
        var passed = Math.Min(destination.Length, passable - taken);
        buffer.AsSpan(taken, passed).CopyTo(destination.Span);
        taken += passed;
        if (taken == end)
        {
            Release();
        }
        return passed;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default) =>
        SocketThread.LeaveAfterAsync(client.WriteAsync(source, cancellationToken));

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => SocketThread.LeaveAfterAsync(new ValueTask(client.FlushAsync(cancellationToken))).AsTask();

    public override void Flush() => throw new NotSupportedException();
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();

    // An agent's own code may block, as when it looks into the memory.
    private async ValueTask<int> ReceiveAsync(Memory<byte> destination, CancellationToken cancellationToken)
    {
        try
        {
            return await client.ReadAsync(destination, cancellationToken);
        }
        finally
        {
            await SocketThread.LeaveAsync();
        }
    }

    private void Judge()
    {
        var scan = scanner.Look(buffer.AsSpan(passable, end - passable), clock.GetTimestamp());
        passable += scan.Pass;
        if (scan.Fault is { } fault)
        {
            leash.End(fault.Reason, fault.Detail, fault.CloseCode);
        }
        over = scan.Fault is not null || scan.Close is not null;
    }

    private void MakeRoom()
    {
        if (buffer.Length == 0)
        {
            buffer = ArrayPool<byte>.Shared.Rent(Piece);
        }
        if (taken > 0)
        {
            // What is left is the beginning of a head or of a close: always less than a buffer.
            buffer.AsSpan(taken, end - taken).CopyTo(buffer);
            (passable, end, taken) = (passable - taken, end - taken, 0);
        }
    }

    private void Release()
    {
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = [];
        (taken, passable, end) = (0, 0, 0);
    }
}
