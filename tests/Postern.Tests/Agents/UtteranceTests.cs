using Postern.Server.Agents;

namespace Postern.Tests.Agents;

public class UtteranceTests
{
    private static readonly TimeSpan Onset = TimeSpan.FromMilliseconds(20);

    [Theory]
    [InlineData(16000, 512)]
    [InlineData(16000, 4000)]
    [InlineData(16000, 7)]
    [InlineData(8000, 160)]
    [InlineData(48000, 100000)]
    public void Tone_BetweenSilences_IsFoundWhole(int rate, int piece)
    {
        var tone = Sounds.Tone(1200, rate);
        var utterance = new Utterance(rate);
        var ends = Listen(utterance, [.. Sounds.Silence(500, rate), .. tone, .. Sounds.Silence(800, rate)], piece);
        Assert.Equal(1, ends);
        Assert.InRange(utterance.Spoken.TotalMilliseconds, 1180, 1240);
        var said = utterance.Take();
        Assert.InRange(said.IndexOf(tone), 0, rate / 4);
        Assert.InRange(said.Length, tone.Length, tone.Length + rate / 2);
    }

    [Fact]
    public void Silence_IsNoUtterance() => Assert.Equal(0, Listen(new Utterance(16000), Sounds.Silence(5000), 512));

    [Fact]
    public void Noise_BelowTheThreshold_IsNoUtterance() => Assert.Equal(0, Listen(new Utterance(16000), Sounds.Tone(5000, loudness: 200), 512));

    [Fact]
    public void Click_IsNoUtterance()
    {
        var utterance = new Utterance(16000);
        Listen(utterance, [.. Sounds.Silence(100), .. Sounds.Tone(20), .. Sounds.Silence(800)], 512);
        Assert.Empty(utterance.Take());
    }

    [Fact]
    public void Pause_WithinASentence_DoesNotEndIt() => Assert.Equal(1, Listen(new Utterance(16000),
        [.. Sounds.Tone(300), .. Sounds.Silence(400), .. Sounds.Tone(300), .. Sounds.Silence(700)], 512));

    [Fact]
    public void Sound_WithoutEnd_IsCut()
    {
        var utterance = new Utterance(16000);
        Assert.Equal(1, Listen(utterance, Sounds.Tone(Utterance.LongestMilliseconds + 500), 512));
        Assert.InRange(utterance.Take().Length, 16 * Utterance.LongestMilliseconds, 16 * Utterance.LongestMilliseconds + 3200);
    }

    [Fact]
    public void Onset_LongerThanTheSound_IsNotReached()
    {
        var utterance = new Utterance(16000);
        utterance.Listen([.. Sounds.Tone(100), .. Sounds.Silence(200), .. Sounds.Tone(100), .. Sounds.Silence(200)], TimeSpan.FromMilliseconds(160), out var heard);
        Assert.Equal(Listening.Nothing, heard);
        Assert.False(utterance.IsOpen);
    }

    private static int Listen(Utterance utterance, short[] sound, int piece)
    {
        var ends = 0;
        foreach (var chunk in sound.Chunk(piece))
        {
            for (var rest = chunk.AsSpan(); !rest.IsEmpty;)
            {
                rest = rest[utterance.Listen(rest, Onset, out var heard)..];
                if (heard == Listening.Ended)
                {
                    ends++;
                    return ends;
                }
            }
        }
        return ends;
    }
}
