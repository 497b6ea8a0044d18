namespace Postern.Server.Agents.Chat;

/// <summary>How long one answer may take: the whole of it, and every wait for something more.</summary>
internal sealed class ChatTime : IDisposable
{
    private readonly CancellationTokenSource whole, wait, any;

    public ChatTime(ChatOptions options, TimeProvider clock, CancellationToken ct)
    {
        whole = new CancellationTokenSource(options.WholeAnswer, clock);
        wait = new CancellationTokenSource(Timeout.InfiniteTimeSpan, clock);
        any = CancellationTokenSource.CreateLinkedTokenSource(ct, whole.Token, wait.Token);
    }

    /// <summary>Cancelled when time is over, or by whoever wanted the answer.</summary>
    public CancellationToken Token => any.Token;

    /// <summary>Why it is cancelled, for the log; null when it was by whoever wanted the answer.</summary>
    public string? Over => wait.IsCancellationRequested ? "The endpoint said nothing for too long." : whole.IsCancellationRequested ? "The endpoint's answer took too long." : null;

    /// <summary>From now on something more must come within <paramref name="time"/>; while nobody waits for it none passes.</summary>
    public void Wait(TimeSpan time) => wait.CancelAfter(time);

    public void Dispose()
    {
        any.Dispose();
        wait.Dispose();
        whole.Dispose();
    }
}
