using System.Text.Json;
using Postern.Core;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.Realtime;

/// <summary>Speaks the realtime protocol with the agent hosted here. What the client may ask stands in <see cref="TalkRequests"/>.</summary>
internal sealed class Talk(TalkContext context, bool isXai) : HostedTalk<JsonElement?>(context)
{
    private static readonly TimeSpan ListenEvery = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Rest = TimeSpan.FromMinutes(10);

    private readonly TalkEvents events = new(isXai);
    private readonly (DateTimeOffset At, TimeSpan Left) warning = Expiry.Of(context.Session);
    private TalkRequests requests = null!;
    private bool warned;

    protected override async Task<SessionEnd?> OpenAsync()
    {
        var session = Context.Session;
        Context.Recorder.Begin(Opening.None, textOnly: false);
        var agent = Context.Agents.For(session, ConversationPlan.OfTexts(session) with { IsPaced = true });
        var configuration = new SessionConfiguration(session.Terms.Fixed, agent.HasVoice, "sess_" + session.Id[(session.Id.IndexOf('_', StringComparison.Ordinal) + 1)..],
            session.Agent.Id.Value, session.Terms.EndBy.ToUnixTimeSeconds());
        requests = new TalkRequests(Context, this, agent, events, configuration);
        await SendAsync(events.Session("session.created", configuration));
        await SendAsync(events.Conversation(session.Id));
        return null;
    }

    protected override async ValueTask<TimeSpan> DueAsync()
    {
        var now = Clock.GetUtcNow();
        if (!warned && now >= warning.At)
        {
            warned = true;
            await SendAsync(Expiry.Event(events.NextId(), warning.Left));
        }
        await requests.HearOutAsync();
        var wait = requests.IsListening ? ListenEvery : Rest;
        return !warned && warning.At - now < wait ? warning.At - now : wait;
    }

    // Null is a message that cannot be read: it is answered, and the session stays open.
    protected override JsonElement? Read(ReadOnlyMemory<byte> text)
    {
        try
        {
            return JsonElement.Parse(text.Span, StrictJson.Document);
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return null;
        }
    }

    protected override async Task<SessionEnd?> TakeAsync(JsonElement? message)
    {
        Context.Activity.Touch();
        await requests.TakeAsync(message);
        return null;
    }

    protected override ValueTask DoAsync(AgentAct act) => requests.DoAsync(act);

    protected override ValueTask AnsweredAsync(bool isCut) => requests.AnsweredAsync(isCut);

    protected override Farewell LastWords(SessionEnd end)
    {
        var farewell = Context.Dialect.End(end.Reason, end.Detail);
        // Where the WebSocket protocol itself was broken its own code says more than a vendor's.
        return end.CloseCode != 0 && end.Reason is SessionEndReason.ProtocolError or SessionEndReason.MessageTooBig
            ? farewell with { Close = farewell.Close with { Code = end.CloseCode } } : farewell;
    }
}
