using System.Buffers;
using System.Text;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

public class FrameTests
{
    [Theory]
    [InlineData(0, 2)]
    [InlineData(125, 2)]
    [InlineData(126, 4)]
    [InlineData(65535, 4)]
    [InlineData(65536, 10)]
    public void Header_WrittenAndRead_IsTheSame(long length, int size)
    {
        var bytes = new byte[FrameHeader.MaxSize];
        foreach (var mask in new uint?[] { null, 0x01020304 })
        {
            var written = FrameHeader.Write(bytes, Opcode.Binary, final: false, length, mask);

            Assert.Equal(OperationStatus.Done, FrameHeader.Read(bytes, out var read));
            Assert.Equal(new FrameHeader(false, 0, Opcode.Binary, mask is not null, mask ?? 0, length, written), read);
            Assert.Equal(size + (mask is null ? 0 : 4), written);
            for (var cut = 0; cut < written; cut++) Assert.Equal(OperationStatus.NeedMoreData, FrameHeader.Read(bytes.AsSpan(0, cut), out _));
        }
    }

    [Theory]
    [Trait("attack", "C13")]
    [InlineData("827E0001")]
    [InlineData("827E007D")]
    [InlineData("827F000000000000FFFF")]
    [InlineData("827F8000000000000000")]
    [InlineData("827FFFFFFFFFFFFFFFFF")]
    public void Header_LengthNotInShortestForm_IsInvalid(string hex) =>
        Assert.Equal(OperationStatus.InvalidData, FrameHeader.Read(Convert.FromHexString(hex), out _));

    [Fact]
    public void Close_LongReason_IsCutBetweenTwoCharacters()
    {
        foreach (var character in new[] { "a", "ä", "語", "😀" })
        {
            var frame = Frames.Close(new(1008, string.Concat(Enumerable.Repeat(character, 200))));

            Assert.True(frame.Length is > 2 + 2 + Frames.MaxReasonBytes - 4 and <= 2 + 2 + Frames.MaxReasonBytes);
            Assert.True(Frames.ReadClose(frame.AsSpan(2), out var close));
            Assert.Equal((1008, frame.Length - 4), (close.Code, Encoding.UTF8.GetByteCount(close.Reason)));
            Assert.DoesNotContain('\uFFFD', close.Reason);
        }
    }

    [Fact]
    public void Close_LoneSurrogateAndNoCode_StayValid()
    {
        Assert.True(Frames.ReadClose(Frames.Close(new(1000, "a\uD800b")).AsSpan(2), out var close));
        Assert.Equal("a\uFFFDb", close.Reason);
        Assert.Equal([0x88, 0x00], Frames.Close(new(1005, "")));
        Assert.Equal([0x88, 0x00], Frames.Close(new(1006, "x")));
    }

    [Fact]
    public void Mask_AnyLengthAndPhase_EqualsByteByByte()
    {
        var random = new Dice(1);
        for (var length = 0; length < 200; length++)
        {
            var plain = random.Bytes(length);
            var phase = random.Next(8);
            var mask = (uint)random.Next();
            var masked = plain.ToArray();
            Frames.Mask(masked, mask, phase);
            Assert.Equal(plain.Select((b, i) => (byte)(b ^ (byte)(mask >> (8 * ((i + phase) & 3))))), masked);
        }
    }

    [Fact]
    [Trait("attack", "C13")]
    public void Utf8_AnyCutAndMask_SaysTheSameAsTheWhole()
    {
        var random = new Dice(2);
        string[] parts = ["a", "ASCII of more than thirty-two bytes, so that vectors are used", "é", "語", "😀", "\u07FF", "\uFFFD", "\U0010FFFF"];
        byte[][] broken = [[0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF8, 0x88], [0xFF], [0xC3], [0xE8, 0xAA], [0xF0, 0x9F, 0x98]];
        for (var round = 0; round < 20_000; round++)
        {
            var text = new List<byte>();
            var isBroken = random.Next(2) == 0;
            for (var i = random.Next(12); i > 0; i--) text.AddRange(Encoding.UTF8.GetBytes(parts[random.Next(parts.Length)]));
            if (isBroken) text.InsertRange(random.Next(text.Count + 1), broken[random.Next(broken.Length)]);
            var bytes = text.ToArray();
            var expected = IsUtf8(bytes);

            var mask = (uint)random.Next() * (uint)random.Next(2);
            Frames.Mask(bytes, mask);
            var progress = default(Utf8Progress);
            var good = true;
            for (var at = 0; at < bytes.Length && good;)
            {
                var count = Math.Min(bytes.Length - at, 1 + random.Next(random.Next(2) == 0 ? 4 : 200));
                good = progress.Feed(bytes.AsSpan(at, count), Frames.Rotate(mask, at));
                at += count;
            }
            Assert.True(expected == (good && progress.AtCharacterEnd), Convert.ToHexString([.. text]));
        }
    }

    private static bool IsUtf8(byte[] bytes)
    {
        try
        {
            new UTF8Encoding(false, throwOnInvalidBytes: true).GetCharCount(bytes);
            return true;
        }
        catch (DecoderFallbackException)
        {
            return false;
        }
    }
}
