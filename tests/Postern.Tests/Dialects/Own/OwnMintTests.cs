using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Postern.Tests.Dialects.Convai;

namespace Postern.Tests.Dialects.Own;

/// <summary>Postern's own mint: what it hands out, and that nothing of what it is asked for is dropped in silence.</summary>
public class OwnMintTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("elevenlabs", "conversation_signature=")]
    [InlineData("xuna", "token=")]
    [InlineData("realtime", "conversation_signature=")]
    [InlineData("xai", "conversation_signature=")]
    public async Task SignedUrl_OfAnAgentOfAnyDialect_IsHandedOutAndOpens(string dialect, string parameter)
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await postern.AgentAsync(dialect: dialect);

        var (status, minted) = await MintAsync(postern, $$"""{"kind":"signed_url","agent_id":"{{agent}}"}""");

        Assert.Equal(201, status);
        var url = minted.GetProperty("signed_url").GetString()!;
        Assert.Contains(parameter, url, StringComparison.Ordinal);
        using var socket = new System.Net.WebSockets.ClientWebSocket();
        await socket.ConnectAsync(new Uri(url), Cancel);
        Assert.Equal(System.Net.WebSockets.WebSocketState.Open, socket.State);
        Assert.Contains(postern.Audit(), row => row.Name == "session.started");
    }

    [Theory]
    [InlineData("realtime")]
    [InlineData("xuna")]
    public async Task ConversationToken_OfAnAgentOfAnyDialect_IsARoomToken(string dialect)
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await postern.AgentAsync(dialect: dialect);
        await ConfigureMediaAsync(postern, agent);

        var (status, minted) = await MintAsync(postern, $$"""{"kind":"conversation_token","agent_id":"{{agent}}","subject":"ann"}""");

        Assert.Equal(201, status);
        Assert.Equal(minted.GetProperty("conversation_id").GetString(), Claims(minted).GetProperty("video").GetProperty("room").GetString());
    }

    [Fact]
    public async Task ConversationToken_WithFixedValues_CarriesThemToTheAgentsSide()
    {
        await using var postern = await TestPostern.StartAsync();
        await ConfigureMediaAsync(postern, "agent_echo");
        using var answer = await postern.Client.PostAsync("/v1/convai/conversation/token", TestPostern.Json(
            """{"agent_id":"agent_echo","user_id":"ann","dynamic_variables":{"plan":"gold"},"conversation_config_override":{"agent":{"first_message":"Hi {{plan}}"}}}"""), Cancel);

        var metadata = JsonElement.Parse(Claims(await answer.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("metadata").GetString()!);

        Assert.Equal("agent_echo", metadata.GetProperty("agent_id").GetString());
        Assert.Equal("conversation_initiation_client_data", metadata.GetProperty("type").GetString());
        Assert.Equal("gold", metadata.GetProperty("dynamic_variables").GetProperty("plan").GetString());
        Assert.Equal("Hi {{plan}}", metadata.GetProperty("conversation_config_override").GetProperty("agent").GetProperty("first_message").GetString());
    }

    [Fact]
    public async Task ConversationToken_WithMoreThanItCanCarry_IsRefused()
    {
        await using var postern = await TestPostern.StartAsync();
        await ConfigureMediaAsync(postern, "agent_echo");
        var body = $$$"""{"kind":"{0}","agent_id":"agent_echo","dynamic_variables":{"a":"{{{new string('a', 5000)}}}"}}""";

        Assert.Equal(400, (await MintAsync(postern, body.Replace("{0}", "conversation_token", StringComparison.Ordinal))).Status);
        Assert.Equal(201, (await MintAsync(postern, body.Replace("{0}", "signed_url", StringComparison.Ordinal))).Status);
    }

    [Theory]
    [InlineData("")]
    [InlineData(""","dynamic_variables":{"plan":"gold"}""")]
    public async Task ConversationToken_Revoked_ItsRoomIsClosed(string more)
    {
        await using var media = await FakeMediaServer.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        using var configured = await postern.Client.PutAsJsonAsync("/api/agents/agent_echo/media", new { url = media.Url, key = "devkey", secret = "a-secret-of-the-media-server-of-32" }, Cancel);
        var minted = (await MintAsync(postern, $$"""{"kind":"conversation_token","agent_id":"agent_echo"{{more}} }""")).Body;

        using var revoked = await postern.Client.PostAsync($"/v1/credentials/{minted.GetProperty("id").GetString()}/revoke", null, Cancel);

        Assert.Equal(200, (int)revoked.StatusCode);
        await media.UntilAsync(1);
        Assert.Equal(minted.GetProperty("conversation_id").GetString(), media.Calls.Single().Room);
    }

    [Theory]
    [InlineData("""{"kind":"client_secret","agent_id":"agent_echo","dynamic_variables":{"plan":"gold"}}""", "dynamic_variables")]
    [InlineData("""{"kind":"personal_access_token","overrides":{"instructions":"x"}}""", "overrides")]
    [InlineData("""{"kind":"client_secret","agent_id":"agent_echo","overrides":"x"}""", "overrides must be an object")]
    [InlineData("""{"kind":"client_secret","agent_id":"agent_echo","overrides":["voice"]}""", "overrides must be an object")]
    [InlineData("""{"kind":"client_secret","agent_id":"agent_echo","overrides":{"voice":"a","audio":{"output":{"voice":"b"}}}}""", "'audio.output.voice' is given twice")]
    [InlineData("""{"kind":"client_secret","agent_id":"agent_echo","overrides":{"Instructions":"a","instructions":"b"}}""", "is given twice")]
    [InlineData("""{"kind":"client_secret","agent_id":"agent_echo","overrides":{"model":"gpt"}}""", "'model' is no field")]
    [InlineData("""{"kind":"signed_url","agent_id":"agent_echo","dynamic_variables":{"plan":{"a":1}}}""", "plan")]
    [InlineData("""{"kind":"signed_url","agent_id":"agent_echo","dynamic_variables":{"system__time":"x"}}""", "system__time")]
    [InlineData("""{"kind":"signed_url","agent_id":"agent_echo","overrides":{"agent":{"colour":"x"}}}""", "colour")]
    [InlineData("""{"kind":"signed_url","agent_id":"agent_echo","start_within_seconds":86401}""", "start_within_seconds")]
    public async Task Restriction_ThatNobodyWouldHoldTo_IsRefusedByName(string body, string name)
    {
        await using var postern = await TestPostern.StartAsync();

        var (status, answer) = await MintAsync(postern, body);

        Assert.Equal(400, status);
        Assert.Contains(name, answer.GetProperty("detail").GetString()!, StringComparison.Ordinal);
    }

    [Theory]
    [Trait("attack", "A20")]
    [InlineData("Bearer " + TestPostern.Key, "other")]
    [InlineData("Bearer other", TestPostern.Key)]
    [InlineData("Basic abc", TestPostern.Key)]
    [InlineData("Bearer other|Bearer " + TestPostern.Key, null)]
    [InlineData(null, TestPostern.Key + "|other")]
    public async Task TwoKeys_InOneRequest_AreRefused(string? authorization, string? own)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new HttpClient { BaseAddress = new Uri(postern.Http) };

        foreach (var (method, path) in new[] { (HttpMethod.Post, "/v1/credentials"), (HttpMethod.Get, "/v1/credentials/unknown") })
        {
            using var request = new HttpRequestMessage(method, path) { Content = method == HttpMethod.Post ? TestPostern.Json("""{"kind":"signed_url","agent_id":"agent_echo"}""") : null };
            request.Headers.TryAddWithoutValidation("Authorization", authorization?.Split('|') ?? []);
            request.Headers.TryAddWithoutValidation("xi-api-key", own?.Split('|') ?? []);
            using var answer = await client.SendAsync(request, Cancel);
            Assert.Equal(401, (int)answer.StatusCode);
        }
        Assert.DoesNotContain(postern.Audit(), row => row.Name == "credential.minted");
    }

    [Fact]
    [Trait("attack", "B11")]
    public async Task PersonalAccessToken_LongerThanItsLongestAge_IsNotMinted()
    {
        await using var postern = await TestPostern.StartAsync((folder, https) =>
        {
            var options = TestPostern.Options(folder, https);
            options.PersonalAccessTokens.MaxAge = TimeSpan.FromMinutes(30);
            return options;
        });

        Assert.Equal(400, (await MintAsync(postern, """{"kind":"personal_access_token","start_within_seconds":1801}""")).Status);
        var minted = (await MintAsync(postern, """{"kind":"personal_access_token"}""")).Body;
        Assert.Equal(TimeSpan.FromMinutes(30), minted.GetProperty("start_by").GetDateTimeOffset() - minted.GetProperty("minted_at").GetDateTimeOffset());
    }

    internal static async Task ConfigureMediaAsync(TestPostern postern, string agent)
    {
        using var media = await postern.Client.PutAsJsonAsync($"/api/agents/{agent}/media", new { url = "ws://127.0.0.1:7880", key = "devkey", secret = "a-secret-of-the-media-server-of-32" }, Cancel);
        media.EnsureSuccessStatusCode();
    }

    private static async Task<(int Status, JsonElement Body)> MintAsync(TestPostern postern, string body)
    {
        using var answer = await postern.Client.PostAsync("/v1/credentials", TestPostern.Json(body), Cancel);
        return ((int)answer.StatusCode, await answer.Content.ReadFromJsonAsync<JsonElement>(Cancel));
    }

    private static JsonElement Claims(JsonElement minted) =>
        JsonElement.Parse(Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(minted.GetProperty("token").GetString()!.Split('.')[1])));
}
