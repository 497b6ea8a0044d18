using System.Runtime.CompilerServices;
using System.Text;
using Postern.Server.Agents;
using Postern.Server.Storage;

namespace Postern.Server.Flow;

/// <summary>One answer to an HTTP request, held by a leash and recorded: how much of it was said too, when it was cut short.</summary>
internal sealed class HeldAnswer(IHostedAgent agent, ConversationRecorder recorder, Leash leash)
{
    private readonly StringBuilder said = new();

    /// <summary>Records the user's word and passes on what the agent does. When the leash ends the session the last act says so.</summary>
    /// <exception cref="OperationCanceledException">The client is gone.</exception>
    public async IAsyncEnumerable<AgentAct> AnswerAsync(AgentTurn turn, [EnumeratorCancellation] CancellationToken ct)
    {
        await recorder.AddAsync(TurnRole.User, turn.LastWord);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct, leash.Token);
        await using var acts = agent.AnswerAsync(turn, stop.Token).GetAsyncEnumerator(CancellationToken.None);
        try
        {
            while (await NextAsync(acts, ct) is { } act)
            {
                if (act is AgentAct.Piece piece)
                {
                    said.Append(piece.Text);
                }
                yield return act;
            }
        }
        finally
        {
            if (said.Length > 0)
            {
                await recorder.AddAsync(TurnRole.Agent, said.ToString());
            }
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
