namespace Postern.Server.Storage;

/// <summary>
/// Says every five seconds that this node lives, and finds others silent: whose count of beats has not moved from one beat of this
/// node's to the next but one is dead until it beats again, and its sessions count towards no limit meanwhile. Counted and not timed:
/// clocks differ, and while the database is away nobody beats and so nobody is found silent.
/// </summary>
internal sealed class Heartbeat(GroupedWriter writer, string node, TimeProvider clock) : IAsyncDisposable
{
    private const int Silent = 3;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource stopping = new();
    private Dictionary<string, int> seen = new(StringComparer.Ordinal);
    private Task running = Task.CompletedTask;

    /// <summary>Goes on beating until it is disposed.</summary>
    public void Start() => running = Task.Run(RunAsync);

    /// <summary>One beat, and a look at the others'.</summary>
    public async Task BeatAsync()
    {
        var others = await writer.WriteAsync(transaction =>
        {
            transaction.Execute("insert into node (name, beat, dead) values ($1, 1, 0) on conflict (name) do update set beat = node.beat + 1, dead = 0", node);
            return transaction.Texts("select name || ' ' || beat from node where dead = 0 and name <> $1", node);
        });
        seen = others.ToDictionary(beat => beat, beat => seen.GetValueOrDefault(beat) + 1, StringComparer.Ordinal);
        foreach (var (beat, _) in seen.Where(one => one.Value >= Silent))
        {
            // Not if it has beaten meanwhile.
            await writer.WriteAsync(transaction => transaction.Execute("update node set dead = 1 where name || ' ' || beat = $1", beat));
        }
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
        while (true)
        {
            // After each beat, not at fixed times: after a pause of the machine no two may follow at once, or all others would seem silent.
            await Task.Delay(Interval, clock, stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (stopping.IsCancellationRequested)
            {
                return;
            }
            try
            {
                await BeatAsync();
            }
            catch (Exception)
            {
                // Whatever it was, the next turn beats again: a node that is thought dead has its sessions counted no more.
            }
        }
    }
}
