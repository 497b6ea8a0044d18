using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

/// <summary>Sessions from the mint to their end, through the front door.</summary>
public class SessionTests
{
    internal const string Hello = """{"type":"conversation_initiation_client_data"}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("attack", "B4")]
    public async Task SingleUseUrl_SecondConnection_IsRefusedWithTheReason()
    {
        await using var postern = await TestPostern.StartAsync();
        var url = await postern.SignedUrlAsync(more: "&include_conversation_id=true");
        using var first = await ConnectTests.Open(url);
        await Send(first, Hello);
        Assert.Contains(url[(url.IndexOf("conversation_id=", StringComparison.Ordinal) + 16)..], await ConnectTests.Text(first), StringComparison.Ordinal);
        Assert.Equal((3000, "Could not authorize the conversation: the signed URL was already used."), await ConnectTests.Refusal(url));
    }

    [Fact]
    [Trait("attack", "B5")]
    public async Task SingleUseUrl_ManyAtOnce_OpensExactlyOneSession()
    {
        await using var postern = await TestPostern.StartAsync();
        for (var round = 0; round < 20; round++)
        {
            var url = await postern.SignedUrlAsync(more: "&include_conversation_id=true");
            var racers = await Task.WhenAll(Enumerable.Range(0, 12).Select(async _ =>
            {
                using var socket = await ConnectTests.Open(url);
                await Send(socket, Hello);
                var buffer = new byte[4096];
                var result = await socket.ReceiveAsync(buffer, Cancel);
                return result.MessageType != WebSocketMessageType.Close;
            }));
            Assert.Single(racers, won => won);
        }
    }

    [Fact]
    public async Task XunaAgent_SignedUrl_IsNamedTokenAndOpensOnce()
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await postern.AgentAsync(dialect: "xuna");
        var url = await postern.SignedUrlAsync(agent);
        Assert.Contains("&token=psu_", url, StringComparison.Ordinal);
        var withoutAgent = url.Replace($"agent_id={agent}&", "", StringComparison.Ordinal);
        using var first = await ConnectTests.Open(withoutAgent);
        Assert.Equal((3000, "Could not authorize the conversation: the signed URL was already used."), await ConnectTests.Refusal(url));
        var late = await postern.SignedUrlAsync(agent);
        postern.Clock.Advance(TimeSpan.FromMinutes(5) + TimeSpan.FromSeconds(1));
        Assert.Equal((3000, "Could not authorize the conversation: the signed URL has expired."), await ConnectTests.Refusal(late));
    }

    [Theory]
    [Trait("attack", "A20")]
    [Trait("attack", "C9")]
    [InlineData("conversation_signature")]
    [InlineData("token")]
    [InlineData("bearer")]
    public async Task Credential_InEverySlot_Opens(string slot)
    {
        await using var postern = await TestPostern.StartAsync();
        var text = Credential(await postern.SignedUrlAsync());
        using var socket = slot == "bearer"
            ? await ConnectTests.Open(postern.Address("agent_id=agent_echo"), null, "convai", "bearer." + text)
            : await ConnectTests.Open(postern.Address($"{slot}={text}"), null, "convai");
        Assert.Equal("convai", socket.SubProtocol);
        await Send(socket, Hello);
        Assert.StartsWith("""{"type":"conversation_initiation_metadata",""", await ConnectTests.Text(socket), StringComparison.Ordinal);
        // Offered alone it is selected by nobody: no secret is echoed.
        using var alone = await ConnectTests.Open(postern.Address("agent_id=agent_echo"), null, "bearer." + text);
        Assert.Null(alone.SubProtocol);
        var other = Credential(await postern.SignedUrlAsync());
        Assert.Equal((3000, "Could not authorize the conversation: two different credentials were presented."),
            await ConnectTests.Refusal(postern.Address($"token={text}"), protocols: "bearer." + other));
        Assert.Equal((3000, "Could not authorize the conversation: two different credentials were presented."),
            await ConnectTests.Refusal(postern.Address($"token={text}&conversation_signature={other}")));
    }

    [Fact]
    public async Task ApiKey_InTheHeader_OpensFromAServer()
    {
        await using var postern = await TestPostern.StartAsync();
        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("xi-api-key", TestPostern.Key);
        await socket.ConnectAsync(new Uri(postern.Address("agent_id=agent_echo")), Cancel);
        await Send(socket, Hello);
        Assert.Contains("conversation_initiation_metadata", await ConnectTests.Text(socket), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("attack", "C7")]
    public async Task Allowlist_AndAuthentication_MustBothPass()
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await postern.AgentAsync(""" "platform_settings":{"auth":{"enable_auth":true,"require_origin_header":true,"allowlist":[{"hostname":"app.example.com"},{"hostname":"localhost:3000"}]}} """);
        var url = await postern.SignedUrlAsync(agent);
        Assert.Equal((3000, "Host evil.example is not allowed to connect to this agent"), await ConnectTests.Refusal(url, "https://evil.example"));
        Assert.Equal((3000, "An Origin header is required to connect to this agent"), await ConnectTests.Refusal(url));
        Assert.Equal((3000, "Could not authorize the conversation."), await ConnectTests.Refusal(postern.Address($"agent_id={agent}"), "https://app.example.com"));
        foreach (var origin in new[] { "https://app.example.com", "http://localhost:3000" })
        {
            using var socket = await ConnectTests.Open(url, origin);
            Assert.Equal(WebSocketState.Open, socket.State);
        }
        foreach (var origin in new[] { "null", "https://app.example.com.evil.com", "https://sub.app.example.com", "http://app.example.com", "https://app.example.com:8443", "https://APP.example.com", "https://app.example.com/", "https://user@app.example.com" })
        {
            Assert.Equal(3000, (await ConnectTests.Refusal(url, origin)).Code);
        }
    }

    [Fact]
    public async Task Relay_FramesOfBothDirections_PassAndTheEndIsRecorded()
    {
        await using var postern = await TestPostern.StartAsync();
        await using var upstream = new StubUpstream();
        var agent = await postern.AgentAsync(upstream: upstream.Url);
        using var client = await ConnectTests.Open(await postern.SignedUrlAsync(agent), null, "convai");
        await Send(client, Hello);
        await using var far = await upstream.OpenAsync("Sec-WebSocket-Protocol: convai\r\n");
        Assert.DoesNotContain("psu_", upstream.Request, StringComparison.Ordinal);
        Assert.DoesNotContain("Origin", upstream.Request, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(Hello, Encoding.UTF8.GetString((await far.ReadFrameAsync())!.Value.Payload));
        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, "User ended conversation", new CancellationTokenSource(3000).Token).ContinueWith(_ => { }, TaskScheduler.Default);
        Assert.True(await Eventually(() => postern.Audit().Any(row => row is { Name: "session.ended", Reason: "ClientClosed" })));
    }

    [Fact]
    public async Task Relay_OverrideWithoutPermission_IsRefusedBeforeTheUpstreamIsDialled()
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await postern.AgentAsync(upstream: "ws://127.0.0.1:9/agent");
        using var client = await ConnectTests.Open(await postern.SignedUrlAsync(agent));
        await Send(client, """{"type":"conversation_initiation_client_data","conversation_config_override":{"agent":{"first_message":"Yo"}}}""");
        var result = await client.ReceiveAsync(new byte[4096], Cancel);
        Assert.Equal((1008, "Override for field 'first_message' is not allowed by config."), ((int)result.CloseStatus!, result.CloseStatusDescription));
    }

    [Fact]
    public async Task Relay_UnreachableUpstream_IsAClearEnd()
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await postern.AgentAsync(upstream: "ws://127.0.0.1:9/agent");
        using var client = await ConnectTests.Open(await postern.SignedUrlAsync(agent));
        await Send(client, Hello);
        Assert.Contains("The agent is unreachable.", await ConnectTests.Text(client), StringComparison.Ordinal);
        var result = await client.ReceiveAsync(new byte[4096], Cancel);
        Assert.Equal((1011, "The agent is unreachable."), ((int)result.CloseStatus!, result.CloseStatusDescription));
    }

    [Theory]
    [InlineData("""{"type":"conversation_initiation_client_data","conversation_config_override":{"agent":{"first_message":"Yo"}}}""")]
    [InlineData("""{"type":"conversation\u005finitiation_client_data","conversation_config_override":{"agent":{"first_message":"Yo"}}}""")]
    [InlineData("""{"t\u0079pe":"conversation_initiation_client_data"}""")]
    [InlineData("""{"type":"user_activity","type":"conversation_initiation_client_data"}""")]
    [InlineData("""{"type":"enclave_setup_config","agent_config_dict":{"prompt":"mine"}}""")]
    public async Task Relay_SecondSayInTheAgent_EndsTheSessionAndReachesNoUpstream(string second)
    {
        await using var postern = await TestPostern.StartAsync();
        await using var upstream = new StubUpstream();
        var agent = await postern.AgentAsync(upstream: upstream.Url);
        foreach (var first in new[] { Hello, """{"type":"user_activity"}""" })
        {
            using var client = await ConnectTests.Open(await postern.SignedUrlAsync(agent));
            await Send(client, first);
            await using var far = await upstream.OpenAsync();
            Assert.Equal(first, (await far.ReadFrameAsync())!.Value.Text);
            await Send(client, """{"type":"user_message","text":"\u00e9 says \"conversation_initiation_client_data\""}""");
            Assert.Contains("says", (await far.ReadFrameAsync())!.Value.Text, StringComparison.Ordinal);
            await Send(client, second);
            Assert.Contains("Invalid message received", await ConnectTests.Text(client), StringComparison.Ordinal);
            var result = await client.ReceiveAsync(new byte[4096], Cancel);
            Assert.Equal((1008, "Invalid message received"), ((int)result.CloseStatus!, result.CloseStatusDescription));
            Assert.Equal(Opcode.Close, (await far.ReadFrameAsync())!.Value.Opcode);
        }
    }

    [Fact]
    public async Task Relay_EnclaveSetupBeforeTheOpening_IsDroppedAndTheOpeningJudged()
    {
        await using var postern = await TestPostern.StartAsync();
        await using var upstream = new StubUpstream();
        var agent = await postern.AgentAsync(upstream: upstream.Url);
        const string Enclave = """{"type":"enclave_setup_config","agent_config_dict":{"prompt":"mine"}}""";
        using (var cheat = await ConnectTests.Open(await postern.SignedUrlAsync(agent)))
        {
            await Send(cheat, Enclave);
            await Send(cheat, """{"type":"conversation_initiation_client_data","conversation_config_override":{"agent":{"first_message":"Yo"}}}""");
            Assert.Equal("Override for field 'first_message' is not allowed by config.", (await cheat.ReceiveAsync(new byte[4096], Cancel)).CloseStatusDescription);
        }
        using var client = await ConnectTests.Open(await postern.SignedUrlAsync(agent));
        await Send(client, Enclave);
        await Send(client, Hello);
        await using var far = await upstream.OpenAsync();
        Assert.Equal(Hello, (await far.ReadFrameAsync())!.Value.Text);
    }

    [Fact]
    public async Task FixedValues_AtTheUpstream_StandOverTheClients()
    {
        await using var postern = await TestPostern.StartAsync();
        await using var upstream = new StubUpstream();
        var agent = await postern.AgentAsync(upstream: upstream.Url);
        using var minted = await postern.Client.PostAsync("/v1/convai/conversation/get-signed-url", TestPostern.Json(
            $$$$"""{"agent_id":"{{{{agent}}}}","user_id":"ann","dynamic_variables":{"plan":"gold"},"conversation_config_override":{"agent":{"language":"de"}}}"""), Cancel);
        var url = JsonElement.Parse(await minted.Content.ReadAsStringAsync(Cancel)).GetProperty("signed_url").GetString()!;
        using (var cheat = await ConnectTests.Open(url))
        {
            await Send(cheat, """{"type":"conversation_initiation_client_data","dynamic_variables":{"plan":"platinum"}}""");
            Assert.Equal(1008, (int)(await cheat.ReceiveAsync(new byte[4096], Cancel)).CloseStatus!);
        }
        using var client = await ConnectTests.Open(url);
        await Send(client, """{"type":"conversation_initiation_client_data","dynamic_variables":{"name":"Ann"}}""");
        await using var far = await upstream.OpenAsync();
        using var heard = JsonDocument.Parse((await far.ReadFrameAsync())!.Value.Payload);
        Assert.Equal("gold", heard.RootElement.GetProperty("dynamic_variables").GetProperty("plan").GetString());
        Assert.Equal("Ann", heard.RootElement.GetProperty("dynamic_variables").GetProperty("name").GetString());
        Assert.Equal("de", heard.RootElement.GetProperty("conversation_config_override").GetProperty("agent").GetProperty("language").GetString());
        await Send(client, """{"type":"conversation_initiation_client_data","dynamic_variables":{"plan":"platinum"}}""");
        Assert.Equal(Opcode.Close, (await far.ReadFrameAsync())!.Value.Opcode);
    }

    [Theory]
    [InlineData("\"bob\"", 0)]
    [InlineData("42", 0)]
    [InlineData("\"bob\"", 400)] // so late that the upstream is dialled already
    public async Task BoundUser_AtTheUpstream_StandsInPlaceOfTheClaimedOne(string claimed, int after)
    {
        await using var postern = await TestPostern.StartAsync((folder, https) =>
        {
            var options = TestPostern.Options(folder, https);
            options.Sessions.FirstMessageWait = TimeSpan.FromMilliseconds(after == 0 ? 10_000 : 50);
            return options;
        });
        await using var upstream = new StubUpstream();
        var agent = await postern.AgentAsync(upstream: upstream.Url);
        using var minted = await postern.Client.PostAsync("/v1/convai/conversation/get-signed-url", TestPostern.Json($$"""{"agent_id":"{{agent}}","user_id":"ann"}"""), Cancel);
        using var client = await ConnectTests.Open(JsonElement.Parse(await minted.Content.ReadAsStringAsync(Cancel)).GetProperty("signed_url").GetString()!);
        await Task.Delay(after, Cancel);
        await Send(client, $$"""{"type":"conversation_initiation_client_data","user_id":{{claimed}}}""");
        await Send(client, """{"type":"user_message","text":"hello"}""");
        await using var far = await upstream.OpenAsync();
        Assert.Equal("""{"type":"conversation_initiation_client_data","user_id":"ann"}""", (await far.ReadFrameAsync())!.Value.Text);
        Assert.Equal("""{"type":"user_message","text":"hello"}""", (await far.ReadFrameAsync())!.Value.Text);
    }

    [Fact]
    public async Task FixedValues_WhoseRowIsGone_OpenNothing()
    {
        await using var postern = await TestPostern.StartAsync();
        using var minted = await postern.Client.PostAsync("/v1/convai/conversation/get-signed-url", TestPostern.Json(
            $$$"""{"agent_id":"agent_echo","dynamic_variables":{"plan":"{{{new string('g', 2000)}}}"}}"""), Cancel); // longer than what a node remembers
        var url = JsonElement.Parse(await minted.Content.ReadAsStringAsync(Cancel)).GetProperty("signed_url").GetString()!;
        using (var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={Path.Combine(postern.Folder, "postern.db")}"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "delete from fixed_values";
            Assert.Equal(1, command.ExecuteNonQuery());
        }
        Assert.Equal(1011, (await ConnectTests.Refusal(url)).Code);
    }

    [Fact]
    [Trait("attack", "B16")]
    public async Task RevokedCredential_LiveSession_IsClosedAndNoNewOneOpens()
    {
        await using var postern = await TestPostern.StartAsync();
        using var minted = await postern.Client.PostAsync("/v1/credentials", TestPostern.Json("""{"kind":"signed_url","agent_id":"agent_echo","subject":"ann"}"""), Cancel);
        var credential = JsonElement.Parse(await minted.Content.ReadAsStringAsync(Cancel));
        var url = credential.GetProperty("signed_url").GetString()!;
        using var client = await ConnectTests.Open(url);
        await Send(client, Hello);
        await ConnectTests.Text(client);
        using var revoked = await postern.Client.PostAsync($"/v1/credentials/{credential.GetProperty("id")}/revoke", null, Cancel);
        Assert.True(revoked.IsSuccessStatusCode, await revoked.Content.ReadAsStringAsync(Cancel));
        var buffer = new byte[8192];
        WebSocketReceiveResult result;
        do
        {
            result = await client.ReceiveAsync(buffer, new CancellationTokenSource(15_000).Token);
        } while (result.MessageType != WebSocketMessageType.Close);
        Assert.Equal((1008, "Access was revoked."), ((int)result.CloseStatus!, result.CloseStatusDescription));
        Assert.Equal((3000, "Could not authorize the conversation: access was revoked."), await ConnectTests.Refusal(url));
        var inspected = await postern.Client.GetFromJsonAsync<JsonElement>($"/v1/credentials/{credential.GetProperty("id")}", Cancel);
        Assert.Equal("ann", inspected.GetProperty("subject").GetString());
        Assert.NotNull(inspected.GetProperty("revoked_at").GetString());
    }

    [Fact]
    public async Task Refusals_OfEveryKind_HaveTheirOwnReasonInTheAudit()
    {
        await using var postern = await TestPostern.StartAsync();
        var url = await postern.SignedUrlAsync();
        var once = await postern.SignedUrlAsync(more: "&include_conversation_id=true");
        var agent = await postern.AgentAsync();
        await ConnectTests.Refusal(url[..^1] + (url[^1] == 'A' ? 'E' : 'A'));
        await ConnectTests.Refusal(url.Replace("agent_echo", agent, StringComparison.Ordinal));
        (await ConnectTests.Open(once)).Dispose();
        await ConnectTests.Refusal(once);
        await ConnectTests.Refusal(postern.Address($"agent_id={agent}"));
        postern.Clock.Advance(TimeSpan.FromHours(1));
        await ConnectTests.Refusal(url);
        string[] expected = ["BadSignature", "AgentMismatch", "AlreadyUsed", "AgentPrivateByDefault", "Expired"];
        Assert.True(await Eventually(() => expected.All(reason => postern.Audit().Any(row => row.Name == "session.refused" && row.Reason == reason))),
            string.Join(", ", postern.Audit().Select(row => $"{row.Name} {row.Reason}")));
    }

    private static string Credential(string url) => url[url.IndexOf("psu_", StringComparison.Ordinal)..].Split('&')[0];

    internal static Task Send(ClientWebSocket socket, string text) => socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, Cancel);

    internal static async Task<bool> Eventually(Func<bool> holds)
    {
        for (var i = 0; i < 60; i++)
        {
            if (holds())
            {
                return true;
            }
            await Task.Delay(50, Cancel);
        }
        return false;
    }
}
