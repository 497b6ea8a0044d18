using Postern.Core.Sessions;

namespace Postern.Server.Flow;

/// <summary>One timer for all sessions: longest duration, silence, and receivers that do not take what they are sent.
/// A wheel of lists; starting, ending and checking a session costs a few pointer writes.</summary>
internal sealed class SessionTimers : IDisposable
{
    private const int Slots = 512;
    private static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(100);

    private readonly TimeProvider clock;
    private readonly long start;
    private readonly long ticksPerTurn;
    private readonly Watch?[] wheel = new Watch?[Slots];
    private readonly Lock gate = new();
    private readonly ITimer timer;
    private long turned;
    private int count;

    public SessionTimers(TimeProvider clock)
    {
        this.clock = clock;
        start = clock.GetTimestamp();
        ticksPerTurn = Ticks(Turn);
        timer = clock.CreateTimer(static self => ((SessionTimers)self!).Advance(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Ends the session with MaxDuration when <paramref name="longest"/> is over. Dispose the result when it ended otherwise.</summary>
    public Watch Schedule(Leash leash, TimeSpan longest) =>
        Add(new(this, leash, null) { Deadline = clock.GetTimestamp() + Ticks(longest) });

    /// <summary>Ends the session with Idle or SlowReader when its activity says so.</summary>
    public Watch Observe(Leash leash, SessionActivity activity, RelayLimits limits) =>
        Add(new(this, leash, activity) { Deadline = long.MaxValue, Idle = Ticks(limits.Idle), Slow = Ticks(limits.SlowReader) });

    private long Ticks(TimeSpan span) => (long)Math.Min(span.TotalSeconds * clock.TimestampFrequency, long.MaxValue / 4);

    private Watch Add(Watch watch)
    {
        lock (gate)
        {
            if (count++ == 0)
            {
                turned = TurnOf(clock.GetTimestamp());
                timer.Change(Turn, Turn);
            }
            Link(watch, clock.GetTimestamp());
        }
        return watch;
    }

    private void Remove(Watch watch)
    {
        lock (gate) Drop(watch);
    }

    private void Drop(Watch watch)
    {
        if (watch.Slot < 0) return;
        Unlink(watch);
        if (--count == 0) timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    private void Advance()
    {
        List<(Leash, SessionEndReason)>? over = null;
        lock (gate)
        {
            var now = clock.GetTimestamp();
            var until = TurnOf(now);
            for (var turn = Math.Max(turned + 1, until - Slots + 1); turn <= until; turn++)
            {
                for (var watch = wheel[turn % Slots]; watch is not null;)
                {
                    var next = watch.Next;
                    if (watch.Due <= turn)
                    {
                        if (watch.Verdict(now) is { } reason)
                        {
                            (over ??= []).Add((watch.Leash, reason));
                            Drop(watch);
                        }
                        else
                        {
                            Unlink(watch);
                            Link(watch, now);
                        }
                    }
                    watch = next;
                }
            }
            turned = Math.Max(turned, until);
        }
        if (over is null) return;
        foreach (var (leash, reason) in over) leash.End(reason);
    }

    private long TurnOf(long timestamp) => (timestamp - start) / ticksPerTurn;

    private void Link(Watch watch, long now)
    {
        // Never early: the turn in which the moment has certainly passed.
        watch.Due = Math.Max(TurnOf(watch.NextLook(now)) + 1, turned + 1);
        watch.Slot = (int)(watch.Due % Slots);
        watch.Previous = null;
        watch.Next = wheel[watch.Slot];
        if (watch.Next is { } next) next.Previous = watch;
        wheel[watch.Slot] = watch;
    }

    private void Unlink(Watch watch)
    {
        if (watch.Previous is { } previous) previous.Next = watch.Next;
        else wheel[watch.Slot] = watch.Next;
        if (watch.Next is { } next) next.Previous = watch.Previous;
        watch.Previous = watch.Next = null;
        watch.Slot = -1;
    }

    public void Dispose() => timer.Dispose();

    /// <summary>One session under watch; disposing it ends the watch, not the session.</summary>
    internal sealed class Watch(SessionTimers timers, Leash leash, SessionActivity? activity) : IDisposable
    {
        internal Watch? Previous, Next;
        internal int Slot = -1;
        internal long Due;

        internal Leash Leash => leash;
        internal long Deadline { get; init; }
        internal long Idle { get; init; }
        internal long Slow { get; init; }

        internal SessionEndReason? Verdict(long now) =>
            now >= Deadline ? SessionEndReason.MaxDuration
            : activity is null ? null
            : IsStuck(activity.FromClient, now) || IsStuck(activity.FromUpstream, now) ? SessionEndReason.SlowReader
            : now - activity.Last >= Idle ? SessionEndReason.Idle
            : null;

        // A write may begin to wait just after a look, so the next one is never further off than half the limit.
        internal long NextLook(long now) =>
            activity is null ? Deadline : Math.Min(activity.Last + Idle, now + Slow / 2);

        private bool IsStuck(Traffic traffic, long now) => traffic.WaitingSince is var since and > 0 && now - since >= Slow;

        public void Dispose() => timers.Remove(this);
    }
}
