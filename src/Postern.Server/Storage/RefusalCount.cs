using Postern.Core.Audit;

namespace Postern.Server.Storage;

/// <summary>
/// Keeps a flood of refusals from filling the disk: the first of each second have a row each, the rest one row a second for each
/// reason and agent, with their number. None is lost, whoever waits for a counted one waits for its row.
/// </summary>
internal sealed class RefusalCount(GroupedWriter writer, TimeProvider clock) : IDisposable
{
    /// <summary>Rows of their own in one second.</summary>
    public const int RowsPerSecond = 200;

    /// <summary>Rows of one second that count several; the client chooses the agent that it names, so their number must not be its choice.</summary>
    public const int MostCounted = 100;

    private readonly Lock gate = new();
    private Dictionary<(string, string?, string?), (AuditEvent Event, int Occurrences)> counted = [];
    private TaskCompletionSource flushed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ITimer? timer;
    private bool disposed;
    private long second;
    private int rows;

    /// <summary>False while refusals still get rows of their own.</summary>
    public bool TryCount(AuditEvent entry, out Task counted)
    {
        lock (gate)
        {
            var now = entry.At.ToUnixTimeSeconds();
            if (now != second)
            {
                (second, rows) = (now, 0);
            }
            if (++rows <= RowsPerSecond)
            {
                counted = Task.CompletedTask;
                return false;
            }
            Count(entry, 1);
            counted = flushed.Task;
            return true;
        }
    }

    /// <summary>Writes what has been counted.</summary>
    public async Task FlushAsync()
    {
        Dictionary<(string, string?, string?), (AuditEvent Event, int Occurrences)> taken;
        TaskCompletionSource done;
        lock (gate)
        {
            timer?.Dispose();
            timer = null;
            (taken, counted) = (counted, []);
            (done, flushed) = (flushed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }
        try
        {
            await writer.WriteAsync(transaction =>
            {
                foreach (var (entry, occurrences) in taken.Values)
                {
                    transaction.Audit(entry, occurrences);
                }
            });
            done.SetResult();
        }
        catch (Exception e)
        {
            lock (gate)
            {
                foreach (var (entry, occurrences) in taken.Values)
                {
                    Count(entry, occurrences); // they have happened: they are written when that is possible again
                }
            }
            done.SetException(e);
            _ = done.Task.Exception; // observed: most refusals are not waited for
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            disposed = true;
            timer?.Dispose();
        }
    }

    private void Count(AuditEvent entry, int occurrences)
    {
        var key = (entry.Name, entry.Reason, entry.Agent?.Value);
        if (counted.Count >= MostCounted && !counted.ContainsKey(key))
        {
            entry = new AuditEvent(entry.At, entry.Name) { Reason = entry.Reason, Detail = "of several agents" };
            key = (entry.Name, entry.Reason, null);
        }
        var present = counted.GetValueOrDefault(key);
        counted[key] = (present.Event ?? entry, present.Occurrences + occurrences);
        timer ??= disposed ? null : clock.CreateTimer(_ => _ = FlushAsync(), null, TimeSpan.FromSeconds(1), Timeout.InfiniteTimeSpan);
    }
}
