using System.Buffers;
using System.Net.WebSockets;
using System.Text;
using Postern.Core.Sessions;
using Postern.Server.Flow;

namespace Postern.Server.Dialects;

/// <summary>One message of the client, or why there is none.</summary>
/// <param name="Text">The message, null at the end; valid until the next read.</param>
/// <param name="End">How the client ended, or what it did that ends it.</param>
internal readonly record struct TalkInput(ReadOnlyMemory<byte>? Text, SessionEnd? End);

/// <summary>
/// The client's WebSocket, read and written by one loop, a message at a time. Size and number of what comes are judged before it gets
/// here. What waits to be sent shows in the activity, by which the timers end a session that is not read; once it is to end, nothing
/// waits longer than a moment.
/// </summary>
internal sealed class TalkSocket : IDisposable
{
    private const int Piece = 4096;
    private static readonly TimeSpan Hurry = TimeSpan.FromSeconds(1);

    private readonly WebSocket socket;
    private readonly SessionActivity activity;
    private readonly TimeProvider clock;
    private readonly CancellationTokenSource reading = new();
    private readonly CancellationTokenSource writing;
    private byte[] buffer = [];
    private volatile bool hurried;
    private volatile bool sending;

    public TalkSocket(TalkContext context)
    {
        (socket, activity, clock) = (context.Socket, context.Activity, context.Clock);
        writing = new CancellationTokenSource(Timeout.InfiniteTimeSpan, clock);
    }

    /// <summary>The session is to end: a send that still waits gets no more than a moment.</summary>
    public void Hasten()
    {
        hurried = true;
        try
        {
            if (sending)
            {
                writing.CancelAfter(Hurry);
            }
        }
        catch (ObjectDisposedException)
        {
            // The conversation was over first.
        }
    }

    /// <summary>Sends one text message.</summary>
    /// <exception cref="WebSocketException">The connection is lost.</exception>
    /// <exception cref="OperationCanceledException">The client did not read.</exception>
    public async ValueTask SendAsync(byte[] text)
    {
        sending = true;
        if (hurried)
        {
            writing.CancelAfter(Hurry);
        }
        activity.FromUpstream.Waits(clock.GetTimestamp());
        await socket.SendAsync(text.AsMemory(), WebSocketMessageType.Text, WebSocketMessageFlags.EndOfMessage, writing.Token);
        activity.FromUpstream.Waits(0);
        activity.FromUpstream.Passed(1, text.Length);
        sending = false;
    }

    /// <summary>Reads one message; never throws.</summary>
    public async Task<TalkInput> ReadAsync()
    {
        try
        {
            return await ReadMessageAsync();
        }
        catch (Exception e) when (e is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            return new TalkInput(null, Lost);
        }
    }

    /// <summary>
    /// Says the last words: the event when <paramref name="farewell"/> has one, its pause (over when the client leaves by itself), the
    /// close; then waits a moment for the client's. <paramref name="read"/> is the read that is under way.
    /// </summary>
    public async Task CloseAsync(Farewell farewell, Task<TalkInput> read)
    {
        var gone = DrainAsync(read);
        try
        {
            hurried = true;
            if (farewell.Event is { } words && socket.State == WebSocketState.Open)
            {
                await SendAsync(words);
                await WaitAsync(gone, farewell.Pause);
            }
            if (socket.State is WebSocketState.Open or WebSocketState.CloseReceived)
            {
                writing.CancelAfter(Hurry);
                await socket.CloseOutputAsync((WebSocketCloseStatus)farewell.Close.Code, Fit(farewell.Close.Reason), writing.Token);
                await WaitAsync(gone, Hurry);
            }
        }
        catch (Exception e) when (e is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // The client is gone; nobody hears the rest.
        }
        await reading.CancelAsync();
        await gone;
    }

    /// <summary>Leaves no read behind: the server uses the connection's state again.</summary>
    public async Task StopAsync(Task<TalkInput> read)
    {
        await reading.CancelAsync();
        await read;
    }

    public void Dispose()
    {
        Release();
        reading.Dispose();
        writing.Dispose();
    }

    private static SessionEnd Lost => new(SessionEndReason.ClientClosed, Frames.Abnormal, "the connection was lost");

    private async Task<TalkInput> ReadMessageAsync()
    {
        Release();
        // A conversation waits most of its time: without a byte to read it holds no buffer.
        var result = await socket.ReceiveAsync(Memory<byte>.Empty, reading.Token);
        var count = 0;
        while (true)
        {
            if (result.MessageType == WebSocketMessageType.Close)
            {
                return new TalkInput(null, new SessionEnd(SessionEndReason.ClientClosed, (ushort)(socket.CloseStatus ?? (WebSocketCloseStatus)Frames.NoCode), socket.CloseStatusDescription ?? ""));
            }
            if (result.MessageType == WebSocketMessageType.Binary)
            {
                return new TalkInput(null, new SessionEnd(SessionEndReason.ProtocolError, 1003, "Text messages only."));
            }
            count += result.Count;
            if (result.EndOfMessage)
            {
                activity.FromClient.Passed(1, count);
                return new TalkInput(buffer.AsMemory(0, count), null);
            }
            Grow(count);
            result = await socket.ReceiveAsync(buffer.AsMemory(count), reading.Token);
        }
    }

    private void Grow(int count)
    {
        if (count < buffer.Length)
        {
            return;
        }
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(Piece, buffer.Length * 2));
        buffer.AsSpan(0, count).CopyTo(larger);
        Release();
        buffer = larger;
    }

    private void Release()
    {
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
            buffer = [];
        }
    }

    // Reads on until the client's end; what it still says is not heard any more.
    private async Task DrainAsync(Task<TalkInput> read)
    {
        while ((await read).End is null)
        {
            read = ReadAsync();
        }
    }

    private async Task WaitAsync(Task task, TimeSpan time)
    {
        using var cancel = new CancellationTokenSource();
        await Task.WhenAny(task, Task.Delay(time, clock, cancel.Token));
        await cancel.CancelAsync();
    }

    /// <summary>Close reasons have at most 123 bytes of UTF-8; the platform throws beyond.</summary>
    private static string Fit(string reason)
    {
        Span<byte> bytes = stackalloc byte[Frames.MaxReasonBytes];
        System.Text.Unicode.Utf8.FromUtf16(reason, bytes, out _, out var written);
        return Encoding.UTF8.GetString(bytes[..written]);
    }
}
