using Postern.Server.Observability;
using Postern.Server.Storage;

namespace Postern.Server.Hosting;

/// <summary>Once a day, on one of all nodes, removes what projects keep no longer and ends what nodes left that never came back. Says in the log how far it is.</summary>
internal sealed class DailySweep : IAsyncDisposable
{
    private static readonly TimeSpan Looks = TimeSpan.FromHours(1);

    private readonly Store store;
    private readonly ILogger log;
    private readonly TimeProvider clock;
    private readonly CancellationTokenSource stopping = new();
    private readonly Task running;

    public DailySweep(Store store, ILogger<DailySweep> log, TimeProvider clock)
    {
        (this.store, this.log, this.clock) = (store, log, clock);
        running = Task.Run(RunAsync);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await running;
        stopping.Dispose();
    }

    private async Task RunAsync()
    {
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                await SweepAsync();
            }
            catch (StorageException e)
            {
                Log.SweepFailed(log, e.Message); // the next turn does what is left
            }
            await Task.Delay(Looks, clock, stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task SweepAsync()
    {
        var now = clock.GetUtcNow();
        if (!await store.Sweep.TakeTurnAsync(now))
        {
            return;
        }
        foreach (var done in await store.Sweep.RunAsync(now, state => Log.Sweeping(log, state.Project.Value, state.Conversations, state.Messages, state.RetentionDays), stopping.Token))
        {
            if (done is { Conversations: 0, Messages: 0 })
            {
                continue; // nobody waits for that line at each start
            }
            Log.Swept(log, done.Project.Value, done.Conversations, done.Messages, done.RetentionDays);
        }
        if (await store.EndAbandonedSessionsAsync() is var lost and > 0)
        {
            Log.AbandonedEnded(log, lost);
        }
    }
}
