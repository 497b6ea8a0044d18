using System.Runtime.CompilerServices;
using Postern.Core.Sessions;
using Postern.Server.Agents;

namespace Postern.Server.Flow;

/// <summary>One answer to an HTTP request, held by a leash.</summary>
/// <param name="keep">Called with what the agent did when it is over, also when it was cut short, before the end of it is told.</param>
internal sealed class HeldAnswer(IHostedAgent agent, Leash leash, Func<IReadOnlyList<AgentAct>, Task> keep)
{
    private readonly List<AgentAct> done = [];

    /// <summary>How the session ended when the agent could not answer, or not to the end; null when it could, and when the leash ended it.</summary>
    public SessionEnd? Failure => leash.TryGet(out _, out _) || done.LastOrDefault() is not AgentAct.Failed failed ? null
        : new SessionEnd(done.Exists(act => act is AgentAct.Piece) ? SessionEndReason.UpstreamLost : SessionEndReason.UpstreamUnreachable, Frames.NoCode, failed.Sentence);

    /// <summary>Passes on what the agent does. When the leash ends the session the last act says so.</summary>
    /// <exception cref="OperationCanceledException">The client is gone.</exception>
    public async IAsyncEnumerable<AgentAct> AnswerAsync(AgentTurn turn, [EnumeratorCancellation] CancellationToken ct)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct, leash.Token);
        await using var acts = agent.AnswerAsync(turn, stop.Token).GetAsyncEnumerator(CancellationToken.None);
        try
        {
            while (await NextAsync(acts, ct) is { } act)
            {
                done.Add(act);
                yield return act;
            }
        }
        finally
        {
            await keep(done);
        }
    }

    private async ValueTask<AgentAct?> NextAsync(IAsyncEnumerator<AgentAct> acts, CancellationToken ct)
    {
        try
        {
            return await acts.MoveNextAsync() ? acts.Current : null;
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return new AgentAct.Failed(AgentFailure.Unreachable, "The session was ended.");
        }
    }
}
