using System.Buffers;
using System.Text;
using Postern.Core.Sessions;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

/// <summary>
/// Whatever two sides say within the rules arrives as it was said: byte for byte, masks and fragments included. Under a rule, as every
/// client of ElevenLabs and of a locked realtime session is, the client's control frames do not wait for the message around them.
/// </summary>
public class RelayPropertyTests
{
    private const int Sessions = 48;
    private const int MessagesPerSide = 60;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Relay_RandomMessagesFragmentsAndCloses_PassUnchanged(bool underTheRule)
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        for (var seed = 1; seed <= Sessions; seed += 4)
        {
            // A few at once, so that buffers change hands between sessions.
            var several = new List<Task>();
            for (var i = 0; i < 4; i++)
            {
                host.Rule = underTheRule ? new InitiationWatch().Rule : null; // each session's own
                var (client, agent) = await host.ConnectAsync(upstream);
                several.Add(ConverseAsync(new Dice((ulong)(seed + i)), client, agent, host));
            }
            await Task.WhenAll(several);
        }
    }

    private static async Task ConverseAsync(Dice dice, Wire client, Wire agent, RelayHost host)
    {
        await using var _ = client;
        await using var __ = agent;
        var clientCloses = dice.OneIn(2);
        byte[] fromClient = Conversation(dice, masked: true), fromAgent = Conversation(dice, masked: false);
        byte[] clientClose = Close(dice, masked: true), agentClose = Close(dice, masked: false);
        ulong clientSeed = dice.Next(), agentSeed = dice.Next();

        var atAgent = HearAsync(agent);
        var atClient = HearAsync(client);
        var clientSays = SayAsync(client, new Dice(clientSeed), fromClient, clientClose, clientCloses ? null : atClient.Closed);
        var agentSays = SayAsync(agent, new Dice(agentSeed), fromAgent, agentClose, clientCloses ? atAgent.Closed : null);
        await Task.WhenAll(clientSays, agentSays).WaitAsync(TimeSpan.FromSeconds(60));

        var heardAtAgent = await atAgent.All.WaitAsync(TimeSpan.FromSeconds(10));
        var heardAtClient = await atClient.All.WaitAsync(TimeSpan.FromSeconds(10));
        byte[] said = [.. fromClient, .. clientClose];
        Assert.True(host.Rule is null ? heardAtAgent.AsSpan().SequenceEqual(said) : Parts(heardAtAgent, control: false).SequenceEqual(Parts(said, control: false)) && Parts(heardAtAgent, control: true).SequenceEqual(Parts(said, control: true)),
            $"client to agent: {said.Length} sent, {heardAtAgent.Length} came");
        Assert.True(heardAtClient.AsSpan().SequenceEqual([.. fromAgent, .. agentClose]), $"agent to client: {fromAgent.Length + agentClose.Length} sent, {heardAtClient.Length} came");
        var end = await host.EndAsync();
        Assert.Contains(end.Reason, new[] { SessionEndReason.ClientClosed, SessionEndReason.AgentClosed });
    }

    private static async Task SayAsync(Wire wire, Dice dice, byte[] conversation, byte[] close, Task? waitFor)
    {
        for (var at = 0; at < conversation.Length;)
        {
            var count = Math.Min(conversation.Length - at, 1 + dice.Next(dice.Next(4) switch { 0 => 3, 1 => 40, 2 => 3000, _ => 60_000 }));
            await wire.SendAsync(conversation[at..(at + count)]);
            at += count;
            if (dice.OneIn(8)) await Task.Yield();
        }
        if (waitFor is not null) await waitFor;
        await wire.SendAsync(close);
    }

    private static (Task Closed, Task<byte[]> All) HearAsync(Wire wire)
    {
        var closed = new TaskCompletionSource();
        return (closed.Task, ListenAsync());

        async Task<byte[]> ListenAsync()
        {
            var heard = new ArrayBufferWriter<byte>();
            var parsed = 0;
            int count;
            try
            {
                while ((count = await wire.Stream.ReadAsync(heard.GetMemory(8192)).AsTask().WaitAsync(TimeSpan.FromSeconds(30))) > 0)
                {
                    heard.Advance(count);
                    while (FrameHeader.Read(heard.WrittenSpan[parsed..], out var head) == OperationStatus.Done && heard.WrittenCount - parsed >= head.Size + head.Length)
                    {
                        parsed += head.Size + (int)head.Length;
                        if (head.Opcode == Opcode.Close) closed.TrySetResult();
                    }
                }
            }
            catch (IOException)
            {
                // Cut: what came until then is compared.
            }
            closed.TrySetResult();
            return heard.WrittenSpan.ToArray();
        }
    }

    // The frames of data, or of control, as they are.
    private static byte[] Parts(byte[] frames, bool control)
    {
        var parts = new List<byte>();
        for (var at = 0; FrameHeader.Read(frames.AsSpan(at), out var head) == OperationStatus.Done;)
        {
            var size = head.Size + (int)head.Length;
            if (head.IsControl == control) parts.AddRange(frames[at..(at + size)]);
            at += size;
        }
        return [.. parts];
    }

    private static byte[] Conversation(Dice dice, bool masked)
    {
        var all = new List<byte>();
        for (var i = 0; i < MessagesPerSide; i++)
        {
            var isText = dice.OneIn(2);
            var payload = isText ? Encoding.UTF8.GetBytes(Text(dice, Size(dice))) : dice.Bytes(Size(dice));
            var fragments = dice.OneIn(3) ? 1 + dice.Next(5) : 1;
            for (int f = 0, at = 0; f < fragments; f++)
            {
                var end = f == fragments - 1 ? payload.Length : at + dice.Next(payload.Length - at + 1);
                if (dice.OneIn(6)) all.AddRange(Wire.Bytes(dice.OneIn(2) ? Opcode.Ping : Opcode.Pong, dice.Bytes(dice.Next(126)), masked: masked));
                all.AddRange(Wire.Bytes(f > 0 ? Opcode.Continuation : isText ? Opcode.Text : Opcode.Binary, payload.AsSpan(at, end - at), f == fragments - 1, masked));
                at = end;
            }
        }
        return [.. all];
    }

    private static int Size(Dice dice) => dice.Next(10) switch { 0 => 0, 1 => dice.Next(70_000), 2 or 3 => dice.Next(5000), _ => dice.Next(300) };

    private static string Text(Dice dice, int bytes)
    {
        string[] parts = ["{\"user_audio_chunk\":\"", "AAAA/+8b", "é", "語", "😀", " "];
        var text = new StringBuilder();
        for (var used = 0; used < bytes;)
        {
            var part = parts[dice.Next(parts.Length)];
            text.Append(part);
            used += Encoding.UTF8.GetByteCount(part);
        }
        return text.ToString();
    }

    private static byte[] Close(Dice dice, bool masked)
    {
        ushort[] codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
        var code = codes[dice.Next(codes.Length)];
        byte[] payload = dice.OneIn(5) ? [] : [(byte)(code >> 8), (byte)code, .. Encoding.UTF8.GetBytes(Text(dice, dice.Next(90)))];
        return Wire.Bytes(Opcode.Close, payload, masked: masked);
    }
}
