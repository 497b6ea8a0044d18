namespace Postern.Server.Dialects;

/// <summary>One alarm for a loop that waits for other things as well: asked for again, it keeps the time it was set to unless a sooner one is wanted.</summary>
internal sealed class TalkAlarm(TimeProvider clock) : IDisposable
{
    private Task rings = Task.CompletedTask;
    private long due;
    private CancellationTokenSource? cancel;

    /// <summary>Completes when <paramref name="time"/> is over, or has been since it was last asked.</summary>
    public Task In(TimeSpan time)
    {
        var wanted = clock.GetTimestamp() + (long)(Math.Max(0, time.TotalSeconds) * clock.TimestampFrequency);
        if (rings.IsCompleted || wanted < due)
        {
            Dispose();
            cancel = new CancellationTokenSource();
            due = wanted;
            // A millisecond more: timers may be early by a part of one, and the loop would turn until it is over.
            rings = Task.Delay(TimeSpan.FromMilliseconds(Math.Max(0, time.TotalMilliseconds) + 1), clock, cancel.Token);
        }
        return rings;
    }

    public void Dispose()
    {
        cancel?.Cancel();
        cancel?.Dispose();
        cancel = null;
    }
}
