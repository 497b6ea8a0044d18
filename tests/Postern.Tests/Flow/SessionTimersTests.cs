using System.Diagnostics;
using Postern.Core.Sessions;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

[Collection(nameof(Alone))]
public class SessionTimersTests
{
    private readonly MovableClock clock = new();

    [Theory]
    [InlineData(10)]
    [InlineData(51.2)]
    [InlineData(600)]
    [InlineData(900)]
    public async Task Schedule_WhenTheTimeIsOver_EndsNeverBefore(double seconds)
    {
        using var timers = new SessionTimers(clock);
        var leash = new Leash();
        timers.Schedule(leash, TimeSpan.FromSeconds(seconds));

        clock.Advance(TimeSpan.FromSeconds(seconds - 6));
        await Task.Delay(300, TestContext.Current.CancellationToken);
        Assert.False(leash.TryGet(out _, out _));

        clock.Advance(TimeSpan.FromSeconds(6));
        await leash.Ended.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Assert.True(leash.TryGet(out var reason, out _));
        Assert.Equal(SessionEndReason.MaxDuration, reason);
    }

    [Fact]
    public async Task Schedule_RealTime_EndsWithinTwoTurns()
    {
        using var timers = new SessionTimers(TimeProvider.System);
        var leash = new Leash();
        var since = Stopwatch.GetTimestamp();
        timers.Schedule(leash, TimeSpan.FromMilliseconds(500));
        await leash.Ended.WaitAsync(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);
        Assert.InRange(Stopwatch.GetElapsedTime(since).TotalMilliseconds, 500, 4500);
    }

    [Fact]
    public async Task Schedule_ManyAndSomeDisposed_EndsExactlyTheOthers()
    {
        using var timers = new SessionTimers(clock);
        var dice = new Dice(3);
        var watched = Enumerable.Range(0, 5000).Select(_ =>
        {
            var leash = new Leash();
            var seconds = 10 * (1 + dice.Next(100));
            return (leash, seconds, watch: timers.Schedule(leash, TimeSpan.FromSeconds(seconds)));
        }).ToList();
        foreach (var (i, item) in watched.Index().Where(item => item.Index % 3 == 0)) item.watch.Dispose();
        foreach (var (i, item) in watched.Index().Where(item => item.Index % 6 == 0)) item.watch.Dispose();

        clock.Advance(TimeSpan.FromSeconds(505));
        var due = watched.Index().Where(item => item.Index % 3 != 0 && item.Item.seconds <= 500).Select(item => item.Item.leash).ToHashSet();
        await Task.WhenAll(due.Select(leash => leash.Ended)).WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Assert.All(watched, item => Assert.Equal(due.Contains(item.leash), item.leash.TryGet(out _, out _)));
    }

    [Fact]
    public async Task Observe_WaitingWriteAndSilence_AreToldApart()
    {
        using var timers = new SessionTimers(clock);
        var limits = new RelayLimits(1, 1, TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(5));
        Leash stuck = new(), silent = new(), lively = new();
        SessionActivity stuckActivity = new(clock), silentActivity = new(clock), livelyActivity = new(clock);
        timers.Observe(stuck, stuckActivity, limits);
        timers.Observe(silent, silentActivity, limits);
        timers.Observe(lively, livelyActivity, limits);

        stuckActivity.FromUpstream.Waits(clock.GetTimestamp());
        for (var i = 0; i < 13; i++)
        {
            clock.Advance(TimeSpan.FromSeconds(4.9));
            livelyActivity.Touch();
            stuckActivity.Touch();
            await Task.Delay(110, TestContext.Current.CancellationToken);
        }
        await Task.Delay(300, TestContext.Current.CancellationToken);

        Assert.True(stuck.TryGet(out var first, out _) & silent.TryGet(out var second, out _));
        Assert.Equal((SessionEndReason.SlowReader, SessionEndReason.Idle), (first, second));
        Assert.False(lively.TryGet(out _, out _));
    }
}
