using System.Net.WebSockets;
using static Postern.Tests.Dialects.Realtime.RealtimeClient;

namespace Postern.Tests.Dialects.Realtime;

/// <summary>Who is let in, what is echoed, and how a refusal reads.</summary>
public class RealtimeConnectTests
{
    [Theory]
    [InlineData(true, null, null)]
    [InlineData(false, "realtime|openai-insecure-api-key.{0}", "realtime")]
    [InlineData(false, "openai-insecure-api-key.{0}|realtime|openai-organization.o|openai-agents-sdk.0.20.0|openai-beta.realtime-v1", "realtime")]
    [InlineData(false, "openai-insecure-api-key.{0}", null)]
    [InlineData(false, "xai-client-secret.{0}", "xai-client-secret.{0}")]
    [InlineData(false, "xai-client-secret.{0}|realtime", "realtime")]
    [InlineData(true, "realtime", "realtime")]
    [InlineData(true, "openai-insecure-api-key.{0}|realtime", "realtime")]
    [Trait("attack", "C9")]
    public async Task Secret_InEveryPlaceOfTheContract_OpensWithTheRightEcho(bool asBearer, string? protocols, string? echo)
    {
        await using var postern = await TestPostern.StartAsync(RealtimeMintTests.WithModels);
        var secret = await MintAsync(postern);
        var offered = protocols?.Replace("{0}", secret, StringComparison.Ordinal).Split('|') ?? [];
        await using var client = await ConnectAsync(postern, asBearer ? secret : null, "?model=gpt-realtime", protocols: offered);
        Assert.Equal(echo?.Replace("{0}", secret, StringComparison.Ordinal), client.Socket.SubProtocol);
        var events = await client.UntilAsync("conversation.created");
        Assert.Equal(["session.created", "conversation.created"], events.Select(RealtimeClient.Type));
        Assert.All(events, one => Assert.NotEmpty(one.GetProperty("event_id").GetString()!));
    }

    // Of a client's own word and the mint's, the mint's holds; whoever holds the key itself is believed.
    [Theory]
    [InlineData("ann", "bob", "ann")]
    [InlineData("ann", null, "ann")]
    [InlineData(null, "bob", null)]
    [InlineData("key", "bob", "bob")]
    public async Task User_IsWhomTheCredentialNames(string? minted, string? claimed, string? user)
    {
        await using var postern = await TestPostern.StartAsync(RealtimeMintTests.WithModels);
        var bearer = minted == "key" ? TestPostern.Key : await MintAsync(postern, $$"""{"agent_id":"agent_echo"{{(minted is null ? "" : $",\"user_id\":\"{minted}\"")}}}""");
        await using var client = await ConnectAsync(postern, bearer, "?agent_id=agent_echo", null, claimed, []);
        await client.OneAsync("session.created");
        var sessions = System.Text.Json.JsonElement.Parse(await postern.Client.GetStringAsync("/api/sessions", TestContext.Current.CancellationToken)).GetProperty("sessions");
        Assert.Equal(user, Assert.Single(sessions.EnumerateArray()).GetProperty("subject").GetString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("?agent_id=agent_echo")]
    [InlineData("?model=agent_echo")]
    [InlineData("?model=grok-voice&agent_id=agent_echo")]
    public async Task Agent_ByIdOrModelOrTheSecretAlone_IsReached(string query)
    {
        await using var postern = await TestPostern.StartAsync(RealtimeMintTests.WithModels);
        await using var client = await ConnectAsync(postern, await MintAsync(postern), query);
        await client.OneAsync("session.created");
    }

    [Theory]
    [Trait("attack", "C9")]
    [InlineData("?model=gpt-unknown", "realtime|openai-insecure-api-key.{0}", "agent_mismatch")]
    [InlineData("?agent_id=agent_other", "xai-client-secret.{0}", "agent_mismatch")]
    [InlineData("?agent_id=agent_other&model=agent_echo", "xai-client-secret.{0}", "agent_mismatch")]
    [InlineData("", "realtime|openai-insecure-api-key.{0}x", "token_invalid")]
    [InlineData("", "realtime|openai-insecure-api-key.psu_aaaa", "token_wrong_kind")]
    [InlineData("?agent_id=agent_echo", "realtime|openai-insecure-api-key.test-key-of-more-than-thirty-two-characters", "token_invalid")]
    [InlineData("", "realtime|openai-insecure-api-key.{0}|xai-client-secret.ek_other", "conflicting_credentials")]
    [InlineData("?agent_id=agent_echo", "realtime", "token_missing")]
    [InlineData("?model=gpt-unknown", "realtime", "model_not_found")]
    [InlineData("?call_id=rtc_1", "realtime|openai-insecure-api-key.{0}", "invalid_request")]
    [InlineData("?model=a&model=b", "realtime|openai-insecure-api-key.{0}", "invalid_request")]
    public async Task Refusal_IsAnErrorEventThenACloseWithTheWord(string query, string protocols, string word)
    {
        await using var postern = await TestPostern.StartAsync(RealtimeMintTests.WithModels);
        var secret = await MintAsync(postern);
        await using var client = await ConnectAsync(postern, query: query, protocols: protocols.Replace("{0}", secret, StringComparison.Ordinal).Split('|'));
        await AssertRefusedAsync(client, word, "invalid_api_key");
    }

    [Fact]
    [Trait("attack", "A20")]
    [Trait("attack", "C9")]
    public async Task TwoCredentials_InHeaderAndSubprotocol_AreRefused_ButTheSameTwiceIsOne()
    {
        await using var postern = await TestPostern.StartAsync();
        var (one, other) = (await MintAsync(postern), await MintAsync(postern));
        await using var conflicting = await ConnectAsync(postern, one, protocols: ["realtime", "openai-insecure-api-key." + other]);
        await AssertRefusedAsync(conflicting, "conflicting_credentials", "invalid_api_key");
        await using var doubled = await ConnectAsync(postern, $"{one}, Bearer {one}");
        await AssertRefusedAsync(doubled, "token_invalid", "invalid_api_key");
    }

    [Fact]
    [Trait("attack", "A19")]
    public async Task OtherKinds_InTheSecretsPlace_AreRefused()
    {
        await using var postern = await TestPostern.StartAsync();
        var url = await postern.SignedUrlAsync();
        await using var signed = await ConnectAsync(postern, protocols: ["realtime", "openai-insecure-api-key." + url[(url.IndexOf("psu_", StringComparison.Ordinal))..]]);
        await AssertRefusedAsync(signed, "token_wrong_kind", "invalid_api_key");
        using var asUrl = await Flow.ConnectTests.Open(postern.Address("agent_id=agent_echo&conversation_signature=" + await MintAsync(postern)), null, "convai");
        Assert.Equal(WebSocketMessageType.Close, (await asUrl.ReceiveAsync(new byte[1024], TestContext.Current.CancellationToken)).MessageType);
    }

    [Fact]
    [Trait("attack", "B8")]
    public async Task Secret_ExpiredUsedOrFromAnotherOrigin_IsRefusedWithTheWord()
    {
        await using var postern = await TestPostern.StartAsync();
        var once = await MintAsync(postern, """{"agent_id":"agent_echo","single_use":true}""");
        await using (var first = await ConnectAsync(postern, once))
        {
            await first.OneAsync("session.created");
        }
        await AssertRefusedAsync(await ConnectAsync(postern, once), "token_already_used", "invalid_api_key");
        var bound = await MintAsync(postern, """{"agent_id":"agent_echo","allowed_origins":["app.example.com"]}""");
        await AssertRefusedAsync(await ConnectAsync(postern, bound, origin: "https://evil.example.com"), "origin_not_allowed", "invalid_api_key");
        await using (var right = await ConnectAsync(postern, bound, origin: "https://app.example.com"))
        {
            await right.OneAsync("session.created");
        }
        var late = await MintAsync(postern);
        postern.Clock.Advance(TimeSpan.FromMinutes(10) + TimeSpan.FromSeconds(1));
        await AssertRefusedAsync(await ConnectAsync(postern, late), "token_expired", "invalid_api_key");
    }

    [Fact]
    [Trait("attack", "B15")]
    public async Task LongestDuration_IsAnnouncedThenEndsTheSession()
    {
        await using var postern = await TestPostern.StartAsync();
        await using var client = await ConnectAsync(postern, await MintAsync(postern, """{"agent_id":"agent_echo","max_session_duration_seconds":6}"""));
        Assert.Equal(3, (await client.OneAsync("session.expiring")).GetProperty("seconds_left").GetInt32());
        Assert.Equal("session_expired", (await client.OneAsync("error")).GetProperty("error").GetProperty("code").GetString());
        Assert.Null(await client.NextAsync());
        Assert.Equal((3000, "invalid_request_error.session_expired"), client.Closed);
    }

    [Fact]
    [Trait("attack", "B9")]
    public async Task Flood_OfRefusals_IsA429BeforeTheUpgrade()
    {
        await using var postern = await TestPostern.StartAsync((folder, https) => new()
        {
            Http = new(System.Net.IPAddress.Loopback, 0), Https = null, Data = folder, Log = { Level = "warning" }, Limits = { RefusalsPerAddressPerMinute = 2 },
        });
        var secret = await MintAsync(postern);
        postern.Clock.ToNextMinute();
        for (var i = 0; i < 2; i++)
        {
            await AssertRefusedAsync(await ConnectAsync(postern, "ek_no"), "token_invalid", "invalid_api_key");
        }
        var refused = await Assert.ThrowsAsync<WebSocketException>(() => ConnectAsync(postern, "ek_no"));
        Assert.Contains("429", refused.Message, StringComparison.Ordinal);
        await using var rightful = await ConnectAsync(postern, secret);
        await rightful.OneAsync("session.created");
    }

    [Fact]
    public async Task ApiKey_InTheBearerHeader_OpensTheNamedAgent()
    {
        await using var postern = await TestPostern.StartAsync();
        await using var client = await ConnectAsync(postern, TestPostern.Key, "?model=agent_echo");
        await client.OneAsync("session.created");
    }

    internal static async Task AssertRefusedAsync(RealtimeClient client, string word, string code)
    {
        await using (client)
        {
            var said = (await client.NextAsync())!.Value;
            Assert.Equal("error", Type(said));
            var error = said.GetProperty("error");
            Assert.Equal((word, code, "invalid_request_error"), (error.GetProperty("reason").GetString(), error.GetProperty("code").GetString(), error.GetProperty("type").GetString()));
            Assert.Null(await client.NextAsync());
            Assert.Equal((3000, "invalid_request_error." + word), client.Closed);
        }
    }
}
