using System.Text.Json;
using Postern.Server.Agents;
using Postern.Tests.Agents;

namespace Postern.Tests.Dialects.ElevenLabs;

/// <summary>Speaking with the echo agent: one hears oneself.</summary>
public class VoiceTests(SharedPostern shared) : IClassFixture<SharedPostern>
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)] // the form of XUNA's clients
    public async Task Tone_ComesBackSampleForSample(bool newForm)
    {
        using var client = await TalkClient.OpenAsync(shared.Server);
        var tone = Sounds.Tone(1200);
        await client.SoundAsync(Silence(200), newForm);
        await client.SoundAsync(tone.Bytes(), newForm);
        await client.SoundAsync(Silence(700), newForm);

        var transcript = await client.NextAsync("user_transcript");
        Assert.Equal("(1.2 seconds of speech)", transcript.GetProperty("user_transcript").GetString());
        var (text, id) = await client.AnswerAsync();
        Assert.Equal("echo: (1.2 seconds of speech)", text);
        Assert.True(id > transcript.GetProperty("event_id").GetInt64());
        var echo = await EchoAsync(client, id, tone, 32000);
        Assert.InRange(echo.IndexOf(tone), 0, 16000);
        await client.HangUpAsync();

        var conversation = await shared.Server.EndedAsync(client.ConversationId);
        Assert.Equal("""["user: (1.2 seconds of speech)","agent: echo: (1.2 seconds of speech)"]""", JsonSerializer.Serialize(
            conversation.GetProperty("transcript").EnumerateArray().Select(turn => $"{turn.GetProperty("role")}: {turn.GetProperty("message")}")));
        Assert.False(conversation.GetProperty("metadata").GetProperty("text_only").GetBoolean());
    }

    [Theory]
    [InlineData("pcm_8000", "pcm_8000")]
    [InlineData("pcm_48000", "pcm_48000")]
    [InlineData("ulaw_8000", "ulaw_8000")]
    [InlineData("ulaw_8000", "pcm_24000")]
    [InlineData("pcm_44100", "pcm_16000")]
    public async Task Tone_AtTheAnnouncedRates_HasItsLengthAndPitch(string input, string output)
    {
        var (heard, spoken) = (AudioFormat.Parse(input), AudioFormat.Parse(output));
        using var client = await TalkClient.OpenAsync(shared.Server, $$$"""{"tts":{"agent_output_audio_format":"{{{output}}}"},"asr":{"user_input_audio_format":"{{{input}}}"}}""");
        await client.SoundAsync(Sounds.Tone(1000, heard.Rate).Bytes(heard));
        await client.SoundAsync(Sounds.Silence(700, heard.Rate).Bytes(heard));
        await client.NextAsync("user_transcript");
        var (_, id) = await client.AnswerAsync();
        var echo = await EchoAsync(client, id, null, spoken.Rate, spoken);
        Assert.InRange(echo.Length, spoken.Rate, spoken.Rate * 12 / 10);
        Assert.InRange(echo.Zip(echo.Skip(1)).Count(pair => pair.First < 0 && pair.Second >= 0), 435, 445);
    }

    [Fact]
    public async Task OddPieces_LoseNoSample()
    {
        using var client = await TalkClient.OpenAsync(shared.Server);
        var tone = Sounds.Tone(400);
        foreach (var piece in (byte[][])[.. ((byte[])[.. tone.Bytes(), .. Silence(700)]).Chunk(333)])
        {
            await client.SayAsync($$"""{"user_audio_chunk":"{{Convert.ToBase64String(piece)}}"}""");
        }
        await client.NextAsync("user_transcript");
        var (_, id) = await client.AnswerAsync();
        Assert.True((await EchoAsync(client, id, tone, 16000)).IndexOf(tone) >= 0);
    }

    [Fact]
    public async Task SpeakingDuringPlayback_Interrupts_AndIsHeard()
    {
        using var client = await TalkClient.OpenAsync(shared.Server);
        await client.SoundAsync(Sounds.Tone(3000).Bytes());
        await client.SoundAsync(Silence(700));
        await client.NextAsync("user_transcript");
        var (_, first) = await client.AnswerAsync();

        // Three seconds are being played: speak again.
        await client.SoundAsync([.. Sounds.Tone(500, hertz: 880).Bytes(), .. Silence(700)]);
        var interruption = (await AfterSoundAsync(client, "interruption")).GetProperty("event_id").GetInt64();
        Assert.Equal("(0.5 seconds of speech)", (await client.NextAsync("user_transcript")).GetProperty("user_transcript").GetString());
        var (_, second) = await client.AnswerAsync();
        Assert.True(first < interruption && interruption < second, $"{first} < {interruption} < {second}");
        Assert.True((await EchoAsync(client, second, Sounds.Tone(500, hertz: 880), 16000)).IndexOf(Sounds.Tone(500, hertz: 880)) >= 0);
    }

    [Fact]
    public async Task ShortNoiseDuringPlayback_DoesNotInterrupt()
    {
        using var client = await TalkClient.OpenAsync(shared.Server);
        await client.SoundAsync([.. Sounds.Tone(3000).Bytes(), .. Silence(700)]);
        await client.NextAsync("user_transcript");
        await client.AnswerAsync();
        await client.SoundAsync([.. Sounds.Tone(100).Bytes(), .. Silence(300), .. Sounds.Tone(100).Bytes(), .. Silence(300)]);
        await client.SayAsync("""{"type":"user_message","text":"quiet"}""");
        // A written message interrupts as well; nothing did before it.
        await AfterSoundAsync(client, "interruption");
        Assert.Equal("echo: quiet", (await client.AnswerAsync()).Text);
    }

    [Fact]
    public async Task SoundThatJustStops_IsAnsweredToo()
    {
        using var client = await TalkClient.OpenAsync(shared.Server);
        await client.SoundAsync(Sounds.Tone(500).Bytes());
        Assert.Equal("(0.5 seconds of speech)", (await client.NextAsync("user_transcript")).GetProperty("user_transcript").GetString());
    }

    [Fact]
    public async Task TextOnly_SoundIsNotHeard()
    {
        using var client = await TalkClient.OpenAsync(shared.Server, opening: TalkClient.TextOpening);
        await client.SoundAsync([.. Sounds.Tone(500).Bytes(), .. Silence(700)]);
        await client.SayAsync("""{"type":"user_message","text":"a"}""");
        Assert.Equal("echo: a", (await client.AnswerAsync()).Text);
        await client.HangUpAsync();
        Assert.True((await shared.Server.EndedAsync(client.ConversationId)).GetProperty("metadata").GetProperty("text_only").GetBoolean());
    }

    private static byte[] Silence(int milliseconds) => Sounds.Silence(milliseconds).Bytes();

    // Reads the sound of one answer until it holds the tone, or for want of one until there is this much.
    private static async Task<short[]> EchoAsync(TalkClient client, long id, short[]? tone, int most, AudioFormat? format = null)
    {
        var echo = new List<short>();
        while (echo.Count < most && (tone is null || echo.ToArray().IndexOf(tone) < 0))
        {
            var audio = await client.NextAsync("audio");
            Assert.Equal(id, audio.GetProperty("event_id").GetInt64());
            echo.AddRange((format ?? AudioFormat.Default).Decode(audio.GetProperty("audio_base_64").GetBytesFromBase64()));
        }
        return [.. echo];
    }

    private static async Task<JsonElement> AfterSoundAsync(TalkClient client, string type)
    {
        while (true)
        {
            var json = await client.NextAsync();
            if (json.GetProperty("type").GetString() != "audio")
            {
                Assert.Equal(type, json.GetProperty("type").GetString());
                return json.EnumerateObject().Single(member => member.Name != "type").Value;
            }
        }
    }
}
