using Postern.Core.Sessions;

namespace Postern.Server.Flow;

/// <summary>What a client is told when Postern ends its session.</summary>
/// <param name="Event">A last text message (UTF-8), or null. Left out where it would fall into a fragmented message.</param>
/// <param name="Close">The close frame that follows.</param>
/// <param name="Pause">Between the two.</param>
internal sealed record Farewell(byte[]? Event, CloseFrame Close, TimeSpan Pause);

/// <summary>One relayed session: two pumps, and the one place where it ends.</summary>
/// <param name="timers">Watches silence and receivers that do not read.</param>
/// <param name="clock">The session's clock.</param>
/// <param name="abortClient">Cuts the client's connection without a word: HttpContext.Abort.</param>
internal sealed class RelaySession(SessionTimers timers, TimeProvider clock, Action abortClient)
{
    private static readonly TimeSpan EdgeWait = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan CloseWait = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LastWait = TimeSpan.FromSeconds(0.5);

    private readonly TaskCompletionSource<Ending> decided = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource over = new();
    private UpstreamConnection upstream = null!;
    private Stream client = null!;
    private Leash leash = null!;
    private TimeSpan patience;
    private FramePump up = null!;
    private FramePump down = null!;

    private enum EndingKind { ClientClosed, ClientGone, UpstreamClosed, UpstreamGone, Cut }

    private sealed record Ending(EndingKind Kind, SessionEnd End);

    /// <summary>Relays until the session ends, whatever ends it, and says how. Never throws. Nothing is read from or written to
    /// <paramref name="client"/> afterwards; the upstream is disposed.</summary>
    /// <param name="client">The stream of <see cref="WebSocketHandshake.AcceptAsync"/>.</param>
    /// <param name="first">Frames that came already, forwarded first.</param>
    /// <param name="upstream">Disposed at the end.</param>
    /// <param name="leash">Ends the session from outside.</param>
    /// <param name="limits">Of both directions.</param>
    /// <param name="farewell">What the client is told, given the reason and the close code that RFC 6455 suggests for it.</param>
    /// <param name="activity">Counts what passes.</param>
    /// <param name="rule">Judges what the client says; null for none.</param>
    /// <param name="ct">Cancelled when the client is known to be gone; may be left out, as reading notices it.</param>
    public Task<SessionEnd> RunAsync(
        Stream client, ReadOnlyMemory<byte> first, UpstreamConnection upstream, Leash leash, RelayLimits limits,
        Func<SessionEnd, Farewell> farewell, SessionActivity activity, RelayRule? rule = null, CancellationToken ct = default)
    {
        var inserter = rule is { Answers: true } ? new FrameInserter(client) : null;
        var hold = rule is null ? null : inserter is null ? new MessageHold(rule.Judge, null, null)
            : new MessageHold(rule.Judge, inserter.InsertAsync, unanswered => inserter.ExpectAsync(unanswered, clock, over.Token));
        (this.client, this.upstream, this.leash, patience) = ((Stream?)inserter ?? client, upstream, leash, limits.SlowReader);
        up = new(this, true, client, upstream.Stream, new(true, limits, clock.TimestampFrequency), activity, over.Token, hold);
        down = new(this, false, upstream.Stream, this.client, new(false, limits, clock.TimestampFrequency), activity, over.Token, rule?.Translate is { } translate ? MessageHold.Translating(translate) : null);
        var watch = timers.Observe(leash, activity, limits);
        leash.OnEnd(LeashEnded);
        // Started here and not in an async method, whose state would keep the first bytes for as long as the session lives.
        up.Start(first);
        down.Start(upstream.TakeSurplus());
        if (rule?.Warning is var (after, text)) _ = WarnAsync(inserter!, after, text);
        return EndAsync(farewell, watch, ct);
    }

    private async Task WarnAsync(FrameInserter inserter, TimeSpan after, byte[] text)
    {
        await Task.Delay(after, clock, over.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!decided.Task.IsCompleted) await inserter.InsertAsync(text);
    }

    private async Task<SessionEnd> EndAsync(Func<SessionEnd, Farewell> farewell, SessionTimers.Watch watch, CancellationToken ct)
    {
        var gone = ct.CanBeCanceled ? ct.UnsafeRegister(static self => ((RelaySession)self!).ClientGone(), this) : default;
        try
        {
            var ending = await decided.Task;
            return ending.Kind switch
            {
                EndingKind.ClientClosed => await AfterClientCloseAsync(ending.End),
                EndingKind.UpstreamClosed => await AfterUpstreamCloseAsync(ending.End),
                EndingKind.ClientGone => await AfterClientLossAsync(ending.End),
                EndingKind.UpstreamGone or EndingKind.Cut => await CutAsync(ending, farewell),
                _ => throw new InvalidOperationException(),
            };
        }
        catch (Exception e)
        {
            abortClient();
            return new(SessionEndReason.InternalError, Frames.Abnormal, e.GetType().Name);
        }
        finally
        {
            await gone.DisposeAsync();
            watch.Dispose();
            upstream.Dispose();
            await over.CancelAsync();
            // The server reuses the client's connection state as soon as this returns: no read may be left on it.
            await Task.WhenAll(up.Completion, down.Completion);
            over.Dispose();
        }
    }

    private async Task<SessionEnd> AfterClientCloseAsync(SessionEnd end)
    {
        await WaitAsync(up.Completion, patience); // its close may not have been taken yet
        await WaitAsync(down.Completion, CloseWait);
        if (down.Close is null)
        {
            var close = new CloseFrame(end.CloseCode, "");
            if (!await TakeAsync(down) || !await TryWriteAsync(client, Frames.Close(close))) abortClient();
        }
        return end;
    }

    private async Task<SessionEnd> AfterUpstreamCloseAsync(SessionEnd end)
    {
        await WaitAsync(down.Completion, patience);
        if (!await WaitAsync(up.Completion, CloseWait)) abortClient();
        if (up.Close is null && await TakeAsync(up)) await TryWriteAsync(upstream.Stream, Frames.MaskedClose(new(end.CloseCode, "")));
        return end;
    }

    private async Task<SessionEnd> AfterClientLossAsync(SessionEnd end)
    {
        abortClient();
        if (await TakeAsync(up)) await TryWriteAsync(upstream.Stream, Frames.MaskedClose(new(1001, "")));
        return end;
    }

    /// <summary>Postern itself ends the session: the upstream by a close frame, the client by the farewell, each at an edge
    /// between two frames or, where none comes in time, by cutting the connection.</summary>
    private async Task<SessionEnd> CutAsync(Ending ending, Func<SessionEnd, Farewell> farewell)
    {
        var end = ending.End;
        var clientIsOurs = TakeAsync(down);
        var upstreamEnds = ending.Kind == EndingKind.UpstreamGone ? Task.CompletedTask : CloseUpstreamAsync(end.Reason, clientIsOurs);
        var words = farewell(end);
        var told = await clientIsOurs ? await TrySayAsync(words) : down.Close is { Code: var passed } ? passed : Frames.Abnormal;
        // What passed before may still be on its way; only one who does not read at all gets no time.
        var wait = told != Frames.Abnormal ? CloseWait : down.IsStuck ? TimeSpan.Zero : LastWait;
        if (!await WaitAsync(up.Completion, wait)) abortClient();
        await upstreamEnds;
        return end with { CloseCode = told };
    }

    private async Task CloseUpstreamAsync(SessionEndReason reason, Task<bool> clientIsOurs)
    {
        var code = reason is SessionEndReason.Shutdown or SessionEndReason.SlowReader ? (ushort)1001 : (ushort)1000;
        var ours = await TakeAsync(up);
        // The edge towards the client is in what the upstream still sends: it may not be cut before.
        await clientIsOurs;
        if (ours) await TryWriteAsync(upstream.Stream, Frames.MaskedClose(new(code, "")));
        upstream.Dispose();
    }

    private async Task<ushort> TrySayAsync(Farewell words)
    {
        if (words.Event is { } message && !down.InMessage)
        {
            if (!await TryWriteAsync(client, Frames.Text(message))) return Frames.Abnormal;
            if (words.Pause > TimeSpan.Zero) await WaitAsync(up.Completion, words.Pause);
        }
        return await TryWriteAsync(client, Frames.Close(words.Close)) ? words.Close.Code : Frames.Abnormal;
    }

    private static async Task<bool> TakeAsync(FramePump pump)
    {
        var ours = pump.TakeAsync();
        return await WaitAsync(ours, EdgeWait) && await ours;
    }

    private static async Task<bool> TryWriteAsync(Stream stream, byte[] frame)
    {
        using var time = new CancellationTokenSource(EdgeWait);
        try
        {
            await stream.WriteAsync(frame, time.Token);
            return true;
        }
        catch (Exception e) when (FramePump.IsLoss(e))
        {
            return false;
        }
    }

    private static async Task<bool> WaitAsync(Task task, TimeSpan longest)
    {
        if (!task.IsCompleted) await task.WaitAsync(longest).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return task.IsCompleted;
    }

    internal void Closed(FramePump pump, CloseFrame close) =>
        Decide(pump == up ? EndingKind.ClientClosed : EndingKind.UpstreamClosed,
            new(pump == up ? SessionEndReason.ClientClosed : SessionEndReason.AgentClosed, close.Code, close.Reason));

    internal void Faulted(FramePump pump, SessionEnd fault) => Decide(EndingKind.Cut,
        pump == up ? fault
        : fault.Reason == SessionEndReason.ProtocolError ? new(SessionEndReason.UpstreamLost, 1011, "The upstream broke the WebSocket protocol: " + fault.Detail)
        : fault with { Detail = "From the upstream: " + fault.Detail });

    internal void SourceLost(FramePump pump)
    {
        if (pump == up) ClientGone();
        else UpstreamGone();
    }

    /// <summary>Only the pump that reads from the lost side learns why: a close frame may still lie there.</summary>
    internal void DestinationLost(FramePump pump) => _ = DecideLaterAsync(pump == up ? down : up, pump == up);

    private async Task DecideLaterAsync(FramePump reader, bool isUpstream)
    {
        await Task.Yield(); // the other pump may not have been started yet
        await WaitAsync(reader.Completion, EdgeWait);
        if (isUpstream) UpstreamGone();
        else ClientGone();
    }

    internal void Failed(Exception e) => Decide(EndingKind.Cut, new(SessionEndReason.InternalError, 1011, e.GetType().Name));

    private void ClientGone() => Decide(EndingKind.ClientGone, new(SessionEndReason.ClientClosed, Frames.Abnormal, "The client went away without a close frame."));

    private void UpstreamGone() => Decide(EndingKind.UpstreamGone, new(SessionEndReason.UpstreamLost, 1011, "The upstream went away without a close frame."));

    private void LeashEnded()
    {
        if (leash.TryGet(out var reason, out var detail)) Decide(EndingKind.Cut, new(reason, SuggestedCode(reason), detail));
    }

    private void Decide(EndingKind kind, SessionEnd end) => decided.TrySetResult(new(kind, end));

    /// <summary>The close code that RFC 6455, 7.4.1 has for a reason.</summary>
    public static ushort SuggestedCode(SessionEndReason reason) => reason switch
    {
        SessionEndReason.ClientClosed or SessionEndReason.AgentClosed or SessionEndReason.MaxDuration or SessionEndReason.Idle => 1000,
        SessionEndReason.Operator or SessionEndReason.Shutdown => 1001,
        SessionEndReason.ProtocolError => 1002,
        SessionEndReason.MessageTooBig => 1009,
        SessionEndReason.Revoked or SessionEndReason.FirstMessageRefused or SessionEndReason.RateExceeded or SessionEndReason.SlowReader => 1008,
        SessionEndReason.UpstreamUnreachable or SessionEndReason.UpstreamLost or SessionEndReason.InternalError => 1011,
    };
}
