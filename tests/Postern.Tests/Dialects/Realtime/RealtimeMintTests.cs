using System.Text;
using System.Text.Json;
using Postern.Core.Credentials;
using Postern.Server;
using Postern.Server.Dialects.Realtime;
using static Postern.Tests.Dialects.Realtime.RealtimeClient;

namespace Postern.Tests.Dialects.Realtime;

/// <summary>The mint routes: what is taken, what is answered, what is refused.</summary>
public class RealtimeMintTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Session_OfWhichTheMintSaidNothing_IsWrittenAsItWouldBeMade(bool hasVoice) => Assert.Equal(
        Encoding.UTF8.GetString(JsonText.Object(json => new SessionConfiguration(FixedValues.None, hasVoice, "sess_1", "m", 0).WriteMembers(json))),
        Encoding.UTF8.GetString(JsonText.Object(json => SessionConfiguration.WriteDefaults(json, hasVoice, "sess_1", "m"))));

    [Fact]
    public async Task ClientSecret_InEitherVendorsForm_HasPrefixExpiryAndSession()
    {
        await using var postern = await TestPostern.StartAsync(WithModels);
        foreach (var body in new[]
        {
            """{"expires_after":{"anchor":"created_at","seconds":300},"session":{"type":"realtime","model":"gpt-realtime","instructions":"Be brief."}}""",
            """{"expires_after":{"seconds":300},"session":{"model":"gpt-realtime","instructions":"Be brief."}}""",
        })
        {
            var (status, answer) = await AnswerAsync(postern, body);
            Assert.Equal(200, status);
            Assert.Matches(@"\Aek_[A-Za-z0-9_.-]+\z", answer.GetProperty("value").GetString());
            Assert.InRange(answer.GetProperty("expires_at").GetInt64() - postern.Clock.GetUtcNow().ToUnixTimeSeconds(), 270, 300);
            var session = answer.GetProperty("session");
            Assert.Equal("realtime", session.GetProperty("type").GetString());
            Assert.Equal("realtime.session", session.GetProperty("object").GetString());
            Assert.Equal("gpt-realtime", session.GetProperty("model").GetString());
            Assert.Equal("Be brief.", session.GetProperty("instructions").GetString());
            Assert.Equal(0, session.GetProperty("expires_at").GetInt64());
            Assert.True(session.TryGetProperty("output_modalities", out _) && session.GetProperty("id").GetString()!.StartsWith("sess_", StringComparison.Ordinal));
        }
        var (_, empty) = await AnswerAsync(postern, "{}");
        Assert.InRange(empty.GetProperty("expires_at").GetInt64() - postern.Clock.GetUtcNow().ToUnixTimeSeconds(), 570, 600);
    }

    [Fact]
    public async Task Session_Beta_AnswersTheSessionWithTheSecretInside()
    {
        await using var postern = await TestPostern.StartAsync();
        var (status, answer) = await AnswerAsync(postern, """{"model":"agent_echo","voice":"eve"}""", "/v1/realtime/sessions");
        Assert.Equal(200, status);
        Assert.Equal("eve", answer.GetProperty("audio").GetProperty("output").GetProperty("voice").GetString());
        Assert.StartsWith("ek_", answer.GetProperty("client_secret").GetProperty("value").GetString(), StringComparison.Ordinal);
        Assert.InRange(answer.GetProperty("client_secret").GetProperty("expires_at").GetInt64() - postern.Clock.GetUtcNow().ToUnixTimeSeconds(), 45, 60);
    }

    [Theory]
    [Trait("attack", "B14")]
    [InlineData("""{"expires_after":{"seconds":9}}""", "expires_after.seconds", "between 10 and 7200")]
    [InlineData("""{"expires_after":{"seconds":7201}}""", "expires_after.seconds", "between 10 and 7200")]
    [InlineData("""{"expires_after":{"seconds":0}}""", "expires_after.seconds", "between 10 and 7200")]
    [InlineData("""{"expires_after":{"seconds":-60}}""", "expires_after.seconds", "between 10 and 7200")]
    [InlineData("""{"expires_after":{"seconds":1000000000000}}""", "expires_after.seconds", "between 10 and 7200")]
    [InlineData("""{"expires_after":{"seconds":60.5}}""", "expires_after.seconds", "between 10 and 7200")]
    [InlineData("""{"expires_after":{"seconds":"60"}}""", "expires_after.seconds", "between 10 and 7200")]
    [InlineData("""{"expires_after":{"anchor":"now","seconds":60}}""", "expires_after.anchor", "created_at")]
    [InlineData("""{"expires_after":60}""", "expires_after", "object")]
    [InlineData("""{"max_session_duration_seconds":0}""", "max_session_duration_seconds", "between 1 and")]
    [InlineData("""{"single_use":"yes"}""", "single_use", "wrong type")]
    [InlineData("""{"user_id":"a","session":{"user_id":"b"}}""", "user_id", "twice")]
    [InlineData("""{"user_id":"a","subject":"b"}""", "user_id", "twice")]
    [InlineData("""{"user":"a","session":{"subject":"b"}}""", "user_id", "twice")]
    [InlineData("""{"agent_id":"agent_echo","agent":"agent_other"}""", "agent_id", "twice")]
    [InlineData("""{"max_duration_seconds":60,"max_session_duration_seconds":61}""", "max_session_duration_seconds", "twice")]
    [InlineData("""{"max_duration_seconds":"60"}""", "max_session_duration_seconds", "wrong type")]
    [InlineData("""{"origins":"a.example"}""", "allowed_origins", "wrong type")]
    [InlineData("""{"uses":0}""", "uses", "at least 1")]
    [InlineData("""{"uses":2,"single_use":true}""", "uses", "Contradicts single_use")]
    [InlineData("""{"uses":1,"session":{"single_use":false}}""", "uses", "Contradicts single_use")]
    [InlineData("""{"fixed":["tools"]}""", "fixed", "does not set")]
    [InlineData("""{"session":{"voice":"a","audio":{"output":{"voice":"b"}}}}""", "session", "twice")]
    public async Task Mint_WrongMember_IsA400ThatNamesIt(string body, string param, string words)
    {
        await using var postern = await TestPostern.StartAsync(WithModels);
        var (status, answer) = await AnswerAsync(postern, body);
        var error = answer.GetProperty("error");
        Assert.Equal((400, "invalid_request_error", param), (status, error.GetProperty("type").GetString(), error.GetProperty("param").GetString()));
        Assert.Contains(words, error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("""{"session":1}""")]
    [InlineData("""{"session":{"instructions":"a","instructions":"b"}}""")]
    [InlineData("""{"session":{"model":"\ud800"}}""")]
    public async Task Mint_UnreadableBody_IsA400(string body)
    {
        await using var postern = await TestPostern.StartAsync(WithModels);
        Assert.Equal(400, (await AnswerAsync(postern, body)).Status);
    }

    [Fact]
    public async Task Mint_ExtensionMembers_AreReadAtTheTopInTheSessionAndInHeaders()
    {
        await using var postern = await TestPostern.StartAsync(WithModels);
        var (status, answer) = await AnswerAsync(postern, """{"user_id":"ann","session":{"user_id":"ann","single_use":true}}""",
            headers: [("OpenAI-Safety-Identifier", "ann"), ("Postern-Single-Use", "true"), ("Postern-Max-Session-Duration", "60")]);
        Assert.Equal(200, status);
        Assert.False(answer.GetProperty("session").TryGetProperty("user_id", out _));
        Assert.Equal(400, (await AnswerAsync(postern, """{"user_id":"ann"}""", headers: ("OpenAI-Safety-Identifier", "bob"))).Status);
        Assert.Equal(400, (await AnswerAsync(postern, """{"single_use":false}""", headers: ("Postern-Single-Use", "true"))).Status);
    }

    [Fact]
    public async Task Mint_NamesOfPosternsOwnApi_MeanTheSameHere()
    {
        await using var postern = await TestPostern.StartAsync(WithModels);
        var (status, answer) = await AnswerAsync(postern,
            """{"agent":"agent_echo","subject":"ann","uses":2,"session":{"user":"ann","max_duration_seconds":60,"origins":["app.example"],"instructions":"x"}}""", headers: ("Postern-Uses", "2"));
        Assert.Equal(200, status);
        Assert.All(["user", "origins", "max_duration_seconds"], name => Assert.False(answer.GetProperty("session").TryGetProperty(name, out _)));

        using var inspected = await postern.Client.GetAsync($"/v1/credentials/{answer.GetProperty("session").GetProperty("id").GetString()!["sess_".Length..]}", TestContext.Current.CancellationToken);
        var grant = JsonElement.Parse(await inspected.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal(("ann", 2, 60, "app.example"), (grant.GetProperty("subject").GetString(), grant.GetProperty("uses").GetInt32(),
            grant.GetProperty("max_duration_seconds").GetInt32(), grant.GetProperty("origins")[0].GetString()));
    }

    [Fact]
    public async Task Mint_Keys_AreAnsweredInTheVendorsShape()
    {
        await using var postern = await TestPostern.StartAsync();
        Assert.Equal((401, "invalid_api_key"), Code(await AnswerAsync(postern, "{}", key: null)));
        Assert.Equal((401, "invalid_api_key"), Code(await AnswerAsync(postern, """{"agent_id":"agent_echo"}""", key: "wrong")));
        Assert.Equal((404, "model_not_found"), Code(await AnswerAsync(postern, """{"session":{"model":"gpt-unknown"}}""")));
        Assert.Equal((400, "invalid_value"), Code(await AnswerAsync(postern, "{}")));
    }

    [Fact]
    [Trait("attack", "B13")]
    public async Task ClientSecret_OnAnyOtherRoute_IsRefused()
    {
        await using var postern = await TestPostern.StartAsync();
        var secret = await MintAsync(postern);
        Assert.Equal((403, "wrong_credential"), Code(await AnswerAsync(postern, """{"agent_id":"agent_echo"}""", key: secret)));
        Assert.Equal((403, "wrong_credential"), Code(await AnswerAsync(postern, """{"model":"agent_echo"}""", "/v1/realtime/sessions", secret)));
        using var client = new HttpClient { BaseAddress = new Uri(postern.Http) };
        client.DefaultRequestHeaders.Add("Authorization", $"Bearer {secret}");
        client.DefaultRequestHeaders.Add("xi-api-key", secret);
        foreach (var path in new[] { "/v1/convai/agents", "/v1/convai/conversation/get-signed-url?agent_id=agent_echo", "/api/agents", "/api/sessions" })
        {
            using var answer = await client.GetAsync(path, TestContext.Current.CancellationToken);
            Assert.InRange((int)answer.StatusCode, 401, 403);
        }
    }

    [Fact]
    public async Task Calls_WithoutWebRtc_SaySoReadablyForAPage()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new HttpClient { BaseAddress = new Uri(postern.Http) };
        using var offer = new StringContent("v=0");
        offer.Headers.ContentType = new("application/sdp");
        using var answer = await client.PostAsync("/v1/realtime/calls", offer, TestContext.Current.CancellationToken);
        Assert.Equal((400, "webrtc_unavailable"), Code(((int)answer.StatusCode, JsonElement.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)))));
        Assert.Equal("*", Assert.Single(answer.Headers.GetValues("Access-Control-Allow-Origin")));
        Assert.Equal("Location", Assert.Single(answer.Headers.GetValues("Access-Control-Expose-Headers")));
        using var question = new HttpRequestMessage(HttpMethod.Options, "/v1/realtime/calls");
        using var preflight = await client.SendAsync(question, TestContext.Current.CancellationToken);
        Assert.Equal(204, (int)preflight.StatusCode);
        Assert.Contains("x-openai-agents-sdk", Assert.Single(preflight.Headers.GetValues("Access-Control-Allow-Headers")), StringComparison.Ordinal);
        using var keyed = new HttpRequestMessage(HttpMethod.Options, "/v1/realtime/client_secrets");
        using var refused = await client.SendAsync(keyed, TestContext.Current.CancellationToken);
        Assert.False(refused.Headers.Contains("Access-Control-Allow-Origin"));
    }

    internal static Server.PosternOptions WithModels(string folder, bool https)
    {
        var options = TestPostern.Options(folder, https);
        options.Realtime.Models = ["gpt-realtime=agent_echo", "grok-voice=agent_echo", "default=agent_echo"];
        return options;
    }

    private static (int, string?) Code((int Status, JsonElement Body) answer) => (answer.Status, answer.Body.GetProperty("error").GetProperty("code").GetString());
}
