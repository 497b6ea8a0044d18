using System.Text.Json;
using static Postern.Tests.Dialects.Realtime.RealtimeClient;

namespace Postern.Tests.Dialects.Realtime;

/// <summary>Conversations with the echo agent: every event of the contract, in order.</summary>
public class RealtimeTalkTests
{
    private const string Hello = """{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"hi there"}]}}""";

    [Theory]
    [InlineData(false, "response.output_text")]
    [InlineData(true, "response.text")]
    public async Task TextTurn_HasEveryEventInOrder(bool isXai, string words)
    {
        await using var postern = await TestPostern.StartAsync();
        await using var client = await OpenAsync(postern, isXai);
        await client.SendAsync(Hello);
        await client.SendAsync("""{"type":"response.create","event_id":"mine","response":{"output_modalities":["text"],"metadata":{"client_event_id":"c1"}}}""");
        var events = await client.UntilAsync("response.done");
        Assert.Equal(
        [
            "conversation.item.added", "conversation.item.done", "response.created", "response.output_item.added", "conversation.item.added", "response.content_part.added",
            words + ".delta", words + ".delta", words + ".delta", words + ".done", "response.content_part.done", "conversation.item.done", "response.output_item.done", "response.done",
        ], events.Select(RealtimeClient.Type));
        Assert.Equal(events.Count, events.Select(one => one.GetProperty("event_id").GetString()).Distinct().Count());
        Assert.Equal("echo: hi there", string.Concat(events.Where(one => Type(one) == words + ".delta").Select(one => one.GetProperty("delta").GetString())));
        var response = events[^1].GetProperty("response");
        Assert.Equal(("completed", "c1"), (response.GetProperty("status").GetString(), response.GetProperty("metadata").GetProperty("client_event_id").GetString()));
        Assert.Equal("output_text", response.GetProperty("output")[0].GetProperty("content")[0].GetProperty("type").GetString());
        Assert.Equal(events[0].GetProperty("item").GetProperty("id").GetString(), events[4].GetProperty("previous_item_id").GetString());
    }

    [Fact]
    public async Task AudioTurn_WithServerVoiceDetection_HasEveryEventInOrder()
    {
        await using var postern = await TestPostern.StartAsync();
        await using var client = await OpenAsync(postern);
        await client.SpeakAsync(0.6, 0.9);
        var events = await client.UntilAsync("response.done");
        var types = events.Select(RealtimeClient.Type).Where(type => type != "response.output_audio.delta").ToList();
        Assert.Equal(
        [
            "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "input_audio_buffer.committed", "conversation.item.added", "conversation.item.done",
            "conversation.item.input_audio_transcription.completed", "response.created", "response.output_item.added", "conversation.item.added", "response.content_part.added",
            "response.output_audio_transcript.delta", "response.output_audio.done", "response.output_audio_transcript.done", "response.content_part.done",
            "conversation.item.done", "response.output_item.done", "response.done",
        ], types);
        var id = events[0].GetProperty("item_id").GetString();
        Assert.All(events.Take(3), one => Assert.Equal(id, one.GetProperty("item_id").GetString()));
        Assert.Equal(id, events[3].GetProperty("item").GetProperty("id").GetString());
        var sound = events.Where(one => Type(one) == "response.output_audio.delta").Sum(one => one.GetProperty("delta").GetBytesFromBase64().Length);
        Assert.InRange(sound, 24000, 48000);
        await client.SendAsync($$"""{"type":"conversation.item.retrieve","item_id":"{{id}}"}""");
        var spoken = (await client.OneAsync("conversation.item.retrieved")).GetProperty("item").GetProperty("content")[0];
        Assert.Equal(("input_audio", "(0.6 seconds of speech)"), (spoken.GetProperty("type").GetString(), spoken.GetProperty("transcript").GetString()));
    }

    [Fact]
    public async Task AudioTurn_WithoutDetection_IsCommittedAndAskedFor()
    {
        await using var postern = await TestPostern.StartAsync();
        await using var client = await OpenAsync(postern);
        await client.SendAsync("""{"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":null}}}}""");
        var updated = await client.OneAsync("session.updated");
        Assert.Equal(JsonValueKind.Null, updated.GetProperty("session").GetProperty("audio").GetProperty("input").GetProperty("turn_detection").ValueKind);
        await client.SendAsync("""{"type":"input_audio_buffer.commit","event_id":"early"}""");
        Assert.Equal(("input_audio_buffer_commit_empty", "early"), Problem(await client.OneAsync("error")));
        await client.SpeakAsync(0.3, 0);
        await client.SendAsync("""{"type":"input_audio_buffer.commit"}""");
        await client.OneAsync("conversation.item.input_audio_transcription.completed");
        await client.SendAsync("""{"type":"response.create"}""");
        var sound = (await client.UntilAsync("response.done")).Where(one => Type(one) == "response.output_audio.delta").Sum(one => one.GetProperty("delta").GetBytesFromBase64().Length);
        Assert.Equal(14400, sound);
        await client.SpeakAsync(0.3, 0);
        await client.SendAsync("""{"type":"input_audio_buffer.clear"}""");
        await client.OneAsync("input_audio_buffer.cleared");
    }

    [Fact]
    public async Task Answer_CancelledOrSpokenOver_EndsAsCancelled()
    {
        await using var postern = await TestPostern.StartAsync();
        await using var client = await OpenAsync(postern);
        await client.SendAsync(Hello.Replace("hi there", new string('x', 80), StringComparison.Ordinal));
        await client.SendAsync("""{"type":"response.create"}""");
        await client.OneAsync("response.output_audio.delta");
        await client.SendAsync("""{"type":"response.create"}""");
        Assert.Equal("conversation_already_has_active_response", Problem(await client.OneAsync("error")).Code);
        await client.SendAsync("""{"type":"response.cancel"}""");
        var cancelled = await client.OneAsync("response.done");
        Assert.Equal(("cancelled", "client_cancelled"), Status(cancelled));
        var item = cancelled.GetProperty("response").GetProperty("output")[0];
        Assert.Equal("incomplete", item.GetProperty("status").GetString());
        await client.SendAsync($$"""{"type":"conversation.item.truncate","item_id":"{{item.GetProperty("id").GetString()}}","content_index":0,"audio_end_ms":50}""");
        Assert.Equal(50, (await client.OneAsync("conversation.item.truncated")).GetProperty("audio_end_ms").GetInt32());
        await client.SendAsync("""{"type":"response.cancel","event_id":"late"}""");
        Assert.Equal(("response_cancel_not_active", "late"), Problem(await client.OneAsync("error")));

        await client.SendAsync("""{"type":"response.create"}""");
        await client.OneAsync("response.output_audio.delta");
        await client.SpeakAsync(0.5, 0);
        Assert.Equal(("cancelled", "turn_detected"), Status(await client.OneAsync("response.done")));
    }

    [Fact]
    public async Task Items_AreDeletedAndFunctionOutputsTaken_AndWhatIsWrongLeavesTheSessionOpen()
    {
        await using var postern = await TestPostern.StartAsync();
        await using var client = await OpenAsync(postern);
        foreach (var (message, code) in new[]
        {
            ("no json", "invalid_json"), ("[]", "invalid_json"), ("""{"type":"a","type":"b"}""", "invalid_json"), ("{}", "invalid_event"), ("""{"type":"nothing"}""", "invalid_value"),
            ("""{"type":"session.update"}""", "missing_required_parameter"), ("""{"type":"input_audio_buffer.append","audio":"?"}""", "invalid_value"),
            ("""{"type":"conversation.item.create","item":{"type":"message","role":"user"}}""", "invalid_value"), ("""{"type":"conversation.item.delete","item_id":"none"}""", "item_not_found"),
            ("""{"type":"session.update","session":{"audio":null}}""", "invalid_value"), ("""{"type":"session.update","session":{"tool_choice":"\ud800"}}""", "invalid_value"),
        })
        {
            await client.SendAsync(message);
            Assert.Equal(code, Problem(await client.OneAsync("error")).Code);
        }
        await client.SendAsync(Hello.Replace("\"item\":{", "\"item\":{\"id\":\"own\",", StringComparison.Ordinal));
        Assert.Equal("own", (await client.OneAsync("conversation.item.done")).GetProperty("item").GetProperty("id").GetString());
        await client.SendAsync("""{"type":"conversation.item.delete","item_id":"own"}""");
        Assert.Equal("own", (await client.OneAsync("conversation.item.deleted")).GetProperty("item_id").GetString());
        await client.SendAsync("""{"type":"conversation.item.create","item":{"type":"function_call_output","call_id":"c","output":"42 degrees"}}""");
        await client.SendAsync("""{"type":"response.create","response":{"modalities":["text"]}}""");
        Assert.Equal("echo: 42 degrees", (await client.OneAsync("response.output_text.done")).GetProperty("text").GetString());
        await client.SendAsync("""{"type":"conversation.item.create","item":{"type":"message","role":"assistant","content":[{"type":"input_text","text":"I"}]}}""");
        Assert.Equal("output_text", (await client.OneAsync("conversation.item.done")).GetProperty("item").GetProperty("content")[0].GetProperty("type").GetString());
    }

    internal static async Task<RealtimeClient> OpenAsync(TestPostern postern, bool isXai = false, string mint = """{"agent_id":"agent_echo"}""")
    {
        var secret = await MintAsync(postern, mint);
        var client = await ConnectAsync(postern, protocols: isXai ? ["xai-client-secret." + secret] : ["realtime", "openai-insecure-api-key." + secret]);
        await client.UntilAsync("conversation.created");
        return client;
    }

    internal static (string? Code, string? Cause) Problem(JsonElement one) => (one.GetProperty("error").GetProperty("code").GetString(), one.GetProperty("error").GetProperty("event_id").GetString());

    private static (string?, string?) Status(JsonElement done) =>
        (done.GetProperty("response").GetProperty("status").GetString(), done.GetProperty("response").GetProperty("status_details").GetProperty("reason").GetString());
}
