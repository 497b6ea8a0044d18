using Postern.Core;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Dialects;
using Postern.Server.Hosting;

namespace Postern.Server.Flow;

/// <summary>Sessions that live as long as the answer to one HTTP request: on a leash meanwhile, ended in one place.</summary>
internal sealed class HeldTurns(ILedger ledger, LiveSessions live, SessionTimers timers, ILogger<HeldTurns> log, TimeProvider clock)
{
    private static readonly TimeSpan BetweenSigns = TimeSpan.FromSeconds(10);

    /// <summary>Holds a session while <paramref name="answer"/> runs; it returns how the session ended, null for a good end.</summary>
    /// <param name="ended">Called with the end, whatever it was.</param>
    public async Task HoldAsync(HttpContext context, Session session, Func<Leash, Task<SessionEnd?>> answer, Func<SessionEnd, Task>? ended = null)
    {
        var leash = new Leash();
        var end = new SessionEnd(SessionEndReason.InternalError, Frames.Abnormal);
        live.Add(session, leash);
        try
        {
            using var longest = timers.Schedule(leash, session.Terms.EndBy - session.StartedAt);
            end = await answer(leash)
                ?? (leash.TryGet(out var reason, out var detail) ? new SessionEnd(reason, Frames.NoCode, detail) : new SessionEnd(SessionEndReason.AgentClosed, Frames.NoCode));
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            end = new SessionEnd(SessionEndReason.ClientClosed, Frames.Abnormal, "the connection was lost");
        }
        finally
        {
            try
            {
                await (ended?.Invoke(end) ?? Task.CompletedTask);
            }
            finally
            {
                await SessionEnding.WriteAsync(ledger, session, end, context.Connection.RemoteIpAddress?.ToString(), clock.GetUtcNow(), log);
                live.Remove(session.Id);
            }
        }
    }

    /// <summary>Sends the answer to a conversation in its form; where nothing was said there is nothing to answer. Returns how the session ended when the agent failed.</summary>
    public async Task<SessionEnd?> AnswerAsync(HttpContext context, TurnAnswer form, Leash leash, HeldAnswer answer, IReadOnlyList<Said> conversation)
    {
        await SendAsync(context, form, leash, conversation.Count == 0 ? AsyncEnumerable.Empty<AgentAct>() : answer.AnswerAsync(new AgentTurn(conversation), context.RequestAborted));
        return answer.Failure;
    }

    private async Task SendAsync(HttpContext context, TurnAnswer form, Leash leash, IAsyncEnumerable<AgentAct> acts)
    {
        if (form is TurnAnswer.Streamed streamed)
        {
            await StreamAsync(context, streamed, acts);
            return;
        }
        var whole = (TurnAnswer.Whole)form;
        using var patience = whole.Within is { } within ? timers.Schedule(leash, within) : null;
        var all = new List<AgentAct>();
        await foreach (var act in acts)
        {
            all.Add(act);
        }
        await HttpAnswers.WriteAsync(context, whole.Write(all));
    }

    private async Task StreamAsync(HttpContext context, TurnAnswer.Streamed form, IAsyncEnumerable<AgentAct> acts)
    {
        var response = context.Response;
        response.ContentType = form.ContentType;
        foreach (var (name, value) in form.Headers)
        {
            response.Headers[name] = value;
        }
        await using var pieces = form.Write(acts).GetAsyncEnumerator(context.RequestAborted);
        while (await NextAsync(context, form, pieces))
        {
            await response.BodyWriter.WriteAsync(pieces.Current, context.RequestAborted);
            await SocketThread.LeaveAsync(); // the agent's own code may block
        }
    }

    // While the agent is silent the connection must not look dead to what stands between.
    private async ValueTask<bool> NextAsync(HttpContext context, TurnAnswer.Streamed form, IAsyncEnumerator<byte[]> pieces)
    {
        var next = pieces.MoveNextAsync();
        if (next.IsCompleted || form.KeepAlive.Length == 0)
        {
            return await next;
        }
        var waiting = next.AsTask();
        while (true)
        {
            using var awake = new CancellationTokenSource();
            if (await Task.WhenAny(waiting, Task.Delay(BetweenSigns, clock, awake.Token)) == waiting)
            {
                await awake.CancelAsync();
                return await waiting;
            }
            await context.Response.BodyWriter.WriteAsync(form.KeepAlive, CancellationToken.None);
        }
    }
}
