using System.Text;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>Speaks the vendor's conversation protocol with the agent hosted here (contract, sections 5 to 7 and 12).</summary>
internal sealed class Talk(TalkContext context) : HostedTalk<TalkMessage>(context)
{
    private static readonly TimeSpan AfterMetadata = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan PingEvery = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ListenEvery = TimeSpan.FromMilliseconds(500);

    private readonly ClientEvents events = new(context.Session.Agent);
    private readonly History conversation = new(context.Options.Chat);
    private readonly StringBuilder pieces = new();
    private Playback playback = new(context.Clock);
    private ConversationPlan plan = null!;
    private IHostedAgent agent = null!;
    private Hearing? hearing;
    private long lastEvent, spokenEvent;
    private long pingEvent, pingSent, pingDue;
    private int? roundTrip;
    private bool isSpeaking, wasTold;

    // Until the metadata are sent, a refusal is a close alone: clients drop every other first message.
    protected override async Task<SessionEnd?> OpenAsync()
    {
        var (first, end) = await FirstAsync();
        if (end is not null)
        {
            await CloseAsync(new Farewell(null, Refusal(end), TimeSpan.Zero));
            return end;
        }
        if (Context.Dialect.ReadOpening(Context.Session, first).IsDenied(out var denial, out var opening)
            || ConversationPlan.From(Context.Session, opening).IsDenied(out denial, out plan!))
        {
            var close = Context.Dialect.Turn(denial);
            end = new SessionEnd(SessionEndReason.FirstMessageRefused, close.Close.Code, close.Close.Reason);
            await CloseAsync(close);
            return end;
        }
        agent = Context.Agents.For(Context.Session, plan);
        hearing = plan.TextOnly || !agent.HasVoice ? null : new Hearing(plan.Input, detectsTurns: true, Clock);
        Context.Recorder.Begin(opening, plan.TextOnly);
        await SendAsync(TalkEvents.Metadata(Context.Session.Id, plan.Input, plan.Output));
        await Task.Delay(AfterMetadata, Clock); // in Node, what comes in the same read as the metadata is lost
        await SayAsync(plan.FirstMessage);
        await PingAsync();
        return first is null || opening.Raw.Length > 0 ? null : await TakeAsync(TalkMessage.Read(first.Value));
    }

    // The first message; null when none came in time. What an on-premise client sends before it is skipped.
    private async Task<(ReadOnlyMemory<byte>? First, SessionEnd? End)> FirstAsync()
    {
        using var waiting = new CancellationTokenSource();
        var late = Task.Delay(Context.Options.Sessions.FirstMessageWait, Clock, waiting.Token);
        while (true)
        {
            await Task.WhenAny(NextMessage, late, Context.Leash.Ended);
            if (Context.Leash.TryGet(out var reason, out var detail))
            {
                return (null, new SessionEnd(reason, Context.Leash.Code is var code and not 0 ? code : Context.Dialect.End(reason, detail).Close.Code, detail));
            }
            if (!NextMessage.IsCompleted)
            {
                return (null, null);
            }
            var (message, end) = await NextAsync(static text => text.ToArray());
            if (message is null || TalkMessage.Read(message) is not TalkMessage.Enclave)
            {
                await waiting.CancelAsync();
                return (message is null ? null : message, end);
            }
        }
    }

    public override ValueTask SendAsync(byte[] text) => events.Pass(text) ? base.SendAsync(text) : ValueTask.CompletedTask;

    protected override async ValueTask<TimeSpan> DueAsync()
    {
        if (Clock.GetUtcNow() >= plan.EndBy)
        {
            Context.Leash.End(SessionEndReason.MaxDuration);
        }
        if (hearing is { IsOver: true })
        {
            await EndTurnAsync();
        }
        if (Clock.GetTimestamp() >= pingDue)
        {
            await PingAsync();
        }
        return hearing is { IsOpen: true } ? ListenEvery : Until(pingDue);
    }

    protected override TalkMessage Read(ReadOnlyMemory<byte> text) => TalkMessage.Read(text);

    protected override async Task<SessionEnd?> TakeAsync(TalkMessage message)
    {
        if (message is not TalkMessage.Pong)
        {
            Context.Activity.Touch();
        }
        switch (message)
        {
            case TalkMessage.Written { Text: { Length: > 0 } text }:
                await YieldAsync();
                await AnswerAsync(text, null);
                break;
            case TalkMessage.Context { Text: { Length: > 0 } text }:
                // The client's word like any other: it must not pass for the agent's prompt.
                conversation.Add(new Said(SaidBy.User, $"[Context from the application: {text}]"));
                break;
            case TalkMessage.Audio { Sound: var sound }:
                await HearAsync(sound);
                break;
            case TalkMessage.Pong { EventId: var id } when id == pingEvent && pingSent != 0:
                roundTrip = (int)Clock.GetElapsedTime(pingSent).TotalMilliseconds;
                pingSent = 0;
                break;
            case TalkMessage.Feedback { EventId: var id, Likes: var likes } when id > 0 && id <= lastEvent:
                Context.Recorder.Feedback(id, likes);
                break;
            case TalkMessage.Opening or TalkMessage.Unreadable:
                return await EndAsync(new SessionEnd(SessionEndReason.ProtocolError, 1008, InitiationData.NotReadable));
        }
        return null;
    }

    protected override async ValueTask DoAsync(AgentAct act)
    {
        switch (act)
        {
            case AgentAct.Piece { Text: var text }:
                await StartAsync();
                pieces.Append(text);
                await SendAsync(TalkEvents.Part("delta", text, spokenEvent));
                break;
            case AgentAct.Says { Text: var text }:
                await StartAsync();
                await StopAsync(text);
                break;
            case AgentAct.Plays { Samples: var samples }:
                playback.Add(samples.Length, plan.Output.Rate);
                await SendAsync(TalkEvents.Audio(plan.Output.Encode(samples), spokenEvent));
                break;
            case AgentAct.Calls { Id: var id, Tool: var tool }:
                await SendAsync(TalkEvents.ToolRequest(tool, id, ++lastEvent));
                break;
            case AgentAct.Returned { Id: var id, Tool: var tool, IsError: var isError }:
                await SendAsync(TalkEvents.ToolResponse(tool, id, isError, ++lastEvent));
                break;
            case AgentAct.Failed { Failure: var failure, Sentence: var sentence }:
                await FinishAsync();
                // The conversation goes on: the next message may be answered.
                await SendAsync(Wire.ErrorEvent(Refusals.AgentFailed, failure == AgentFailure.Timeout ? "llm_timeout" : "llm_error", sentence));
                break;
        }
    }

    protected override ValueTask AnsweredAsync(bool isCut) => FinishAsync();

    // What was cut short has been said: the client gets it whole, and the agent is reminded of it.
    private async ValueTask FinishAsync()
    {
        if (isSpeaking)
        {
            await StopAsync(pieces.ToString());
        }
    }

    private async Task HearAsync(byte[] sound)
    {
        if (hearing is null)
        {
            if (!plan.TextOnly && !wasTold)
            {
                wasTold = true;
                await SendAsync(Wire.ErrorEvent(Refusals.InputRefused, "text_only", "This agent reads and writes only: send user_message, or start the conversation as text only."));
            }
            return;
        }
        for (ReadOnlyMemory<short> rest = hearing.Decode(sound); !rest.IsEmpty;)
        {
            switch (hearing.Listen(ref rest, playback.IsPlaying))
            {
                case Listening.Began:
                    await YieldAsync();
                    break;
                case Listening.Ended:
                    await EndTurnAsync();
                    break;
            }
        }
    }

    private async Task EndTurnAsync()
    {
        if (hearing!.Take() is { } speech)
        {
            await SendAsync(TalkEvents.Transcript(speech.Transcript, ++lastEvent));
            await AnswerAsync(speech.Transcript, speech);
        }
    }

    private async Task AnswerAsync(string text, Speech? heard)
    {
        await Context.Recorder.AddAsync(TurnRole.User, text);
        conversation.Add(new Said(SaidBy.User, text));
        Answer(agent, new AgentTurn(conversation.Now) { Heard = heard, PlayAt = heard is null ? null : plan.Output.Rate });
    }

    // Whoever speaks to the agent silences it.
    private async Task YieldAsync()
    {
        await CutAsync();
        if (playback.IsPlaying)
        {
            playback.Stop();
            await SendAsync(TalkEvents.Interruption(++lastEvent));
        }
    }

    private async Task StartAsync()
    {
        if (!isSpeaking)
        {
            isSpeaking = true;
            spokenEvent = ++lastEvent;
            await SendAsync(TalkEvents.Part("start", "", spokenEvent));
        }
    }

    private async Task StopAsync(string text)
    {
        isSpeaking = false;
        pieces.Clear();
        conversation.Add(new Said(SaidBy.Agent, text));
        await SendAsync(TalkEvents.Part("stop", "", spokenEvent));
        await SendAsync(TalkEvents.Response(text, spokenEvent));
    }

    // Of its own accord: nothing is answered by it.
    private async Task SayAsync(string text)
    {
        if (text.Length > 0)
        {
            spokenEvent = ++lastEvent;
            conversation.Add(new Said(SaidBy.Agent, text));
            await Context.Recorder.AddAsync(TurnRole.Agent, text);
            await SendAsync(TalkEvents.Response(text, spokenEvent));
        }
    }

    private async Task PingAsync()
    {
        (pingEvent, pingSent) = (++lastEvent, Clock.GetTimestamp());
        pingDue = pingSent + (long)(PingEvery.TotalSeconds * Clock.TimestampFrequency);
        await SendAsync(TalkEvents.Ping(pingEvent, roundTrip));
    }

    protected override async ValueTask BeforeEndAsync(SessionEndReason reason)
    {
        if (reason == SessionEndReason.MaxDuration)
        {
            await SayAsync(plan.Variables.Fill(plan.LastMessage, Clock.GetUtcNow()));
        }
    }

    protected override Farewell LastWords(SessionEnd end)
    {
        var farewell = Context.Dialect.End(end.Reason, end.Detail);
        return end.Reason != SessionEndReason.ProtocolError || end.CloseCode == 0 ? farewell : farewell with
        {
            // The dialect's code for a broken protocol is the WebSocket's; a message that cannot be read has its own.
            Event = Wire.ErrorEvent(Refusals.EventCode(end.CloseCode), "invalid_message", end.Detail),
            Close = new CloseFrame(end.CloseCode, end.Detail),
        };
    }

    protected override CloseFrame Refusal(SessionEnd end) => end.Reason switch
    {
        SessionEndReason.ClientClosed => base.Refusal(end),
        SessionEndReason.ProtocolError => new CloseFrame(end.CloseCode, end.Detail),
        _ => Context.Dialect.End(end.Reason, end.Detail).Close,
    };

    private TimeSpan Until(long timestamp)
    {
        var left = TimeSpan.FromSeconds(Math.Max(0, timestamp - Clock.GetTimestamp()) / (double)Clock.TimestampFrequency);
        var end = plan.EndBy - Clock.GetUtcNow();
        return end < left ? end : left;
    }
}
