using Postern.Core.Sessions;

namespace Postern.Server.Flow;

/// <summary>How reading one message of a client ended.</summary>
internal enum ReadOutcome
{
    /// <summary>A complete message.</summary>
    Message,
    /// <summary>The time was over first.</summary>
    TimedOut,
    /// <summary>The client sent a close frame; <see cref="ClientMessage.Close"/> says which. It is not answered yet.</summary>
    Closed,
    /// <summary>The connection ended without a close frame.</summary>
    Lost,
    /// <summary>The client broke the protocol or a limit; <see cref="ClientMessage.Close"/> is the close to answer with.</summary>
    Broken,
}

/// <summary>One message of a client, whole.</summary>
/// <param name="Outcome">How the reading ended; there is a payload only with a message.</param>
/// <param name="IsText">Text, valid UTF-8; else binary.</param>
/// <param name="Payload">The message, unmasked and joined.</param>
/// <param name="FramesAndSurplus">The frames of the message as they came, masks kept, and behind them whatever else
/// had arrived: exactly what a relay must forward. Without a message, all that came.</param>
/// <param name="Surplus">Only what had arrived behind the message: give it to the next read.</param>
/// <param name="Close">What the client closed with, or the close to answer with.</param>
internal readonly record struct ClientMessage(
    ReadOutcome Outcome, bool IsText, ReadOnlyMemory<byte> Payload,
    ReadOnlyMemory<byte> FramesAndSurplus, ReadOnlyMemory<byte> Surplus, CloseFrame Close);

/// <summary>Reads a client's first message before a session begins; repeated with the surplus it reads every message of one
/// who talks to an agent hosted here.</summary>
internal static class FirstMessage
{
    /// <summary>Reads until a message is complete. Pings are answered here and pongs dropped, unless they are kept.</summary>
    /// <param name="client">The stream of <see cref="WebSocketHandshake.AcceptAsync"/>.</param>
    /// <param name="surplus">Bytes that came with an earlier read.</param>
    /// <param name="maxBytes">Longest payload of a message; more is answered by 1009.</param>
    /// <param name="ct">Cancelled when the time is over, or the session is.</param>
    /// <param name="keepPings">Leaves pings and pongs among the frames and writes nothing: for a relay, whose upstream answers them
    /// and which may be writing to the client already.</param>
    public static async ValueTask<ClientMessage> ReadAsync(Stream client, ReadOnlyMemory<byte> surplus, int maxBytes, CancellationToken ct, bool keepPings = false)
    {
        var reader = new MessageReader(maxBytes, keepPings);
        try
        {
            reader.Append(surplus.Span);
            while (true)
            {
                while (reader.TakeFrame(out var frame))
                {
                    if (frame.Result is { } result) return result;
                    if (frame.Pong is { } pong) await client.WriteAsync(pong, ct);
                }
                _ = await client.ReadAsync(Memory<byte>.Empty, ct);
                var count = await client.ReadAsync(reader.Space(), ct);
                if (count == 0) return reader.Ended(ReadOutcome.Lost);
                reader.Advance(count);
            }
        }
        catch (OperationCanceledException)
        {
            return reader.Ended(ct.IsCancellationRequested ? ReadOutcome.TimedOut : ReadOutcome.Lost);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            return reader.Ended(ReadOutcome.Lost);
        }
        finally
        {
            reader.Dispose();
        }
    }

    /// <summary>As above, with a time limit of its own.</summary>
    public static async ValueTask<ClientMessage> ReadAsync(
        Stream client, ReadOnlyMemory<byte> surplus, int maxBytes, TimeSpan timeout, TimeProvider clock, CancellationToken ct)
    {
        using var time = new CancellationTokenSource(timeout, clock);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(time.Token, ct);
        return await ReadAsync(client, surplus, maxBytes, both.Token);
    }
}
