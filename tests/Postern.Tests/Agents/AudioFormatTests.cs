using Postern.Server.Agents;

namespace Postern.Tests.Agents;

public class AudioFormatTests
{
    [Theory]
    [InlineData("pcm_8000")]
    [InlineData("pcm_16000")]
    [InlineData("pcm_22050")]
    [InlineData("pcm_24000")]
    [InlineData("pcm_44100")]
    [InlineData("pcm_48000")]
    [InlineData("ulaw_8000")]
    public void Format_ByName_KeepsItsName(string name) => Assert.Equal(name, AudioFormat.Parse(name).Name);

    [Theory]
    [InlineData(null)]
    [InlineData("mp3_44100")]
    [InlineData("PCM_8000")]
    public void Format_Unknown_IsTheDefault(string? name) => Assert.Equal("pcm_16000", AudioFormat.Parse(name).Name);

    [Fact]
    public void Pcm_ThereAndBack_IsTheSame()
    {
        short[] samples = [0, 1, -1, short.MaxValue, short.MinValue, 12345];
        Assert.Equal(samples, AudioFormat.Default.Decode(AudioFormat.Default.Encode(samples)));
        Assert.Equal(new byte[] { 0x39, 0x30 }, AudioFormat.Default.Encode([12345]));
    }

    [Theory] // ITU-T G.711, table 2a: the values at the ends of the segments
    [InlineData(0x80, 32124)]
    [InlineData(0x00, -32124)]
    [InlineData(0x8f, 16764)]
    [InlineData(0x9f, 8316)]
    [InlineData(0xff, 0)]
    [InlineData(0x7f, 0)]
    [InlineData(0xfe, 8)]
    public void Ulaw_Codes_AreThoseOfTheStandard(byte code, short value) => Assert.Equal(value, AudioFormat.Parse("ulaw_8000").Decode([code])[0]);

    [Fact]
    public void Ulaw_EveryCode_ThereAndBack_IsTheSame()
    {
        var ulaw = AudioFormat.Parse("ulaw_8000");
        for (var code = 0; code < 256; code++)
        {
            var sample = ulaw.Decode([(byte)code]);
            Assert.Equal(sample, ulaw.Decode(ulaw.Encode(sample)));
        }
        Assert.Equal(-32124, ulaw.Decode(ulaw.Encode([short.MinValue]))[0]);
    }

    [Theory]
    [InlineData(8000, 48000)]
    [InlineData(48000, 8000)]
    [InlineData(44100, 16000)]
    [InlineData(16000, 22050)]
    public void Resample_Tone_KeepsLengthPitchAndLoudness(int from, int to)
    {
        var there = AudioFormat.Resample(Sounds.Tone(1000, from), from, to);
        Assert.Equal(to, there.Length);
        Assert.InRange(there.Zip(there.Skip(1)).Count(pair => pair.First < 0 && pair.Second >= 0), 438, 442);
        Assert.InRange(there.Max(s => (int)s), 7500, 8000);
    }

    [Fact]
    public void Resample_Nothing_IsNothing() => Assert.Empty(AudioFormat.Resample([], 8000, 16000));
}
