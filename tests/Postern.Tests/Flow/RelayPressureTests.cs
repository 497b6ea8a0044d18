using Postern.Core.Sessions;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

/// <summary>Sides that send more than the other takes.</summary>
[Collection(nameof(Alone))]
public class RelayPressureTests
{
    // Sockets of both hops and the server's pipe hold something; a relay that buffers would hold all of it.
    private const int Chunk = 64 * 1024;
    private const int Flood = 64 * 1024 * 1024;
    private const int MostHeld = 24 * 1024 * 1024;

    [Fact]
    [Trait("attack", "C16")]
    public async Task Upstream_FloodsAReaderThatStops_IsHeldBackAndThenLosesNothing()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        await HeldBackThenCompleteAsync(agent, client, masked: false);
        await client.DisposeAsync();
        await host.EndAsync();
    }

    [Fact]
    public async Task Client_FloodsAnUpstreamThatStops_IsHeldBackAndThenLosesNothing()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        await HeldBackThenCompleteAsync(client, agent, masked: true);
        await agent.DisposeAsync();
        await host.EndAsync();
    }

    private static async Task HeldBackThenCompleteAsync(Wire from, Wire to, bool masked)
    {
        var frame = Wire.Bytes(Opcode.Binary, new Dice(7).Bytes(Chunk), masked: masked);
        long sent = 0;
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var sending = Task.Run(async () =>
        {
            for (var i = 0; i < Flood / Chunk; i++)
            {
                await from.Stream.WriteAsync(frame);
                Interlocked.Add(ref sent, frame.Length);
            }
        }, TestContext.Current.CancellationToken);
        await StoppedAsync(() => Interlocked.Read(ref sent));

        Assert.False(sending.IsCompleted);
        Assert.InRange(Interlocked.Read(ref sent), 1, MostHeld);
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 4 * 1024 * 1024);

        var buffer = new byte[256 * 1024];
        for (long at = 0, all = (long)frame.Length * (Flood / Chunk); at < all;)
        {
            var count = await to.Stream.ReadAsync(buffer, TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
            Assert.NotEqual(0, count);
            for (var i = 0; i < count; i += 997) Assert.Equal(frame[(at + i) % frame.Length], buffer[i]);
            at += count;
        }
        await sending;
    }

    private static async Task StoppedAsync(Func<long> sent)
    {
        for (long last = -1; sent() == 0 || sent() != last;)
        {
            last = sent();
            await Task.Delay(300, TestContext.Current.CancellationToken);
        }
    }

    [Theory]
    [Trait("attack", "C15")]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Reader_TakesNothingForTooLong_EndsTheSession(bool clientStops)
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url, RelayHost.Wide with { SlowReader = TimeSpan.FromSeconds(1) });
        var (client, agent) = await host.ConnectAsync(upstream);
        var (from, to) = clientStops ? (agent, client) : (client, agent);
        var frame = Wire.Bytes(Opcode.Binary, new byte[Chunk], masked: !clientStops);
        var sending = Task.Run(async () =>
        {
            while (true) await from.Stream.WriteAsync(frame);
        }, TestContext.Current.CancellationToken);

        var end = await host.EndAsync();
        Assert.Equal(SessionEndReason.SlowReader, end.Reason);
        if (!clientStops) Assert.Equal("{\"bye\":true}", (await client.ReadFrameAsync())!.Value.Text);
        await to.ReadToEndAsync();
        await from.DisposeAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => sending);
    }
}
