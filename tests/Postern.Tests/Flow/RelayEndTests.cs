using System.Diagnostics;
using Postern.Core.Sessions;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

/// <summary>Every way a relayed session ends: what the client, the upstream and the record are told.</summary>
[Collection(nameof(Alone))]
public class RelayEndTests
{
    [Fact]
    public async Task Leash_BetweenFrames_SaysEventThenCloseAndClosesTheUpstream()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        await agent.SendAsync("hello", masked: false);
        Assert.Equal("hello", (await client.ReadFrameAsync())!.Value.Text);

        var since = Stopwatch.GetTimestamp();
        (await host.LeashAsync()).End(SessionEndReason.MaxDuration, "ten minutes");
        Assert.Equal("{\"bye\":true}", (await client.ReadFrameAsync())!.Value.Text);
        Assert.True(Stopwatch.GetElapsedTime(since) < TimeSpan.FromSeconds(3));
        Assert.Equal("MaxDuration", (await client.ReadFrameAsync())!.Value.Close.Reason);
        var goodbye = (await agent.ReadFrameAsync())!.Value;
        Assert.Equal((Opcode.Close, true, 1000), (goodbye.Opcode, goodbye.Masked, (int)goodbye.Close.Code));
        await client.SendAsync(Opcode.Close, [0x03, 0xE8]);

        Assert.Empty(await client.ReadToEndAsync());
        var end = await host.EndAsync();
        Assert.Equal((SessionEndReason.MaxDuration, "ten minutes"), (end.Reason, end.Detail));
    }

    [Fact]
    public async Task Leash_WithinAFrame_WaitsForItsEnd()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        byte[] frame = Wire.Bytes(Opcode.Text, "one two three"u8, masked: false), late = Wire.Bytes(Opcode.Text, "too late"u8, masked: false);
        await agent.SendAsync(frame[..7]);
        Assert.Equal(frame[..7], await client.ReadAsync(7));

        (await host.LeashAsync()).End(SessionEndReason.Revoked);
        await Task.Delay(300, TestContext.Current.CancellationToken);
        await agent.SendAsync([.. frame[7..], .. late]);

        Assert.Equal(frame[7..], await client.ReadAsync(frame.Length - 7));
        Assert.Equal("{\"bye\":true}", (await client.ReadFrameAsync())!.Value.Text);
        Assert.Equal(Opcode.Close, (await client.ReadFrameAsync())!.Value.Opcode);
        await client.SendAsync(Opcode.Close, []);
        Assert.Equal(SessionEndReason.Revoked, (await host.EndAsync()).Reason);
    }

    [Fact]
    public async Task Leash_WithinAFrameThatNeverEnds_CutsTheClient()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        var frame = Wire.Bytes(Opcode.Text, "one two three"u8, masked: false);
        await agent.SendAsync(frame[..7]);
        Assert.Equal(frame[..7], await client.ReadAsync(7));

        var since = Stopwatch.GetTimestamp();
        (await host.LeashAsync()).End(SessionEndReason.Revoked);
        Assert.Empty(await client.ReadToEndAsync());
        Assert.InRange(Stopwatch.GetElapsedTime(since).TotalSeconds, 0.9, 6);
        Assert.Equal(new SessionEnd(SessionEndReason.Revoked, 1006), await host.EndAsync());
        Assert.Equal(1000, (await agent.ReadFrameAsync())!.Value.Close.Code);
    }

    [Fact]
    public async Task Leash_WithinAFragmentedMessage_SaysTheCloseAlone()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        await agent.SendAsync(Opcode.Text, "half"u8.ToArray(), final: false, masked: false);
        Assert.Equal("half", (await client.ReadFrameAsync())!.Value.Text);

        (await host.LeashAsync()).End(SessionEndReason.Operator);
        Assert.Equal(Opcode.Close, (await client.ReadFrameAsync())!.Value.Opcode);
        await client.SendAsync(Opcode.Close, []);
        Assert.Equal(SessionEndReason.Operator, (await host.EndAsync()).Reason);
    }

    [Fact]
    public async Task Leash_SeveralCalls_FirstDecides()
    {
        var leash = new Leash();
        var calls = 0;
        leash.OnEnd(() => calls++);
        Assert.False(leash.TryGet(out _, out _));
        Assert.False(leash.Ended.IsCompleted || leash.Token.IsCancellationRequested);

        Assert.True(leash.End(SessionEndReason.Revoked, "first"));
        Assert.False(leash.End(SessionEndReason.Idle, "second"));
        leash.OnEnd(() => calls++);

        Assert.True(leash.TryGet(out var reason, out var detail));
        Assert.Equal((SessionEndReason.Revoked, "first", 2), (reason, detail, calls));
        await leash.Ended.WaitAsync(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);
        Assert.True(leash.Token.WaitHandle.WaitOne(TimeSpan.FromSeconds(5)));
    }

    [Fact]
    public async Task Upstream_DiesWithoutClose_ClientIsTold()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        await agent.SendAsync("last", masked: false);
        await agent.DisposeAsync();

        Assert.Equal("last", (await client.ReadFrameAsync())!.Value.Text);
        Assert.Equal("{\"bye\":true}", (await client.ReadFrameAsync())!.Value.Text);
        Assert.Equal(1011, (await client.ReadFrameAsync())!.Value.Close.Code);
        await client.SendAsync(Opcode.Close, [0x03, 0xF3]);
        var end = await host.EndAsync();
        Assert.Equal((SessionEndReason.UpstreamLost, 1011), (end.Reason, end.CloseCode));
    }

    [Fact]
    public async Task Upstream_DiesWithinAFrame_ClientIsCut()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        var frame = Wire.Bytes(Opcode.Text, "one two three"u8, masked: false);
        await agent.SendAsync(frame[..7]);
        await agent.DisposeAsync();

        Assert.Equal(frame[..7], await client.ReadToEndAsync());
        var end = await host.EndAsync();
        Assert.Equal((SessionEndReason.UpstreamLost, 1006), (end.Reason, end.CloseCode));
    }

    [Fact]
    public async Task Client_Vanishes_UpstreamGetsAClose()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        await client.SendAsync("last", masked: true);
        await client.DisposeAsync();

        Assert.Equal("last", (await agent.ReadFrameAsync())!.Value.Text);
        var goodbye = (await agent.ReadFrameAsync())!.Value;
        Assert.Equal((Opcode.Close, true, 1001), (goodbye.Opcode, goodbye.Masked, (int)goodbye.Close.Code));
        var end = await host.EndAsync();
        Assert.Equal((SessionEndReason.ClientClosed, 1006), (end.Reason, end.CloseCode));
    }

    [Fact]
    public async Task Client_Closes_UpstreamsLastFramesAndAnswerStillPass()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        await client.SendAsync(Opcode.Close, [0x03, 0xE8, .. "done"u8]);
        Assert.Equal(new CloseFrame(1000, "done"), (await agent.ReadFrameAsync())!.Value.Close);
        await agent.SendAsync("still this", masked: false);
        await agent.SendAsync(Opcode.Close, [0x0F, 0xA1, .. "mine"u8], masked: false);

        Assert.Equal("still this", (await client.ReadFrameAsync())!.Value.Text);
        Assert.Equal(new CloseFrame(4001, "mine"), (await client.ReadFrameAsync())!.Value.Close);
        Assert.Empty(await client.ReadToEndAsync());
        Assert.Equal(new SessionEnd(SessionEndReason.ClientClosed, 1000, "done"), await host.EndAsync());
    }

    [Fact]
    public async Task Client_ClosesAndUpstreamStaysSilent_IsAnsweredInTime()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        var since = Stopwatch.GetTimestamp();
        await client.SendAsync(Opcode.Close, [0x0F, 0xA2]);
        Assert.Equal(4002, (await client.ReadFrameAsync())!.Value.Close.Code);
        Assert.InRange(Stopwatch.GetElapsedTime(since).TotalSeconds, 1.5, 8);
        Assert.Equal(new SessionEnd(SessionEndReason.ClientClosed, 4002), await host.EndAsync());
        await agent.ReadToEndAsync();
    }

    [Fact]
    public async Task Upstream_ClosesAndClientStaysSilent_EndsInTime()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        await agent.SendAsync(Opcode.Close, [0x03, 0xE8, .. "over"u8], masked: false);
        Assert.Equal("over", (await client.ReadFrameAsync())!.Value.Close.Reason);

        Assert.Equal(new SessionEnd(SessionEndReason.AgentClosed, 1000, "over"), await host.EndAsync());
        var answer = (await agent.ReadFrameAsync())!.Value;
        Assert.Equal((Opcode.Close, 1000), (answer.Opcode, (int)answer.Close.Code));
        await client.ReadToEndAsync();
    }

    [Fact]
    public async Task Upstream_ClosesWithoutCode_IsKnownAs1005()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        await agent.SendAsync(Opcode.Close, [], masked: false);
        Assert.Empty((await client.ReadFrameAsync())!.Value.Payload);
        await client.SendAsync(Opcode.Close, []);
        Assert.Equal(new SessionEnd(SessionEndReason.AgentClosed, 1005), await host.EndAsync());
    }

    [Fact]
    public async Task Idle_BothSidesSilent_EndsWhenTheTimeIsOver()
    {
        var clock = new MovableClock();
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url, RelayHost.Wide with { Idle = TimeSpan.FromSeconds(30) }, clock);
        var (client, agent) = await host.ConnectAsync(upstream);
        await host.LeashAsync();
        clock.Advance(TimeSpan.FromSeconds(25));
        await client.SendAsync(Opcode.Ping, []);
        Assert.Equal(Opcode.Ping, (await agent.ReadFrameAsync())!.Value.Opcode);
        clock.Advance(TimeSpan.FromSeconds(25));
        await Task.Delay(400, TestContext.Current.CancellationToken);
        await agent.SendAsync("alive", masked: false);
        Assert.Equal("alive", (await client.ReadFrameAsync())!.Value.Text);

        clock.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal("{\"bye\":true}", (await client.ReadFrameAsync())!.Value.Text);
        await client.SendAsync(Opcode.Close, []);
        Assert.Equal(SessionEndReason.Idle, (await host.EndAsync()).Reason);
    }

    [Fact]
    public async Task Activity_AfterTraffic_CountsFramesAndBytes()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var (client, agent) = await host.ConnectAsync(upstream);
        await client.SendAsync("12345", masked: true);
        await agent.ReadFrameAsync();
        await agent.SendAsync("123", masked: false);
        await agent.SendAsync("123", masked: false);
        await client.ReadFrameAsync();
        await client.ReadFrameAsync();
        await client.DisposeAsync();
        await host.EndAsync();
        Assert.Equal((1, 11, 2, 10), (host.Activity!.FromClient.Frames, host.Activity.FromClient.Bytes, host.Activity.FromUpstream.Frames, host.Activity.FromUpstream.Bytes));
    }
}
