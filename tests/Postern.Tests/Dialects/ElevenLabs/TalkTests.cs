using System.Net.WebSockets;
using System.Text.Json;

namespace Postern.Tests.Dialects.ElevenLabs;

/// <summary>The conversation protocol of contract section 6, message by message, over a real socket.</summary>
public class TalkTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ClientEvents_ThatTheAgentLists_AreTheOnlyOnesSent()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern, """{"agent":{"first_message":"Hello"},"conversation":{"client_events":["agent_response"]}}""", TalkClient.TextOpening);
        Assert.Equal("Hello", (await client.NextAsync("agent_response")).GetProperty("agent_response").GetString());
        await client.SayAsync("""{"type":"user_message","text":"hi"}""");
        Assert.Equal("echo: hi", (await client.NextAsync("agent_response")).GetProperty("agent_response").GetString());
    }

    [Fact]
    public async Task ZeroRetention_NothingSaid_IsKept()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern, """{"conversation":{"client_events":["agent_response"]}}""", TalkClient.TextOpening, """{"privacy":{"zero_retention_mode":true}}""");
        await client.SayAsync("""{"type":"user_message","text":"the canary sings"}""");
        Assert.Equal("echo: the canary sings", (await client.NextAsync("agent_response")).GetProperty("agent_response").GetString());
        await client.HangUpAsync();
        Assert.True(await Flow.SessionTests.Eventually(() => postern.Audit().Any(row => row.Name == "session.ended")));
        using var answer = await postern.Client.GetAsync($"/v1/convai/conversations/{client.ConversationId}", TestContext.Current.CancellationToken);
        Assert.Equal(404, (int)answer.StatusCode);
    }

    [Fact]
    public async Task Text_WorkedExample_IsSpokenToTheLetter()
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await TalkClient.CreateAgentAsync(postern, """{"agent":{"first_message":"Hello"}}""");
        using var client = await TalkClient.ConnectAsync(await postern.SignedUrlAsync(agent));
        await client.SayAsync(TalkClient.TextOpening);

        var (metadata, _) = await client.ReceiveAsync();
        Assert.Matches("""^\{"type":"conversation_initiation_metadata","conversation_initiation_metadata_event":\{"conversation_id":"conv_[0-9A-Za-z]{30}","agent_output_audio_format":"pcm_16000","user_input_audio_format":"pcm_16000"\}\}$""", metadata!);
        Assert.Equal("""{"type":"agent_response","agent_response_event":{"agent_response":"Hello","event_id":1}}""", (await client.ReceiveAsync()).Text);
        Assert.Equal("""{"type":"ping","ping_event":{"event_id":2,"ping_ms":null}}""", (await client.ReceiveAsync()).Text);
        await client.SayAsync("""{"type":"pong","event_id":2}""");
        await client.SayAsync("""{"type":"user_message","text":"hi there"}""");
        Assert.Equal("""{"type":"agent_chat_response_part","text_response_part":{"text":"","type":"start","event_id":3}}""", (await client.ReceiveAsync()).Text);
        Assert.Equal("""{"type":"agent_chat_response_part","text_response_part":{"text":"echo: hi there","type":"delta","event_id":3}}""", (await client.ReceiveAsync()).Text);
        Assert.Equal("""{"type":"agent_chat_response_part","text_response_part":{"text":"","type":"stop","event_id":3}}""", (await client.ReceiveAsync()).Text);
        Assert.Equal("""{"type":"agent_response","agent_response_event":{"agent_response":"echo: hi there","event_id":3}}""", (await client.ReceiveAsync()).Text);
        await client.HangUpAsync();
        Assert.Equal(WebSocketCloseStatus.NormalClosure, client.Socket.CloseStatus);
    }

    [Fact]
    public async Task Metadata_AndTheGreeting_AreFiftyMillisecondsApart()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.ConnectAsync(await postern.SignedUrlAsync(await TalkClient.CreateAgentAsync(postern, """{"agent":{"first_message":"Hello"}}""")));
        var since = System.Diagnostics.Stopwatch.GetTimestamp();
        await client.SayAsync(TalkClient.Opening);
        await client.MetadataAsync();
        await client.NextAsync("agent_response");
        Assert.InRange(System.Diagnostics.Stopwatch.GetElapsedTime(since).TotalMilliseconds, 49, 5000);
    }

    [Fact]
    public async Task Formats_AreTheAgents()
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await TalkClient.CreateAgentAsync(postern, """{"tts":{"agent_output_audio_format":"pcm_44100"},"asr":{"user_input_audio_format":"ulaw_8000"}}""");
        using var client = await TalkClient.ConnectAsync(await postern.SignedUrlAsync(agent));
        await client.SayAsync(TalkClient.Opening);
        var metadata = await client.MetadataAsync();
        Assert.Equal("pcm_44100", metadata.GetProperty("agent_output_audio_format").GetString());
        Assert.Equal("ulaw_8000", metadata.GetProperty("user_input_audio_format").GetString());
    }

    [Fact]
    public async Task NoFirstMessage_AgentWaits()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern);
        await client.SayAsync("""{"type":"user_message","text":"a"}""");
        Assert.Equal(("echo: a", 2), await client.AnswerAsync());
    }

    [Theory]
    [InlineData("""{"type":"user_activity"}""")]
    [InlineData("""{"type":"contextual_update","text":"the user looks at page 2"}""")]
    [InlineData("""{"type":"contextual_update","text":"x","context_id":"c"}""")]
    [InlineData("""{"type":"client_tool_result","tool_call_id":"t1","result":"3","is_error":false}""")]
    [InlineData("""{"type":"feedback","event_id":1,"score":"like"}""")]
    [InlineData("""{"type":"feedback","event_id":1,"score":null}""")]
    [InlineData("""{"type":"feedback","event_id":999999,"score":"dislike"}""")]
    [InlineData("""{"type":"mcp_tool_approval_result","tool_call_id":"t1","is_approved":true}""")]
    [InlineData("""{"type":"multimodal_message","file":{"type":"file_input","file_id":"f"}}""")]
    [InlineData("""{"type":"multimodal_message","text":null}""")]
    [InlineData("""{"type":"user_message","text":null}""")]
    [InlineData("""{"type":"user_message","text":""}""")]
    [InlineData("""{"type":"pong","event_id":77}""")]
    [InlineData("""{"type":"something_of_a_later_day","x":[1,2]}""")]
    [InlineData("""{"type":"enclave_setup_config","agent_config_dict":{}}""")]
    [InlineData("""{"user_audio_chunk":"AAAA"}""")]
    public async Task Message_WithoutAnAnswer_IsTaken(string message)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern, opening: TalkClient.TextOpening);
        await client.SayAsync(message);
        await client.SayAsync("""{"type":"multimodal_message","text":{"type":"user_message","text":"still there?"}}""");
        Assert.Equal("echo: still there?", (await client.AnswerAsync()).Text);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("5")]
    [InlineData("""{"a":1}""")]
    [InlineData("""{"type":5}""")]
    [InlineData("""{"type":null}""")]
    [InlineData("""{"type":"user_message","type":"user_message","text":"a"}""")]
    [InlineData("""{"type":"user_message","text":7}""")]
    [InlineData("""{"type":"user_message","text":"\ud800"}""")]
    [InlineData("""{"type":"pong"}""")]
    [InlineData("""{"type":"pong","event_id":1e400}""")]
    [InlineData("""{"type":"feedback","event_id":1,"score":"meh"}""")]
    [InlineData("""{"type":"audio"}""")]
    [InlineData("""{"type":"audio","audio_event":[]}""")]
    [InlineData("""{"user_audio_chunk":"%%"}""")]
    [InlineData("""{"user_audio_chunk":null}""")]
    [InlineData(TalkClient.Opening)]
    public async Task Message_NotOfTheProtocol_EndsWithEventAndClose(string message)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern);
        await client.SayAsync(message);
        var (code, reason, events) = await client.EndAsync();
        Assert.Equal((1008, "Invalid message received"), (code, reason));
        Assert.Equal("""{"type":"error","error_event":{"code":1008,"error_type":"invalid_message","message":"Invalid message received"}}""", Assert.Single(events).GetRawText());
        Assert.Equal("failed", (await postern.EndedAsync(client.ConversationId)).GetProperty("status").GetString());
    }

    [Fact]
    public async Task BinaryMessage_IsNotTaken()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern);
        await client.Socket.SendAsync(new byte[] { 1, 2, 3 }, WebSocketMessageType.Binary, true, Cancel);
        var (code, reason, _) = await client.EndAsync();
        Assert.Equal((1003, "Text messages only."), (code, reason));
    }

    [Fact]
    public async Task Ping_ComesAgainWithTheRoundTrip_AndIdsRise()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern);
        var (first, _) = await client.ReceiveAsync();
        Assert.Equal("""{"type":"ping","ping_event":{"event_id":1,"ping_ms":null}}""", first);
        await client.SayAsync("""{"type":"pong","event_id":1}""");
        await client.SayAsync("""{"type":"user_message","text":"a"}""");
        Assert.Equal(2, (await client.AnswerAsync()).Id);
        postern.Clock.Advance(TimeSpan.FromSeconds(6));
        await client.SayAsync("""{"type":"user_activity"}""");
        var ping = JsonDocument.Parse((await client.ReceiveAsync()).Text!).RootElement.GetProperty("ping_event");
        Assert.Equal(3, ping.GetProperty("event_id").GetInt64());
        Assert.InRange(ping.GetProperty("ping_ms").GetInt64(), 0, 5000);
    }

    [Fact]
    public async Task Messages_SentBeforeTheFirstAnswer_AreAnsweredInOrder()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.ConnectAsync(await postern.SignedUrlAsync(await TalkClient.CreateAgentAsync(postern)));
        await client.SayAsync(TalkClient.TextOpening);
        for (var i = 0; i < 50; i++)
        {
            await client.SayAsync($$"""{"type":"user_message","text":"{{i}}"}""");
        }
        await client.MetadataAsync();
        for (var i = 0; i < 50; i++)
        {
            Assert.Equal($"echo: {i}", (await client.AnswerAsync()).Text);
        }
    }

    [Fact]
    public async Task AwkwardText_ComesBackUnchanged()
    {
        const string Text = "ünïcode ☃ 𝄞 \"quotes\" <b>&amp;</b> \\ / \u2028 {{name}}";
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern);
        await client.SayAsync(JsonSerializer.Serialize(new { type = "user_message", text = Text }));
        Assert.Equal("echo: " + Text, (await client.AnswerAsync()).Text);
        await client.HangUpAsync();
        var transcript = (await postern.EndedAsync(client.ConversationId)).GetProperty("transcript");
        Assert.Equal(Text, transcript[0].GetProperty("message").GetString());
    }

    [Fact]
    public async Task ClientThatIsCutOff_EndsTheConversation()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern);
        client.Socket.Abort();
        var conversation = await postern.EndedAsync(client.ConversationId);
        Assert.Equal("the connection was lost", conversation.GetProperty("metadata").GetProperty("termination_reason").GetString());
    }
}
