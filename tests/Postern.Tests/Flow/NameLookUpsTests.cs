using System.Net;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

/// <summary>A name server that is silent keeps those waiting who asked it, and nobody else.</summary>
public class NameLookUpsTests
{
    [Fact]
    public async Task Names_ThatNobodyAnswers_DoNotKeepTheServerFromAnswering()
    {
        await using var postern = await TestPostern.StartAsync();
        using var answered = new ManualResetEventSlim();
        var asked = 0;
        var names = new NameLookUps(_ =>
        {
            Interlocked.Increment(ref asked);
            answered.Wait(TimeSpan.FromSeconds(60));
            return [IPAddress.Loopback];
        });

        // Asked from beside the pool, so that what is asked within it stands before whatever the requests need of it.
        var waiting = await Task.Factory.StartNew(() => Enumerable.Range(0, 400).Select(i => names.FindAsync($"{(i % 2 == 0 ? "HOST" : "host")}{i / 2}.example")).ToList(),
            TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await postern.Client.GetAsync("/v1/convai/agents", TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken)).StatusCode);
        }
        Assert.All(waiting, one => Assert.False(one.IsCompleted));

        answered.Set();
        Assert.All(await Task.WhenAll(waiting).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken), found => Assert.Equal([IPAddress.Loopback], found));
        Assert.Equal(200, asked); // whoever asks for a name that is asked for waits for the same answer
        await names.FindAsync("host0.example");
        Assert.Equal(201, asked); // and nothing is kept: names change their addresses
    }
}
