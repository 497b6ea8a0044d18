using System.Text.Json;
using Postern.Tests.Dialects.Convai;
using Postern.Tests.Dialects.Realtime;

namespace Postern.Tests.Agents.Chat;

/// <summary>The same words by the realtime socket and by Convai's requests.</summary>
public class OtherDialectsTests
{
    private const string Question = """{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Realtime_Answer_IsOneDeltaForEachPieceAndTellsItsCost()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        var agent = await postern.ChatAgentAsync(chat, """{"agent":{"prompt":{"prompt":"Be terse."}}}""");
        await using var client = await OpenAsync(postern, agent);
        await client.SendAsync("""{"type":"session.update","session":{"type":"realtime","instructions":"Speak French.","output_modalities":["audio"]}}""");
        Assert.Equal("""["text"]""", (await client.OneAsync("session.updated")).GetProperty("session").GetProperty("output_modalities").GetRawText());
        await client.SendAsync(Question);
        await client.SendAsync("""{"type":"response.create"}""");
        var events = await client.UntilAsync("response.done");
        Assert.Equal(["Hello", " there"], events.Where(one => RealtimeClient.Type(one) == "response.output_text.delta").Select(one => one.GetProperty("delta").GetString()!));
        var response = events[^1].GetProperty("response");
        Assert.Equal(("completed", 11, 7, 18), (response.GetProperty("status").GetString(), Tokens(response, "input_tokens"), Tokens(response, "output_tokens"), Tokens(response, "total_tokens")));
        Assert.Equal("Hello there", response.GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString());
        Assert.Equal([("system", "Be terse.\n\nSpeak French."), ("user", "hi")], (await chat.NextAsync()).Messages);

        await client.SendAsync(Question);
        await client.SendAsync("""{"type":"response.create","response":{"instructions":"Only this once."}}""");
        await client.UntilAsync("response.done");
        Assert.Equal([("system", "Be terse.\n\nOnly this once."), ("user", "hi"), ("assistant", "Hello there"), ("user", "hi")], (await chat.NextAsync()).Messages);
    }

    [Fact]
    public async Task Realtime_Cancel_EndsTheRequest()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        chat.Script = TalkTests.Endless;
        await using var client = await OpenAsync(postern, await postern.ChatAgentAsync(chat));
        await client.SendAsync(Question);
        await client.SendAsync("""{"type":"response.create"}""");
        await client.OneAsync("response.output_text.delta");
        await client.SendAsync("""{"type":"response.cancel"}""");
        var response = (await client.OneAsync("response.done")).GetProperty("response");
        Assert.Equal("cancelled", response.GetProperty("status").GetString());
        Assert.StartsWith("piece ", response.GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString(), StringComparison.Ordinal);
        await (await chat.NextAsync()).Left;
    }

    [Theory]
    [InlineData("length", "max_output_tokens")]
    [InlineData("content_filter", "content_filter")]
    public async Task Realtime_AnswerThatWasStopped_IsIncomplete(string finish, string reason)
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        chat.Script = async answer =>
        {
            await answer.SayAsync("Hel");
            await answer.EndAsync(finish);
        };
        await using var client = await OpenAsync(postern, await postern.ChatAgentAsync(chat));
        await client.SendAsync(Question);
        await client.SendAsync("""{"type":"response.create"}""");
        var response = (await client.OneAsync("response.done")).GetProperty("response");
        Assert.Equal(("incomplete", reason), (response.GetProperty("status").GetString(), response.GetProperty("status_details").GetProperty("reason").GetString()));
    }

    [Fact]
    public async Task Realtime_EndpointThatFails_IsAnErrorAndAFailedResponse()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        chat.Script = static answer =>
        {
            answer.Http.Response.StatusCode = 429;
            return answer.WriteAsync(FakeChat.Key);
        };
        await using var client = await OpenAsync(postern, await postern.ChatAgentAsync(chat));
        await client.SendAsync(Question);
        await client.SendAsync("""{"type":"response.create"}""");
        var events = await client.UntilAsync("response.done");
        var error = events.Single(one => RealtimeClient.Type(one) == "error").GetProperty("error");
        Assert.Equal(("server_error", "agent_busy"), (error.GetProperty("type").GetString(), error.GetProperty("code").GetString()));
        var response = events[^1].GetProperty("response");
        Assert.Equal(("failed", "agent_busy"), (response.GetProperty("status").GetString(), response.GetProperty("status_details").GetProperty("error").GetProperty("code").GetString()));
        Assert.DoesNotContain(FakeChat.Key, string.Concat(events), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Realtime_SoundToAnAgentWithoutAVoice_IsRefusedOnce()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        await using var client = await OpenAsync(postern, await postern.ChatAgentAsync(chat));
        await client.SpeakAsync(0.5, 0.9);
        await client.SendAsync("""{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_audio","audio":"AAAA"}]}}""");
        await client.SendAsync(Question);
        var events = await client.UntilAsync("conversation.item.done");
        Assert.Equal([("audio_not_supported", "audio"), ("audio_not_supported", "item.content")], events.Where(one => RealtimeClient.Type(one) == "error")
            .Select(one => (one.GetProperty("error").GetProperty("code").GetString()!, one.GetProperty("error").GetProperty("param").GetString()!)));
    }

    [Fact]
    public async Task Convai_Stream_SendsEachPieceAsItComes_AndTakesUpWhatWasSaidBefore()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        var agent = await postern.ChatAgentAsync(chat);
        var heard = chat.SayInTwoPieces();
        using var http = new HttpClient { BaseAddress = new Uri(postern.Http) };
        using var answered = await StreamAsync(http, agent, "one", null);
        using var lines = new StreamReader(await answered.Content.ReadAsStreamAsync(Cancel));
        var session = (await EventAsync(lines)).GetProperty("message").GetProperty("character_session_id").GetString()!;
        Assert.Equal("bot-llm-started", (await EventAsync(lines)).GetProperty("type").GetString());
        Assert.Equal("Hello", (await EventAsync(lines)).GetProperty("data").GetProperty("text").GetString());
        heard.Release(3);
        Assert.Equal(" there", (await EventAsync(lines)).GetProperty("data").GetProperty("text").GetString());
        var whole = await EventAsync(lines);
        Assert.Equal(("bot-transcription", "Hello there"), (whole.GetProperty("type").GetString(), whole.GetProperty("data").GetProperty("text").GetString()));
        await lines.ReadToEndAsync(Cancel);

        foreach (var text in new[] { "two", "three" })
        {
            using var next = await StreamAsync(http, agent, text, session);
            await next.Content.ReadAsStringAsync(Cancel);
        }
        await chat.NextAsync();
        await chat.NextAsync();
        Assert.Equal([("user", "one"), ("assistant", "Hello there"), ("user", "two"), ("assistant", "Hello there"), ("user", "three")], (await chat.NextAsync()).Messages);
    }

    [Fact]
    public async Task Convai_EndpointThatFails_IsAnErrorEventOrStatus()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        var agent = await postern.ChatAgentAsync(chat);
        chat.Script = static answer => answer.SayAsync("Hel"); // and then nothing, not even an end
        using var http = new HttpClient { BaseAddress = new Uri(postern.Http) };
        using var answered = await StreamAsync(http, agent, "one", null);
        var types = (await answered.Content.ReadAsStringAsync(Cancel)).Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line["data: ".Length..]).GetProperty("type").GetString()!);
        Assert.Equal(["connection-started", "bot-llm-started", "bot-llm-text", "error", "bot-llm-stopped", "connection-stoppped"], types);

        using var client = new ConvaiClient(postern);
        var (status, body) = await client.PostAsync("/character/getResponse", new { userText = "hello", charID = agent }, TestPostern.Key);
        Assert.Equal((502, """{"ERROR":"The agent cannot be reached at the moment."}"""), (status, body.GetRawText()));
    }

    [Fact]
    public async Task Convai_ClientThatLeaves_EndsTheRequest()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        chat.Script = TalkTests.Endless;
        using var http = new HttpClient { BaseAddress = new Uri(postern.Http) };
        using (var answered = await StreamAsync(http, await postern.ChatAgentAsync(chat), "one", null))
        {
            using var lines = new StreamReader(await answered.Content.ReadAsStreamAsync(Cancel));
            await EventAsync(lines);
        }
        await (await chat.NextAsync()).Left;
    }

    [Fact]
    public async Task Convai_LongestDurationOver_EndsTheRequestAndSaysSo()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        chat.Script = TalkTests.Endless;
        using var http = new HttpClient { BaseAddress = new Uri(postern.Http) };
        using var answered = await StreamAsync(http, await postern.ChatAgentAsync(chat), "one", null);
        var asked = await chat.NextAsync();
        postern.Clock.Advance(TimeSpan.FromMinutes(11));
        await asked.Left;
        Assert.Contains("""{"label":"rtvi-ai","type":"error","data":{"error":"The session was ended.","fatal":true}}""", await answered.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    private static async Task<RealtimeClient> OpenAsync(TestPostern postern, string agent)
    {
        var client = await RealtimeClient.ConnectAsync(postern, await RealtimeClient.MintAsync(postern, $$"""{"agent_id":"{{agent}}"}"""));
        await client.UntilAsync("conversation.created");
        return client;
    }

    private static long Tokens(JsonElement response, string name) => response.GetProperty("usage").GetProperty(name).GetInt64();

    private static async Task<HttpResponseMessage> StreamAsync(HttpClient http, string agent, string text, string? session)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/connect/stream")
        {
            Content = new MultipartFormDataContent { { new StringContent(agent), "character_id" }, { new StringContent(text), "text_input" }, { new StringContent(session ?? "-1"), "character_session_id" } },
            Headers = { { "X-API-Key", TestPostern.Key } },
        };
        return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
    }

    private static async Task<JsonElement> EventAsync(StreamReader lines)
    {
        var line = await lines.ReadLineAsync(Cancel).AsTask().WaitAsync(TimeSpan.FromSeconds(15), Cancel);
        await lines.ReadLineAsync(Cancel);
        return JsonElement.Parse(line!["data: ".Length..]);
    }
}
