using System.Net.WebSockets;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Flow;
using Postern.Server.Observability;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>
/// Speaks the vendor's conversation protocol with the agent hosted here (contract, sections 5 to 7 and 12): one loop that reads,
/// thinks and writes in turn, so that nothing of it needs a lock.
/// </summary>
internal sealed class Talk(TalkContext context)
{
    private static readonly TimeSpan AfterMetadata = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan PingEvery = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ListenEvery = TimeSpan.FromMilliseconds(500);

    private readonly TimeProvider clock = context.Clock;
    private readonly TalkSocket socket = new(context);
    private Task<TalkInput> read = Task.FromResult<TalkInput>(default);
    private ConversationPlan plan = null!;
    private EchoAgent agent = null!;
    private long lastEvent, spokenEvent;
    private long pingEvent, pingSent, pingDue;
    private int? roundTrip;

    /// <summary>Converses until the client, the leash or the client's own doing ends it; how it ended is recorded when this returns.</summary>
    public async Task<SessionEnd> RunAsync()
    {
        using (socket)
        {
            context.Leash.OnEnd(socket.Hasten);
            var end = await ConverseAsync();
            await socket.StopAsync(read);
            try
            {
                await context.Recorder.EndAsync(end);
            }
            catch (StorageException e)
            {
                Log.ConversationNotRecorded(context.Log, context.Session.Id, e.Message);
            }
            return end;
        }
    }

    private async Task<SessionEnd> ConverseAsync()
    {
        try
        {
            read = socket.ReadAsync();
            return await OpenAsync() ?? await GoOnAsync();
        }
        catch (Exception e) when (e is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            return context.Leash.TryGet(out var reason, out var detail)
                ? new SessionEnd(reason, Frames.Abnormal, detail)
                : new SessionEnd(SessionEndReason.ClientClosed, Frames.Abnormal, "the connection was lost");
        }
        catch (Exception e)
        {
            Log.TalkFailed(context.Log, context.Session.Id, e.ToString());
            return await EndAsync(new SessionEnd(SessionEndReason.InternalError, 1011));
        }
    }

    // Until the metadata are sent, a refusal is a close alone: clients drop every other first message.
    private async Task<SessionEnd?> OpenAsync()
    {
        var (first, end) = await FirstAsync();
        if (end is not null)
        {
            await socket.CloseAsync(new Farewell(null, Refusal(end), TimeSpan.Zero), read);
            return end;
        }
        if (context.Dialect.ReadOpening(context.Session, first).IsDenied(out var denial, out var opening)
            || ConversationPlan.From(context.Session, opening).IsDenied(out denial, out plan!))
        {
            var close = context.Dialect.Turn(denial);
            end = new SessionEnd(SessionEndReason.FirstMessageRefused, close.Close.Code, close.Close.Reason);
            context.Recorder.Begin(Opening.None, textOnly: false);
            await socket.CloseAsync(close, read);
            return end;
        }
        agent = new EchoAgent(plan, clock);
        context.Recorder.Begin(opening, plan.TextOnly);
        await socket.SendAsync(TalkEvents.Metadata(context.Session.Id, plan.Input, plan.Output));
        await Task.Delay(AfterMetadata, clock); // in Node, what comes in the same read as the metadata is lost
        await DoAsync(agent.Greet());
        await PingAsync();
        return first is null || opening.Raw.Length > 0 ? null : await HearAsync(TalkMessage.Read(first.Value));
    }

    // The first message; null when none came in time. What an on-premise client sends before it is skipped.
    private async Task<(ReadOnlyMemory<byte>? First, SessionEnd? End)> FirstAsync()
    {
        using var waiting = new CancellationTokenSource();
        var late = Task.Delay(context.Options.Sessions.FirstMessageWait, clock, waiting.Token);
        while (true)
        {
            await Task.WhenAny(read, late, context.Leash.Ended);
            if (context.Leash.TryGet(out var reason, out var detail))
            {
                return (null, new SessionEnd(reason, context.Dialect.End(reason, detail).Close.Code, detail));
            }
            if (!read.IsCompleted)
            {
                return (null, null);
            }
            var (text, end) = await read;
            if (end is not null)
            {
                return (null, end);
            }
            var first = text!.Value.ToArray();
            read = socket.ReadAsync();
            if (TalkMessage.Read(first) is not TalkMessage.Enclave)
            {
                await waiting.CancelAsync();
                return (first, null);
            }
        }
    }

    private async Task<SessionEnd> GoOnAsync()
    {
        using var alarm = new TalkAlarm(clock);
        while (true)
        {
            await Task.WhenAny(read, context.Leash.Ended, alarm.In(agent.IsListening ? ListenEvery : Until(pingDue)));
            if (context.Leash.TryGet(out var reason, out var detail))
            {
                return await EndAsync(reason, detail);
            }
            if (read.IsCompleted && await TakeAsync() is { } end)
            {
                return end;
            }
            if (clock.GetUtcNow() >= plan.EndBy)
            {
                context.Leash.End(SessionEndReason.MaxDuration);
            }
            await DoAsync(agent.Tick());
            if (clock.GetTimestamp() >= pingDue)
            {
                await PingAsync();
            }
        }
    }

    private async Task<SessionEnd?> TakeAsync()
    {
        var (text, end) = await read;
        if (end is not null)
        {
            if (end.Reason != SessionEndReason.ClientClosed)
            {
                return await EndAsync(end);
            }
            await socket.CloseAsync(new Farewell(null, Refusal(end), TimeSpan.Zero), read);
            return end;
        }
        var message = TalkMessage.Read(text!.Value);
        read = socket.ReadAsync();
        return await HearAsync(message);
    }

    private async Task<SessionEnd?> HearAsync(TalkMessage message)
    {
        if (message is not TalkMessage.Pong)
        {
            context.Activity.Touch();
        }
        switch (message)
        {
            case TalkMessage.Written { Text: { Length: > 0 } text }:
                await context.Recorder.AddAsync(TurnRole.User, text);
                await DoAsync(agent.Read(text));
                break;
            case TalkMessage.Audio { Sound: var sound }:
                await DoAsync(agent.Listen(sound));
                break;
            case TalkMessage.Pong { EventId: var id } when id == pingEvent && pingSent != 0:
                roundTrip = (int)clock.GetElapsedTime(pingSent).TotalMilliseconds;
                pingSent = 0;
                break;
            case TalkMessage.Feedback { EventId: var id, Likes: var likes } when id > 0 && id <= lastEvent:
                context.Recorder.Feedback(id, likes);
                break;
            case TalkMessage.Opening or TalkMessage.Unreadable:
                return await EndAsync(new SessionEnd(SessionEndReason.ProtocolError, 1008, InitiationData.NotReadable));
        }
        return null;
    }

    private async Task DoAsync(IEnumerable<AgentAct> acts)
    {
        foreach (var act in acts)
        {
            context.Activity.Touch();
            switch (act)
            {
                case AgentAct.Heard { Transcript: var transcript }:
                    await context.Recorder.AddAsync(TurnRole.User, transcript);
                    await socket.SendAsync(TalkEvents.Transcript(transcript, ++lastEvent));
                    break;
                case AgentAct.Says { Text: var text, IsReply: var isReply }:
                    await SayAsync(text, isReply);
                    break;
                case AgentAct.Plays { Sound: var sound }:
                    await socket.SendAsync(TalkEvents.Audio(sound, spokenEvent));
                    break;
                case AgentAct.Interrupted:
                    await socket.SendAsync(TalkEvents.Interruption(++lastEvent));
                    break;
            }
        }
    }

    private async Task SayAsync(string text, bool isReply)
    {
        spokenEvent = ++lastEvent;
        await context.Recorder.AddAsync(TurnRole.Agent, text);
        if (isReply)
        {
            await socket.SendAsync(TalkEvents.Part("start", "", spokenEvent));
            await socket.SendAsync(TalkEvents.Part("delta", text, spokenEvent));
            await socket.SendAsync(TalkEvents.Part("stop", "", spokenEvent));
        }
        await socket.SendAsync(TalkEvents.Response(text, spokenEvent));
    }

    private async Task PingAsync()
    {
        (pingEvent, pingSent) = (++lastEvent, clock.GetTimestamp());
        pingDue = pingSent + (long)(PingEvery.TotalSeconds * clock.TimestampFrequency);
        await socket.SendAsync(TalkEvents.Ping(pingEvent, roundTrip));
    }

    private async Task<SessionEnd> EndAsync(SessionEndReason reason, string detail)
    {
        if (reason == SessionEndReason.MaxDuration && plan.LastMessage.Length > 0)
        {
            await SayAsync(plan.Variables.Fill(plan.LastMessage, clock.GetUtcNow()), isReply: false);
        }
        var farewell = context.Dialect.End(reason, detail);
        await socket.CloseAsync(farewell, read);
        return new SessionEnd(reason, farewell.Close.Code, detail);
    }

    private async Task<SessionEnd> EndAsync(SessionEnd end)
    {
        var farewell = LastWords(end);
        await socket.CloseAsync(farewell, read);
        return end with { CloseCode = farewell.Close.Code };
    }

    private Farewell LastWords(SessionEnd end)
    {
        var farewell = context.Dialect.End(end.Reason, end.Detail);
        return end.Reason != SessionEndReason.ProtocolError ? farewell : farewell with
        {
            // The dialect's code for a broken protocol is the WebSocket's; a message that cannot be read has its own.
            Event = Wire.ErrorEvent(Refusals.EventCode(end.CloseCode), "invalid_message", end.Detail),
            Close = new CloseFrame(end.CloseCode, end.Detail),
        };
    }

    private CloseFrame Refusal(SessionEnd end) => end.Reason switch
    {
        SessionEndReason.ClientClosed => new CloseFrame(Frames.IsCodeOnTheWire(end.CloseCode) ? end.CloseCode : (ushort)1000, ""),
        SessionEndReason.ProtocolError => new CloseFrame(end.CloseCode, end.Detail),
        _ => context.Dialect.End(end.Reason, end.Detail).Close,
    };

    private TimeSpan Until(long timestamp)
    {
        var left = TimeSpan.FromSeconds(Math.Max(0, timestamp - clock.GetTimestamp()) / (double)clock.TimestampFrequency);
        var end = plan.EndBy - clock.GetUtcNow();
        return end < left ? end : left;
    }
}
