using System.Data.Common;
using Postern.Core;
using Postern.Core.Conversations;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Dialects;
using Postern.Server.Storage;

namespace Postern.Server.Flow;

/// <summary>
/// Answers completions for all dialects: admit by what stands outside the body, then read the body, answer, and keep what was said where
/// the client gave it ids. The conversation is the client's word each time; nothing of it is taken from what is kept here.
/// </summary>
internal sealed class CompletionEndpoint(
    ConnectionGate gate, HeldTurns turns, ConversationStore conversations, LiveSessions live, RefusalLimiter limiter, HostedAgents agents, TimeProvider clock)
{
    private const long LargestBody = 1 << 20;

    /// <summary>Maps a dialect's routes.</summary>
    public void Map(IEndpointRouteBuilder routes, HttpDialect dialect)
    {
        foreach (var route in dialect.Completions)
        {
            routes.MapPost(route.Path, context => GuardAsync(context, route));
        }
    }

    private async Task GuardAsync(HttpContext context, CompletionRoute route)
    {
        try
        {
            await AnswerAsync(context, route);
        }
        catch (Exception e) when (e is StorageException or DbException && !context.Response.HasStarted)
        {
            await HttpAnswers.WriteAsync(context, route.Refuse(new Denial(DenialReason.Unavailable))); // an outage denies
        }
    }

    private async Task AnswerAsync(HttpContext context, CompletionRoute route)
    {
        var wire = WireRequest.From(context);
        var decision = live.IsClosing ? gate.Refuse(new Denial(DenialReason.ShuttingDown), wire.Address, clock.GetUtcNow())
            : route.Connect(wire).IsDenied(out var denial, out var connect) ? gate.Refuse(denial, wire.Address, clock.GetUtcNow())
            : await gate.AdmitAsync(connect);
        if (decision.IsDenied(out denial, out var session))
        {
            await HttpAnswers.WriteAsync(context, route.Refuse(limiter.Exceeds(context.Connection.RemoteIpAddress, denial) ? new Denial(DenialReason.TooManyRefusals, $"{limiter.RetryAfter}") : denial));
            return;
        }
        await turns.HoldAsync(context, session, leash => TurnAsync(context, route, wire, session, leash));
    }

    private async Task<SessionEnd?> TurnAsync(HttpContext context, CompletionRoute route, WireRequest wire, Session session, Leash leash)
    {
        var decision = session.Agent.Upstream is Core.Agents.Upstream.Relay
            ? new Denial(DenialReason.RequestInvalid, "path agent_id: This agent is relayed to another server: only agents hosted here answer completions")
            : await ReadAsync(context, route, wire);
        if (decision.IsDenied(out var denial, out var completion))
        {
            await HttpAnswers.WriteAsync(context, route.Refuse(denial));
            return new SessionEnd(SessionEndReason.FirstMessageRefused, Frames.NoCode, denial.Detail ?? "");
        }
        var agent = agents.For(session, ConversationPlan.OfTexts(session), completion.Remembers);
        return await turns.AnswerAsync(context, completion.Answer, leash, new HeldAnswer(agent, leash, acts => KeepAsync(session, completion, acts)), completion.Conversation);
    }

    private static async Task<Decision<Completion>> ReadAsync(HttpContext context, CompletionRoute route, WireRequest wire)
    {
        try
        {
            return route.Read(wire with { Body = await RequestBody.ReadAsync(context, LargestBody) });
        }
        catch (BadHttpRequestException e)
        {
            return new Denial(DenialReason.RequestInvalid, "body: " + e.Message);
        }
    }

    // One commit a turn, before the client hears that the answer is complete; a client that leaves early does not stop it.
    private Task KeepAsync(Session session, Completion completion, IReadOnlyList<AgentAct> acts)
    {
        if (completion is not { Id: { } id, Messages: { Count: > 0 } messages })
        {
            return Task.CompletedTask;
        }
        var now = clock.GetUtcNow();
        List<Message> kept = [.. messages.Select(message => message with { At = session.StartedAt })];
        if (completion.AnswerId is { } answerId && MessageParts.Of(acts) is { } parts)
        {
            var tokens = acts.OfType<AgentAct.Says>().FirstOrDefault()?.Tokens;
            kept.Add(new Message(answerId, TurnRole.Agent, parts, now) { FromAgent = true, InputTokens = (int?)tokens?.Input, OutputTokens = (int?)tokens?.Output });
        }
        return conversations.AppendAsync(new Owner(session.Agent.Project, session.Agent.Id, session.Terms.Subject ?? ""), id, kept, now);
    }
}
