using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Postern.Server.Flow;
using Postern.Tests.Flow;
using static Postern.Tests.Dialects.Realtime.RealtimeClient;

namespace Postern.Tests.Dialects.Realtime;

/// <summary>Relayed sessions: the upstream sees the customer's key and nothing of the client's, and the lock holds on every frame's way up.</summary>
[Collection(nameof(Alone))]
public class RealtimeRelayTests
{
    private const string Locked = """
        "fixed":["instructions"],"session":{"instructions":"Be kind.","audio":{"output":{"voice":"eve"}}}
        """;

    [Fact]
    public async Task Upstream_SeesItsOwnKey_AndNoneOfTheClients()
    {
        await using var postern = await TestPostern.StartAsync();
        await using var upstream = new StubUpstream();
        var agent = await AgentAsync(postern, upstream);
        var secret = await MintAsync(postern, $$"""{"agent_id":"{{agent}}",{{Locked}}}""");
        var connecting = ConnectAsync(postern, origin: "https://app.example.com", protocols: ["realtime", "openai-insecure-api-key." + secret]);
        await using var wire = await upstream.OpenAsync();
        await using var client = await connecting;
        Assert.Contains("Authorization: Bearer sk-upstream", upstream.Request, StringComparison.Ordinal);
        Assert.DoesNotContain(secret, upstream.Request, StringComparison.Ordinal);
        Assert.DoesNotContain("Origin", upstream.Request, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Sec-WebSocket-Protocol", upstream.Request, StringComparison.OrdinalIgnoreCase);
        var greeting = JsonElement.Parse((await wire.ReadFrameAsync())!.Value.Payload);
        Assert.Equal(("session.update", "Be kind."), (Type(greeting), greeting.GetProperty("session").GetProperty("instructions").GetString()));
        Assert.Equal("eve", greeting.GetProperty("session").GetProperty("audio").GetProperty("output").GetProperty("voice").GetString());
        await wire.SendAsync("""{"type":"session.created","event_id":"up1","session":{}}""", masked: false);
        Assert.Equal("up1", (await client.OneAsync("session.created")).GetProperty("event_id").GetString());
    }

    [Theory]
    [InlineData("""{"type":"session.update","event_id":"e","session":{"type":"realtime","instructions":"x","tool_choice":"none"}}""", """{"type":"session.update","event_id":"e","session":{"type":"realtime","tool_choice":"none"}}""", "session.instructions")]
    [InlineData("""{"type":"session.update","session":{"instructions":"x"}}""", """{"type":"session.update","session":{"type":"realtime"}}""", "session.instructions")]
    [InlineData("""{"type":"session\u002eupdate","session":{"INSTRUCTIONS":"x"}}""", """{"type":"session.update","session":{"type":"realtime"}}""", "session.INSTRUCTIONS")]
    [InlineData("""{"type":"session.update","session":{"type":"realtime","model":"gpt-realtime-2.1"}}""", """{"type":"session.update","session":{"type":"realtime"}}""", null)]
    [InlineData("""{"type":"session.update","session":{"voice":"ash","instructions":"Be kind."}}""", null, null)]
    [InlineData("""{"type":"response.create","response":{"instructions":"x","metadata":{"a":"b"}}}""", """{"type":"response.create","response":{"metadata":{"a":"b"}}}""", "response.instructions")]
    [InlineData("""{"type":"response.create"}""", null, null)]
    [InlineData("""{"type":"conversation.item.create","item":{"type":"message","role":"system","content":[]}}""", "", "item.role")]
    [InlineData("""{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[]}}""", null, null)]
    [InlineData("""{"type":"transcription_session.update","session":{}}""", "", "type")]
    [InlineData("""{"type":"input_audio_buffer.append","type":"session.update","session":{"instructions":"x"}}""", "", null)]
    [InlineData("""{"type":"input_audio_buffer.append","Type":"session.update","session":{"instructions":"x"}}""", "", null)]
    [InlineData("""{"type":"session.update","Session":{"instructions":"x"}}""", "", null)]
    [InlineData("""[{"type":"session.update"}]""", "", null)]
    [InlineData("""{"type":"input_audio_buffer.append","audio":"AAAA"}""", null, null)]
    public async Task ClientMessage_UnderALock_PassesOnlyAsItMay(string sent, string? arrives, string? param)
    {
        await using var postern = await TestPostern.StartAsync();
        await using var upstream = new StubUpstream();
        var agent = await AgentAsync(postern, upstream);
        var connecting = ConnectAsync(postern, await MintAsync(postern, $$"""{"agent_id":"{{agent}}",{{Locked}}}"""));
        await using var wire = await upstream.OpenAsync();
        await using var client = await connecting;
        await wire.ReadFrameAsync();
        await client.SendAsync(sent);
        await client.SendAsync("""{"type":"response.cancel"}""");
        var came = (await wire.ReadFrameAsync())!.Value.Text;
        if (arrives == "")
        {
            Assert.Equal("""{"type":"response.cancel"}""", came);
        }
        else
        {
            Assert.Equal(arrives ?? sent, came);
        }
        if (param is not null || arrives == "")
        {
            var error = await client.OneAsync("error");
            Assert.Equal(param, RealtimeLockTests.Refusal(error).Param);
            Assert.Equal(sent.Contains("\"e\"", StringComparison.Ordinal) ? "e" : null, RealtimeLockTests.Refusal(error).Cause);
        }
    }

    [Fact]
    public async Task FixedMember_OfAnObjectThatTheClientReplaces_GoesAlong()
    {
        await using var postern = await TestPostern.StartAsync();
        await using var upstream = new StubUpstream();
        var agent = await AgentAsync(postern, upstream);
        var secret = await MintAsync(postern, $$"""{"agent_id":"{{agent}}","fixed":["turn_detection.threshold"],"session":{"turn_detection":{"threshold":0.9} } }""");
        var connecting = ConnectAsync(postern, secret);
        await using var wire = await upstream.OpenAsync();
        await using var client = await connecting;
        await wire.ReadFrameAsync();
        await client.SendAsync("""{"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":{"type":"server_vad"}}}}}""");
        var detection = JsonElement.Parse((await wire.ReadFrameAsync())!.Value.Payload).GetProperty("session").GetProperty("audio").GetProperty("input").GetProperty("turn_detection");
        Assert.Equal(("server_vad", 0.9), (detection.GetProperty("type").GetString(), detection.GetProperty("threshold").GetDouble()));
        await client.SendAsync("""{"type":"session.update","session":{"turn_detection":null}}""");
        Assert.Equal("session.turn_detection", RealtimeLockTests.Refusal(await client.OneAsync("error")).Param);
    }

    [Fact]
    public async Task Binary_IsRefused_ButForAnXaiUpstreamWhereItIsNoText()
    {
        await using var postern = await TestPostern.StartAsync();
        await using var upstream = new StubUpstream();
        var agent = await AgentAsync(postern, upstream);
        await ChangeAsync(postern, $"/api/agents/{agent}/dialect", """{"dialect":"xai"}""");
        var connecting = ConnectAsync(postern, await MintAsync(postern, $$"""{"agent_id":"{{agent}}",{{Locked}}}"""));
        await using var wire = await upstream.OpenAsync();
        await using var client = await connecting;
        var greeting = JsonElement.Parse((await wire.ReadFrameAsync())!.Value.Payload).GetProperty("session");
        Assert.Equal(("eve", false), (greeting.GetProperty("voice").GetString(), greeting.TryGetProperty("type", out _)));
        foreach (var hidden in new[] { """{"type":"session.update","session":{"instructions":"x"}}""", "\uFEFF{}", " [1] " })
        {
            await client.Socket.SendAsync(Encoding.UTF8.GetBytes(hidden), System.Net.WebSockets.WebSocketMessageType.Binary, true, TestContext.Current.CancellationToken);
            await client.OneAsync("error");
        }
        byte[] sound = [(byte)'{', 1, 2, 3];
        await client.Socket.SendAsync(sound, System.Net.WebSockets.WebSocketMessageType.Binary, true, TestContext.Current.CancellationToken);
        var came = (await wire.ReadFrameAsync())!.Value;
        Assert.Equal((Opcode.Binary, true), (came.Opcode, came.Payload.AsSpan().SequenceEqual(sound)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task XaiUpstream_LeavesAnUpdateUnanswered_ItIsAnsweredOnce(bool answers)
    {
        await using var postern = await TestPostern.StartAsync();
        await using var upstream = new StubUpstream();
        var agent = await AgentAsync(postern, upstream);
        await ChangeAsync(postern, $"/api/agents/{agent}/dialect", """{"dialect":"xai"}""");
        var connecting = ConnectAsync(postern, await MintAsync(postern, $$"""{"agent_id":"{{agent}}",{{Locked}}}"""));
        await using var wire = await upstream.OpenAsync();
        await using var client = await connecting;
        await wire.ReadFrameAsync();
        await client.SendAsync("""{"type":"session.update","session":{"voice":"rex","instructions":"x","turn_detection":null}}""");
        await wire.ReadFrameAsync();
        if (answers)
        {
            await wire.SendAsync("""{"type":"session.updated","event_id":"up1","session":{}}""", masked: false);
        }
        await wire.SendAsync("""{"type":"response.created","event_id":"up2","response":{}}""", masked: false);

        Assert.Equal("session.instructions", RealtimeLockTests.Refusal(await client.OneAsync("error")).Param);
        if (answers)
        {
            Assert.Equal("up1", (await client.OneAsync("session.updated")).GetProperty("event_id").GetString());
            await client.OneAsync("response.created");
            await Task.Delay(2300, TestContext.Current.CancellationToken);
            await wire.SendAsync("""{"type":"response.done","event_id":"up3","response":{}}""", masked: false);
            Assert.Equal("up3", (await client.NextAsync())!.Value.GetProperty("event_id").GetString());
        }
        else
        {
            var session = (await client.OneAsync("session.updated")).GetProperty("session");
            Assert.Equal(("rex", "Be kind."), (session.GetProperty("voice").GetString(), session.GetProperty("instructions").GetString()));
            Assert.Equal(JsonValueKind.Null, session.GetProperty("turn_detection").ValueKind);
        }
    }

    [Theory]
    [InlineData("xai", "openai-insecure-api-key.", "response.text.delta", "response.output_text.delta")]
    [InlineData("xai", "openai-insecure-api-key.", "response.text.done", "response.output_text.done")]
    [InlineData("realtime", "xai-client-secret.", "response.output_text.delta", "response.text.delta")]
    [InlineData("realtime", "xai-client-secret.", "response.output_text.done", "response.text.done")]
    [InlineData("xai", "xai-client-secret.", "response.text.delta", "response.text.delta")]
    [InlineData("realtime", "openai-insecure-api-key.", "response.output_text.delta", "response.output_text.delta")]
    [InlineData("xai", "openai-insecure-api-key.", "response.output_audio.delta", "response.output_audio.delta")]
    public async Task TextEvents_OfTheOtherVendor_GetTheNameThatTheClientKnows(string upstreamSpeaks, string offers, string sent, string received)
    {
        await using var postern = await TestPostern.StartAsync();
        await using var upstream = new StubUpstream();
        var agent = await AgentAsync(postern, upstream);
        await ChangeAsync(postern, $"/api/agents/{agent}/dialect", $$"""{"dialect":"{{upstreamSpeaks}}"}""");
        var secret = await MintAsync(postern, $$"""{"agent_id":"{{agent}}"}""");
        var connecting = ConnectAsync(postern, protocols: offers[0] == 'o' ? ["realtime", offers + secret] : [offers + secret]);
        await using var wire = await upstream.OpenAsync();
        await using var client = await connecting;
        // In whatever order and spelling, in pieces with a ping between, and not where the name is somebody's words.
        string Text(string type) => $$"""{ "delta":"{{sent}}", "part":{"type":"{{sent}}"}, "type" : "{{type}}", "event_id":"up1","n":1.50 }""";
        var whole = Encoding.UTF8.GetBytes(Text(sent.Replace(".", "\\u002e", StringComparison.Ordinal)));
        await wire.SendAsync(Opcode.Text, whole[..40], final: false, masked: false);
        await wire.SendAsync(Opcode.Ping, [1], masked: false);
        await wire.SendAsync(Opcode.Continuation, whole[40..], masked: false);
        await wire.SendAsync("no JSON " + sent, masked: false);
        await wire.SendAsync($$"""{"type":"{{sent}}"}""", masked: false);
        await wire.SendAsync(Opcode.Binary, Encoding.UTF8.GetBytes($$"""{"type":"{{sent}}"}"""), masked: false);
        await wire.SendAsync(Opcode.Close, [0x03, 0xe8, (byte)'b', (byte)'y', (byte)'e'], masked: false);

        Assert.Equal(sent == received ? Encoding.UTF8.GetString(whole) : Text(received), await client.TextAsync());
        Assert.Equal("no JSON " + sent, await client.TextAsync());
        Assert.Equal($$"""{"type":"{{received}}"}""", await client.TextAsync());
        Assert.Equal($$"""{"type":"{{sent}}"}""", await client.TextAsync());
        Assert.Null(await client.NextAsync());
        Assert.Equal((1000, "bye"), client.Closed);
    }

    [Fact]
    public async Task RelayedSession_IsWarnedAndEndsInTheVendorsWords()
    {
        await using var postern = await TestPostern.StartAsync();
        await using var upstream = new StubUpstream();
        var agent = await AgentAsync(postern, upstream);
        var connecting = ConnectAsync(postern, await MintAsync(postern, $$"""{"agent_id":"{{agent}}","max_session_duration_seconds":2}"""));
        await using var wire = await upstream.OpenAsync();
        await using var client = await connecting;
        await client.OneAsync("session.expiring");
        Assert.Equal("session_expired", (await client.OneAsync("error")).GetProperty("error").GetProperty("code").GetString());
        Assert.Null(await client.NextAsync());
        Assert.Equal((3000, "invalid_request_error.session_expired"), client.Closed);
    }

    private static async Task<string> AgentAsync(TestPostern postern, StubUpstream upstream)
    {
        using var created = await postern.Client.PostAsync("/v1/convai/agents/create", Json("""{"name":"relayed","conversation_config":{}}"""), TestContext.Current.CancellationToken);
        var agent = (await created.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken)).GetProperty("agent_id").GetString()!;
        await ChangeAsync(postern, $"/api/agents/{agent}/upstream", $$"""{"kind":"relay","url":"{{upstream.Url}}","headers":{"Authorization":"Bearer sk-upstream"} }""");
        return agent;
    }

    private static async Task ChangeAsync(TestPostern postern, string path, string body)
    {
        using var answer = await postern.Client.PutAsync(path, Json(body), TestContext.Current.CancellationToken);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");
}
