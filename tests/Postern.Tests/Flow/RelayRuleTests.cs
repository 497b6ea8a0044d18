using Postern.Core.Sessions;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

/// <summary>RFC 6455 through the relay: what breaks it ends the session with the right code and never reaches the other side.</summary>
[Trait("attack", "C13")]
public class RelayRuleTests
{
    private static readonly RelayLimits Limits = new(64 * 1024, 2000, TimeSpan.FromMinutes(1), TimeSpan.FromSeconds(10));

    // name · bytes of the client with a mask of zeros ("m" stands for it) · close code
    public static TheoryData<string, string, int> BrokenRules => new()
    {
        { "reserved bit 1", "C181m61", 1002 },
        { "reserved bit 2", "A181m61", 1002 },
        { "reserved bit 3", "9181m61", 1002 },
        { "reserved bit on a continuation", "0181m61 C081m61", 1002 },
        { "not masked", "810161", 1002 },
        { "opcode 3", "8380m", 1002 },
        { "opcode 7", "8780m", 1002 },
        { "opcode 11", "8B80m", 1002 },
        { "opcode 15", "8F80m", 1002 },
        { "fragmented ping", "0980m", 1002 },
        { "fragmented close", "0880m", 1002 },
        { "ping of 126 bytes", "89FE007Em", 1002 },
        { "close of 126 bytes", "88FE007Em", 1002 },
        { "nothing to continue", "8081m61", 1002 },
        { "nothing to continue after the end", "0181m61 8081m61 8081m61", 1002 },
        { "new message within a message", "0181m61 8181m61", 1002 },
        { "16-bit length not shortest", "81FE007Dm", 1002 },
        { "64-bit length not shortest", "82FF000000000000FFFFm", 1002 },
        { "64-bit length with the high bit", "82FF8000000000000000m", 1002 },
        { "half a close code", "8881mFF", 1002 },
        { "close 0", "8882m0000", 1002 },
        { "close 999", "8882m03E7", 1002 },
        { "close 1004", "8882m03EC", 1002 },
        { "close 1005", "8882m03ED", 1002 },
        { "close 1006", "8882m03EE", 1002 },
        { "close 1015", "8882m03F7", 1002 },
        { "close 1016", "8882m03F8", 1002 },
        { "close 2999", "8882m0BB7", 1002 },
        { "close 5000", "8882m1388", 1002 },
        { "close 65535", "8882mFFFF", 1002 },
        { "close reason not UTF-8", "8884m03E8C328", 1007 },
        { "text not UTF-8", "8181mFF", 1007 },
        { "text ends within a character", "8182mE8AA", 1007 },
        { "text with a surrogate", "8183mEDA080", 1007 },
        { "overlong text", "8182mC080", 1007 },
        { "character cut between fragments, then wrong", "0182mE8AA 8081m41", 1007 },
        { "message announced too big", "82FF0000000000010001m", 1009 },
        { "message announced absurdly big", "82FF7FFFFFFFFFFFFFFFm", 1009 },
    };

    [Theory]
    [MemberData(nameof(BrokenRules))]
    public async Task Client_BreaksARule_IsToldAndTheUpstreamNeverSeesIt(string name, string hex, int code)
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url, Limits);
        var (client, agent) = await host.ConnectAsync(upstream);
        await client.SendAsync("good", masked: true);
        await client.SendAsync(Convert.FromHexString(hex.Replace("m", "00000000", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal)));

        Assert.Equal("{\"bye\":true}", (await client.ReadFrameAsync())!.Value.Text);
        var close = await client.ReadFrameAsync();
        Assert.Equal((name, Opcode.Close, code), (name, close!.Value.Opcode, (int)close.Value.Close.Code));
        await client.SendAsync(Opcode.Close, [0x03, 0xEA]);

        var seen = new List<Wire.Frame>();
        while (await agent.ReadFrameAsync() is { } frame) seen.Add(frame);
        Assert.Equal("good", seen[0].Text);
        Assert.True(seen.Count == 1 || seen[^1] is { Opcode: Opcode.Close, Masked: true } last && last.Close.Code is 1000 or 1001);
        Assert.DoesNotContain(seen, frame => frame.Opcode == Opcode.Close && frame.Close.Code == code);
        var end = await host.EndAsync();
        Assert.Equal(code, end.CloseCode);
        Assert.Equal(code == 1009 ? SessionEndReason.MessageTooBig : SessionEndReason.ProtocolError, end.Reason);
    }

    [Theory]
    [Trait("attack", "C16")]
    [MemberData(nameof(BrokenRules))]
    public async Task Upstream_BreaksARule_EndsTheSessionForTheClient(string name, string hex, int code)
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url, Limits);
        var (client, agent) = await host.ConnectAsync(upstream);
        await agent.SendAsync("good", masked: false);
        await agent.SendAsync(AsServer(name, hex));

        Assert.Equal("good", (await client.ReadFrameAsync())!.Value.Text);
        var seen = new List<Wire.Frame>();
        while (await client.ReadFrameAsync() is { } frame && frame.Opcode != Opcode.Close) seen.Add(frame);
        await client.SendAsync(Opcode.Close, []);

        Assert.True(seen.All(frame => frame.Final ? frame.Text == "{\"bye\":true}" || frame.Text == "a" : frame.Payload.Length < 3), name);
        var end = await host.EndAsync();
        Assert.Equal(code == 1009 ? SessionEndReason.MessageTooBig : SessionEndReason.UpstreamLost, end.Reason);
    }

    private static byte[] AsServer(string name, string hex)
    {
        if (name == "not masked") return Convert.FromHexString("818100000000" + "61");
        var frames = hex.Split(' ').Select(frame =>
        {
            var bytes = Convert.FromHexString(frame.Replace("m", "", StringComparison.Ordinal));
            bytes[1] &= 0x7F;
            return bytes;
        });
        return [.. frames.SelectMany(bytes => bytes)];
    }

    [Theory]
    [InlineData("pings")]
    [InlineData("empty fragments")]
    [InlineData("one-byte messages")]
    public async Task Client_FloodsWithSmallFrames_IsClosed1008(string kind)
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url, Limits);
        var (client, agent) = await host.ConnectAsync(upstream);
        var reading = agent.ReadToEndAsync();
        byte[] begin = kind == "empty fragments" ? Wire.Bytes(Opcode.Text, [], final: false) : [];
        var one = kind switch
        {
            "pings" => Wire.Bytes(Opcode.Ping, []),
            "empty fragments" => Wire.Bytes(Opcode.Continuation, [], final: false),
            _ => Wire.Bytes(Opcode.Binary, [1]),
        };
        await client.SendAsync([.. begin, .. Enumerable.Repeat(one, 5000).SelectMany(bytes => bytes)]);

        // Inside a fragmented message no event fits: then the close comes alone.
        var frame = await client.ReadFrameAsync();
        if (frame!.Value.Opcode == Opcode.Text) frame = await client.ReadFrameAsync();
        Assert.Equal(1008, frame!.Value.Close.Code);
        await client.SendAsync(Opcode.Close, []);
        Assert.Equal(SessionEndReason.RateExceeded, (await host.EndAsync()).Reason);
        Assert.True((await reading).Length <= (Limits.MaxFramesPerSecond + 1) * one.Length + 64);
    }

    [Fact]
    public async Task Client_MessageOfTinyFragmentsBelowTheRate_IsClosed1008()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url, Limits with { MaxFramesPerSecond = 100_000 });
        var (client, agent) = await host.ConnectAsync(upstream);
        var reading = agent.ReadToEndAsync();
        await client.SendAsync(Opcode.Text, [], final: false);
        await client.SendAsync([.. Enumerable.Repeat(Wire.Bytes(Opcode.Continuation, "a"u8, final: false), 5000).SelectMany(bytes => bytes)]);

        while (await client.ReadFrameAsync() is { Opcode: not Opcode.Close }) { }
        await client.SendAsync(Opcode.Close, []);
        var end = await host.EndAsync();
        Assert.Equal((SessionEndReason.RateExceeded, 1008), (end.Reason, end.CloseCode));
        await reading;
    }

    [Fact]
    public async Task Client_TooManyBytesASecond_IsClosed1008()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url, Limits with { MaxBytesPerSecond = 100_000 });
        var (client, agent) = await host.ConnectAsync(upstream);
        var reading = agent.ReadToEndAsync();
        for (var i = 0; i < 5; i++) await client.SendAsync(Opcode.Binary, new byte[40_000]);

        while (await client.ReadFrameAsync() is { Opcode: not Opcode.Close }) { }
        await client.SendAsync(Opcode.Close, []);
        Assert.Equal(SessionEndReason.RateExceeded, (await host.EndAsync()).Reason);
        await reading;
    }

    [Fact]
    public async Task Message_FragmentsTogetherTooBig_IsClosed1009()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url, Limits);
        var (client, agent) = await host.ConnectAsync(upstream);
        var reading = agent.ReadToEndAsync();
        await client.SendAsync(Opcode.Binary, new byte[40_000], final: false);
        await client.SendAsync(Opcode.Continuation, new byte[25_536], final: false);
        await client.SendAsync(Opcode.Continuation, new byte[1], final: false);

        while (await client.ReadFrameAsync() is { Opcode: not Opcode.Close }) { }
        await client.SendAsync(Opcode.Close, []);
        Assert.Equal(SessionEndReason.MessageTooBig, (await host.EndAsync()).Reason);
        Assert.Equal(40_000 + 25_536 + 2 * 8 + 8, (await reading).Length); // two whole frames and Postern's close
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Frames_SentByteByByte_PassUnchanged(int piece)
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url, Limits);
        var (client, agent) = await host.ConnectAsync(upstream);
        byte[] all = [.. Wire.Bytes(Opcode.Text, "语言"u8), .. Wire.Bytes(Opcode.Ping, "x"u8), .. Wire.Bytes(Opcode.Binary, new byte[300]), .. Wire.Bytes(Opcode.Close, [0x0F, 0xA0, .. "bye"u8])];
        foreach (var bytes in all.Chunk(piece))
        {
            await client.SendAsync(bytes);
            await Task.Delay(1, TestContext.Current.CancellationToken);
        }
        Assert.Equal(all, await agent.ReadAsync(all.Length));
        await agent.SendAsync(Opcode.Close, [0x0F, 0xA0], masked: false);
        Assert.Equal(4000, (await client.ReadFrameAsync())!.Value.Close.Code);
        Assert.Equal(new SessionEnd(SessionEndReason.ClientClosed, 4000, "bye"), await host.EndAsync());
    }
}
