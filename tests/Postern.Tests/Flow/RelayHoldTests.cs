using System.Text;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

/// <summary>A relay that judges the client's messages: what may pass is not touched, what may not leaves no trace, answers fall between messages.</summary>
public class RelayHoldTests
{
    private static readonly byte[] Answer = "no"u8.ToArray();

    // "bad…" is refused with an answer, "swap…" is replaced, the rest passes.
    private static readonly RelayRule Rule = new((isText, message) => Encoding.UTF8.GetString(message.Span) switch
    {
        var text when text.StartsWith("bad", StringComparison.Ordinal) => Passage.Refused(Answer),
        var text when text.StartsWith("swap", StringComparison.Ordinal) => new Passage("swapped"u8.ToArray(), [Answer]),
        _ => Passage.AsItCame,
    });

    [Fact]
    public async Task Messages_ThatMayPass_ArriveByteForByte_InWhateverPieces()
    {
        var dice = new Dice(7);
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        host.Rule = Rule;
        var (client, agent) = await host.ConnectAsync(upstream);
        await using var ends = client;
        byte[] frames =
        [
            .. Wire.Bytes(Opcode.Text, "hello"u8), .. Wire.Bytes(Opcode.Text, "in "u8, final: false), .. Wire.Bytes(Opcode.Continuation, ""u8, final: false),
            .. Wire.Bytes(Opcode.Continuation, "pieces"u8), .. Wire.Bytes(Opcode.Binary, new byte[70_000]), .. Wire.Bytes(Opcode.Text, ""u8),
        ];
        for (var at = 0; at < frames.Length;)
        {
            var size = Math.Min(frames.Length - at, 1 + dice.Next(at < 100 ? 8 : 9000));
            await client.SendAsync(frames[at..(at + size)]);
            at += size;
        }
        Assert.Equal(frames, await agent.ReadAsync(frames.Length));
    }

    [Fact]
    public async Task Messages_RefusedAndReplaced_AreAnsweredAndLeaveNoTrace()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        host.Rule = Rule;
        var (client, agent) = await host.ConnectAsync(upstream);
        await using var ends = client;
        await client.SendAsync(Opcode.Text, "bad begi"u8.ToArray(), final: false);
        await client.SendAsync(Opcode.Ping, "now"u8.ToArray());
        var ping = await agent.ReadFrameAsync();
        Assert.Equal((Opcode.Ping, "now"), (ping!.Value.Opcode, ping.Value.Text));
        await client.SendAsync(Opcode.Continuation, "nning"u8.ToArray());
        await client.SendAsync("swap", masked: true);
        await client.SendAsync("good", masked: true);
        var first = (await agent.ReadFrameAsync())!.Value;
        Assert.Equal(("swapped", true), (first.Text, first.Masked));
        Assert.Equal("good", (await agent.ReadFrameAsync())!.Value.Text);
        Assert.Equal(["no", "no"], [(await client.ReadFrameAsync())!.Value.Text, (await client.ReadFrameAsync())!.Value.Text]);
    }

    [Fact]
    public async Task Answer_WhileTheUpstreamIsInsideAMessage_WaitsForItsEnd()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        host.Rule = Rule;
        var (client, agent) = await host.ConnectAsync(upstream);
        await using var ends = client;
        await agent.SendAsync(Opcode.Text, "first "u8.ToArray(), final: false, masked: false);
        Assert.False((await client.ReadFrameAsync())!.Value.Final);
        await client.SendAsync("bad", masked: true);
        await client.SendAsync("good", masked: true);
        Assert.Equal("good", (await agent.ReadFrameAsync())!.Value.Text);
        await agent.SendAsync(Opcode.Continuation, "second"u8.ToArray(), masked: false);
        Assert.Equal("second", (await client.ReadFrameAsync())!.Value.Text);
        Assert.Equal("no", (await client.ReadFrameAsync())!.Value.Text);
    }

    [Fact]
    public async Task Session_EndedByPosternOrByTheClient_EndsAsWithoutARule()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        host.Rule = Rule;
        var (client, agent) = await host.ConnectAsync(upstream);
        await using var ends = client;
        var leash = await host.LeashAsync();
        await client.SendAsync(Opcode.Text, "half"u8.ToArray(), final: false);
        leash.End(Core.Sessions.SessionEndReason.MaxDuration);
        Assert.Equal("{\"bye\":true}", (await client.ReadFrameAsync())!.Value.Text);
        Assert.Equal(1000, (await client.ReadFrameAsync())!.Value.Close.Code);
        Assert.Equal(Opcode.Close, (await agent.ReadFrameAsync())!.Value.Opcode);
        Assert.Equal(Core.Sessions.SessionEndReason.MaxDuration, (await host.EndAsync()).Reason);

        var (second, secondAgent) = await host.ConnectAsync(upstream);
        await using var secondEnds = second;
        await second.SendAsync(Opcode.Close, [0x0B, 0xB8, .. "bye"u8]);
        Assert.Equal((3000, "bye"), ((int)(await secondAgent.ReadFrameAsync())!.Value.Close.Code, "bye"));
    }
}
