using System.Text;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

public class FirstMessageTests
{
    [Fact]
    public async Task Read_FragmentsAndPings_JoinsTheMessageAndKeepsItsFrames()
    {
        byte[] one = Wire.Bytes(Opcode.Text, "{\"a\":"u8, final: false), two = Wire.Bytes(Opcode.Continuation, "\"语\"}"u8), next = Wire.Bytes(Opcode.Binary, "xyz"u8);
        var ping = Wire.Bytes(Opcode.Ping, "p"u8);
        for (var piece = 1; piece < 40; piece++)
        {
            using var stream = new PieceStream([.. ping, .. one, .. ping, .. Wire.Bytes(Opcode.Pong, []), .. two, .. next], piece);
            var message = await ReadAsync(stream);

            Assert.Equal((ReadOutcome.Message, true, "{\"a\":\"语\"}"), (message.Outcome, message.IsText, Encoding.UTF8.GetString(message.Payload.Span)));
            Assert.Equal([.. one, .. two, .. message.Surplus.Span], message.FramesAndSurplus.ToArray());
            Assert.Equal([.. Frames.Pong("p"u8), .. Frames.Pong("p"u8)], stream.Written.ToArray());

            var second = await ReadAsync(stream, message.Surplus);
            Assert.Equal((ReadOutcome.Message, false, "xyz"), (second.Outcome, second.IsText, Encoding.UTF8.GetString(second.Payload.Span)));
            Assert.Equal(ReadOutcome.Lost, (await ReadAsync(stream, second.Surplus)).Outcome);
        }
    }

    [Theory]
    [Trait("attack", "C13")]
    [InlineData("810161", 1002)]                // unmasked
    [InlineData("C18000000000", 1002)]          // reserved bit
    [InlineData("838000000000", 1002)]          // unknown opcode
    [InlineData("808000000000", 1002)]          // nothing to continue
    [InlineData("098000000000", 1002)]          // fragmented ping
    [InlineData("81FE000100000000", 1002)]      // length not in its shortest form
    [InlineData("818100000000FF", 1007)]        // not UTF-8
    [InlineData("81FE00C800000000", 1009)]      // 200 bytes of 100
    [InlineData("88820000000003EE", 1002)]      // close code 1006
    [InlineData("888100000000FF", 1002)]        // half a close code
    public async Task Read_BrokenRule_SaysTheClose(string hex, int code)
    {
        using var stream = new PieceStream(Convert.FromHexString(hex), 100);
        var message = await ReadAsync(stream);
        Assert.Equal((ReadOutcome.Broken, code), (message.Outcome, message.Close.Code));
    }

    [Fact]
    [Trait("attack", "C13")]
    public async Task Read_EndlessFragmentsOrPings_AreCut()
    {
        var fragments = Enumerable.Repeat(Wire.Bytes(Opcode.Continuation, [], final: false), 5000).SelectMany(bytes => bytes);
        using var endless = new PieceStream([.. Wire.Bytes(Opcode.Text, [], final: false), .. fragments], 4096);
        Assert.Equal(1008, (await ReadAsync(endless, longest: 64 * 1024)).Close.Code);

        using var pings = new PieceStream([.. Enumerable.Repeat(Wire.Bytes(Opcode.Ping, []), 1000).SelectMany(bytes => bytes)], 4096);
        Assert.Equal(1008, (await ReadAsync(pings, longest: 64 * 1024)).Close.Code);
    }

    [Fact]
    public async Task Read_CloseSilenceAndLoss_AreToldApart()
    {
        using var closed = new PieceStream(Wire.Bytes(Opcode.Close, [0x03, 0xE8]), 100);
        var close = await ReadAsync(closed);
        Assert.Equal((ReadOutcome.Closed, 1000), (close.Outcome, close.Close.Code));

        using var silent = new PieceStream([], 1) { StaysOpen = true };
        var late = await ReadAsync(silent, wait: 0.05);
        Assert.Equal(ReadOutcome.TimedOut, late.Outcome);
    }

    private static ValueTask<ClientMessage> ReadAsync(Stream stream, ReadOnlyMemory<byte> surplus = default, int longest = 100, double wait = 5) =>
        FirstMessage.ReadAsync(stream, surplus, longest, TimeSpan.FromSeconds(wait), TimeProvider.System, TestContext.Current.CancellationToken);

    [Fact]
    public async Task Read_ForARelay_KeepsEveryFrameAsItCameAndWritesNothing()
    {
        byte[] ping = Wire.Bytes(Opcode.Ping, "p"u8), one = Wire.Bytes(Opcode.Text, "a"u8, final: false), two = Wire.Bytes(Opcode.Continuation, "b"u8), close = Wire.Bytes(Opcode.Close, [0x03, 0xE8]);
        byte[] all = [.. ping, .. one, .. ping, .. two, .. close];
        using var stream = new PieceStream([.. all], 5000);
        var message = await FirstMessage.ReadAsync(stream, default, 100, TestContext.Current.CancellationToken, keepPings: true);
        Assert.Equal("ab", Encoding.UTF8.GetString(message.Payload.Span));
        Assert.Equal(all, message.FramesAndSurplus.ToArray());
        Assert.Equal(0, stream.Written.Length);

        var second = await FirstMessage.ReadAsync(stream, message.Surplus, 100, TestContext.Current.CancellationToken, keepPings: true);
        Assert.Equal(ReadOutcome.Closed, second.Outcome);
        Assert.Equal(close, second.FramesAndSurplus.ToArray());
    }

    /// <summary>Gives its bytes in pieces and keeps what is written.</summary>
    private sealed class PieceStream(byte[] bytes, int piece) : MemoryStream(bytes)
    {
        public MemoryStream Written { get; } = new();
        public bool StaysOpen { get; init; }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (StaysOpen) await Task.Delay(Timeout.Infinite, cancellationToken);
            return await base.ReadAsync(buffer[..Math.Min(buffer.Length, piece)], cancellationToken);
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => Written.WriteAsync(buffer, cancellationToken);
    }
}
