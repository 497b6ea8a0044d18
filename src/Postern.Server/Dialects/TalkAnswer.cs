using Postern.Server.Agents;

namespace Postern.Server.Dialects;

/// <summary>An answer under way, taken act by act by a loop that waits for other things as well; disposed early it is cut short, and what is behind the agent with it.</summary>
internal sealed class TalkAnswer : IAsyncDisposable
{
    private readonly CancellationTokenSource cancel = new();
    private readonly IAsyncEnumerator<AgentAct> acts;

    public TalkAnswer(IHostedAgent agent, AgentTurn turn)
    {
        acts = agent.AnswerAsync(turn, cancel.Token).GetAsyncEnumerator();
        Next = acts.MoveNextAsync().AsTask();
    }

    /// <summary>Completes when there is an act to take; false when the answer is over.</summary>
    public Task<bool> Next { get; private set; }

    /// <summary>Takes the act that is there, and asks for the next.</summary>
    public AgentAct Take()
    {
        var act = acts.Current;
        Next = acts.MoveNextAsync().AsTask();
        return act;
    }

    public async ValueTask DisposeAsync()
    {
        await cancel.CancelAsync();
        await ((Task)Next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // it stops as it was told to; what else it failed of has been thrown before
        await acts.DisposeAsync();
        cancel.Dispose();
    }
}
