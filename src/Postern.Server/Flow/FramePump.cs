using System.Buffers;
using System.Runtime.CompilerServices;
using Postern.Core.Sessions;
using Postern.Server.Hosting;

namespace Postern.Server.Flow;

/// <summary>Copies one direction of a session, frame by frame unchanged. It alone writes to its destination, until
/// <see cref="TakeAsync"/> hands the destination over; then it goes on reading, so that the other side's close is heard.</summary>
/// <param name="hold">Judges the messages before they pass; null lets every frame pass as it comes.</param>
internal sealed class FramePump(
    RelaySession session, bool fromClient, Stream source, Stream destination, FrameScanner scanner, SessionActivity activity, CancellationToken ct, MessageHold? hold = null)
{
    private const int SmallBuffer = 4 * 1024;
    private const int LargeBuffer = 16 * 1024;
    private const int MostPieces = 64;

    private readonly Traffic traffic = fromClient ? activity.FromClient : activity.FromUpstream;
    private TaskCompletionSource<bool>? wanted;
    private byte[]? held;           // a head or a close frame that came cut in two
    private FrameScanner scanner = scanner;
    private bool busy;
    private bool taken;
    private bool finished;
    private bool deaf;              // broke a rule: heard out, not listened to, so that the answer to it is not lost in a reset

    /// <summary>The close frame that this side sent and that was passed on.</summary>
    public CloseFrame? Close { get; private set; }

    /// <summary>Ends when this side has closed or gone, or nobody needs to hear it any more. Never fails.</summary>
    public Task Completion { get; private set; } = Task.CompletedTask;

    /// <summary>Whether the destination stands within a message.</summary>
    public bool InMessage => hold is null && scanner.InMessage;

    // What is held back passes in whole messages: the destination always stands between two frames.
    private bool AtEdge => hold is not null || scanner.AtEdge;

    /// <summary>The destination has not taken what was sent to it last.</summary>
    public bool IsStuck => traffic.WaitingSince != 0;

    public void Start(ReadOnlyMemory<byte> first) => Completion = RunAsync(first);

    private async Task RunAsync(ReadOnlyMemory<byte> first)
    {
        try
        {
            if (!await PassAsync(first)) return;
            first = default;
            var size = SmallBuffer;
            for (var pieces = 1; ; pieces++)
            {
                // While there is always more to read, the other sockets of this thread would wait.
                if (pieces % MostPieces == 0) await SocketThread.LeaveAsync();
                // Nothing is rented while nothing comes: an idle session holds no buffer.
                _ = await source.ReadAsync(Memory<byte>.Empty, fromClient ? ct : default);
                var buffer = ArrayPool<byte>.Shared.Rent(size);
                try
                {
                    var have = TakeHeld(buffer);
                    var count = await source.ReadAsync(buffer.AsMemory(have), fromClient ? ct : default);
                    if (count == 0) break;
                    size = have + count == buffer.Length ? LargeBuffer : SmallBuffer;
                    var piece = buffer.AsMemory(0, have + count);
                    if (deaf ? Frames.EndWithClose(piece.Span) : !await PassAsync(piece)) return;
                }
                finally
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                }
            }
            session.SourceLost(this);
        }
        catch (Exception e) when (IsLoss(e))
        {
            session.SourceLost(this);
        }
        catch (Exception e)
        {
            session.Failed(e);
        }
        finally
        {
            Finish();
        }
    }

    /// <summary>Passes on what may pass of a piece; false when nothing more is to be read.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> PassAsync(ReadOnlyMemory<byte> piece)
    {
        if (piece.IsEmpty) return true;
        var now = activity.Touch();
        while (!piece.IsEmpty)
        {
            var owns = Enter(out var stopAtEdge);
            if (!owns && !fromClient) return false;
            var scan = scanner.Look(piece.Span, now, stopAtEdge);
            if (owns)
            {
                var written = scan.Pass == 0 || await (hold is null ? TryWriteLastAsync(piece[..scan.Pass], now, scan.Close) : TryWriteHeldAsync(hold, piece[..scan.Pass], now, scan.Close));
                if (written) traffic.Passed(scan.Frames, scan.Pass);
                Leave(written ? scan.Close : null, written);
                if (!written) session.DestinationLost(this);
                if (hold?.Fault is { } forbidden)
                {
                    session.Faulted(this, forbidden);
                    return deaf = true;
                }
            }
            if (scan.Fault is { } fault)
            {
                session.Faulted(this, fault);
                return deaf = fromClient;
            }
            if (scan.Close is { } close)
            {
                session.Closed(this, close);
                return false;
            }
            piece = piece[scan.Pass..];
            if (!scan.NeedsMore) continue;
            held = piece.ToArray();
            return true;
        }
        return true;
    }

    // Who closes first is known before the close is passed on: the other side's answer may be back before the write has returned.
    private ValueTask<bool> TryWriteLastAsync(ReadOnlyMemory<byte> bytes, long now, CloseFrame? close)
    {
        if (close is { } first) session.Closed(this, first);
        return TryWriteAsync(bytes, now);
    }

    private async ValueTask<bool> TryWriteHeldAsync(MessageHold hold, ReadOnlyMemory<byte> bytes, long now, CloseFrame? close)
    {
        hold.Append(bytes.Span);
        while (await hold.NextAsync() is { IsEmpty: false } judged)
        {
            if (!await TryWriteLastAsync(judged, now, Frames.IsClose(judged.Span) ? close : null)) return false;
        }
        return true;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> TryWriteAsync(ReadOnlyMemory<byte> bytes, long now)
    {
        try
        {
            var write = destination.WriteAsync(bytes, fromClient ? default : ct);
            if (!write.IsCompleted) traffic.Waits(Math.Max(1, now));
            await write;
            return true;
        }
        catch (Exception e) when (IsLoss(e))
        {
            return false;
        }
        finally
        {
            traffic.Waits(0);
        }
    }

    private int TakeHeld(byte[] buffer)
    {
        if (held is not { } bytes) return 0;
        bytes.CopyTo(buffer, 0);
        held = null;
        return bytes.Length;
    }

    private bool Enter(out bool stopAtEdge)
    {
        lock (this)
        {
            stopAtEdge = wanted is not null && !taken;
            return !taken && (busy = true);
        }
    }

    private void Leave(CloseFrame? close, bool written)
    {
        lock (this)
        {
            busy = false;
            Close = close;
            if (!written) taken = true;
            if (wanted is null || (written && close is null && !AtEdge)) return;
            taken = true;
            wanted.TrySetResult(written && close is null);
        }
    }

    private void Finish()
    {
        lock (this)
        {
            finished = true;
            hold?.Dispose();
            wanted?.TrySetResult(!taken && (taken = AtEdge && Close is null));
        }
    }

    /// <summary>Takes the destination over at the next edge between two frames. False when it is lost, already closed or taken,
    /// or this side went away within a frame.</summary>
    public Task<bool> TakeAsync()
    {
        lock (this)
        {
            if (taken || Close is not null) return Task.FromResult(false);
            if (!busy && AtEdge) return Task.FromResult(taken = true);
            if (finished) return Task.FromResult(false);
            wanted = new(TaskCreationOptions.RunContinuationsAsynchronously);
            return wanted.Task;
        }
    }

    /// <summary>What streams throw when the other end, or Postern itself, has ended the connection.</summary>
    public static bool IsLoss(Exception e) => e is IOException or ObjectDisposedException or OperationCanceledException or InvalidOperationException or System.Net.Sockets.SocketException;
}
