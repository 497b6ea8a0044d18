using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Postern.Tests.Agents.Chat;
using Postern.Tests.Credentials;
using Postern.Tests.Flow;

namespace Postern.Tests.Cli;

/// <summary>No secret leaves the answer that made it: not into the log at its most talkative, not into the database. And how the server stops.</summary>
public sealed class LeakTests : IDisposable
{
    private const string Key = "leak-canary-key-0123456789-abcdefghij";
    private const string UpstreamSecret = "upstream-canary-9876543210";

    private readonly string folder = System.IO.Directory.CreateTempSubdirectory("postern-leak-").FullName;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("attack", "B17")]
    [Trait("attack", "C9")]
    public async Task Secrets_InLogsAndFiles_AreNowhere()
    {
        await using var process = Start();
        using var client = await ClientAsync(process);
        var secrets = new List<string> { Key, UpstreamSecret };
        foreach (var kind in new[] { "signed_url", "client_secret", "personal_access_token" })
        {
            using var minted = await client.PostAsync("/v1/credentials", TestPostern.Json($$"""{"kind":"{{kind}}","agent_id":"agent_echo"}"""), Cancel);
            var answer = JsonElement.Parse(await minted.Content.ReadAsStringAsync(Cancel));
            secrets.Add(answer.GetProperty("credential").GetString()!);
            await PresentAsync(client, answer, kind);
            if (kind == "signed_url")
            {
                using var socket = await ConnectTests.Open(answer.GetProperty("signed_url").GetString()!, null, "convai");
                await ConnectTests.Refusal(answer.GetProperty("signed_url").GetString()!.Replace("agent_echo", "agent_other", StringComparison.Ordinal));
            }
        }
        using var upstream = await client.PutAsync("/api/agents/agent_echo/upstream", TestPostern.Json($$$"""{"kind":"relay","url":"ws://127.0.0.1:9/a","headers":{"x-secret":"{{{UpstreamSecret}}}"}}"""), Cancel);
        Assert.True(upstream.IsSuccessStatusCode, await upstream.Content.ReadAsStringAsync(Cancel));
        using var shown = await client.GetAsync("/api/agents/agent_echo/upstream", Cancel);
        Assert.DoesNotContain(UpstreamSecret, await shown.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);

        // A chat endpoint that answers with its own key.
        await using var chat = await FakeChat.StartAsync();
        chat.Script = static answer =>
        {
            answer.Http.Response.StatusCode = 401;
            return answer.WriteAsync($$$"""{"error":{"message":"Incorrect API key provided: {{{FakeChat.Key}}}","code":"invalid_api_key","param":"{{{FakeChat.Key}}}"}}""");
        };
        secrets.Add(FakeChat.Key);
        using var asks = await client.PutAsync("/api/agents/agent_echo/upstream", TestPostern.Json($$"""{"kind":"chat","url":"{{chat.Url}}","model":"m","key":"{{FakeChat.Key}}"}"""), Cancel);
        Assert.True(asks.IsSuccessStatusCode);
        client.DefaultRequestHeaders.Add("CONVAI-API-KEY", Key);
        using var said = await client.PostAsync("/character/getResponse", TestPostern.Json("""{"charID":"agent_echo","userText":"hello"}"""), Cancel);
        Assert.Equal((502, """{"ERROR":"The agent could not answer."}"""), ((int)said.StatusCode, await said.Content.ReadAsStringAsync(Cancel)));
        Assert.Equal("Bearer " + FakeChat.Key, (await chat.NextAsync()).Authorization);

        process.Terminate();
        var (code, output, errors) = await process.EndAsync();
        Assert.Equal(0, code);
        Assert.Contains("The endpoint answered 401 (invalid_api_key).", output + errors, StringComparison.Ordinal);
        // A credential's signature is the part that makes it one; of one without, its random end.
        Assert.All(secrets, secret => AssertNowhere(secret.Split('.')[^1] is { Length: > 43 } text && text.StartsWith("pat_", StringComparison.Ordinal) ? text[^43..] : secret.Split('.')[^1], output + errors));
    }

    [Fact]
    [Trait("attack", "A20")]
    [Trait("attack", "B17")]
    public async Task UserToken_InTheQueryOfACompletion_IsRefusedAndLeftNowhere()
    {
        await using var process = Start();
        using var client = await ClientAsync(process);
        var token = UserTokenForge.Token(UserTokenForge.HonestClaims);
        foreach (var (name, value) in new[] { ("X-Algolia-Secure-User-Token", token), ("x-algolia-secure-user-token", token), ("X-Algolia-Secure-User-Token", token + "%00") })
        {
            using var refused = await client.PostAsync(
                $"/agent-studio/1/agents/{Server.Storage.Store.DemoAgent.Uuid}/completions?compatibilityMode=ai-sdk-5&x-algolia-application-id=default&x-algolia-api-key={Key}&{name}={value}",
                TestPostern.Json("""{"messages":[{"id":"m","role":"user","content":"hello"}]}"""), Cancel);
            Assert.Equal(401, (int)refused.StatusCode);
        }

        process.Terminate();
        var (code, output, errors) = await process.EndAsync();
        Assert.Equal(0, code);
        Assert.All([Key, .. token.Split('.')], part => AssertNowhere(part, output + errors));
    }

    [Fact]
    [Trait("attack", "G14")]
    public async Task Terminated_LiveSession_IsToldAndRecordedWithinTheGrace()
    {
        await using var process = Start();
        using var client = await ClientAsync(process);
        var url = JsonElement.Parse(await client.GetStringAsync("/v1/convai/conversation/get-signed-url?agent_id=agent_echo", Cancel)).GetProperty("signed_url").GetString()!;
        using var socket = await ConnectTests.Open(url, null, "convai");
        await socket.SendAsync("""{"type":"conversation_initiation_client_data"}"""u8.ToArray(), WebSocketMessageType.Text, true, Cancel);
        await ConnectTests.Text(socket);

        process.Terminate();
        WebSocketReceiveResult result;
        var buffer = new byte[8192];
        do
        {
            result = await socket.ReceiveAsync(buffer, Cancel);
        } while (result.MessageType != WebSocketMessageType.Close);
        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", Cancel);
        var (code, _, errors) = await process.EndAsync();

        Assert.Equal((1001, "The server is shutting down."), ((int)result.CloseStatus!, result.CloseStatusDescription));
        Assert.True(code == 0, errors);
        Assert.Equal((1, 1), Ended());
    }

    public void Dispose() => System.IO.Directory.Delete(folder, recursive: true);

    private void AssertNowhere(string secret, string log)
    {
        Assert.DoesNotContain(secret, log, StringComparison.Ordinal);
        foreach (var file in System.IO.Directory.GetFiles(folder, "*", SearchOption.AllDirectories))
        {
            Assert.False(File.ReadAllBytes(file).AsSpan().IndexOf(Encoding.UTF8.GetBytes(secret)) >= 0, $"a secret stands in {Path.GetFileName(file)}");
        }
    }

    // In every slot that takes the kind, once as it is and once spoiled: what is refused is told in the log too.
    private static async Task PresentAsync(HttpClient client, JsonElement minted, string kind)
    {
        var text = minted.GetProperty("credential").GetString()!;
        var (root, bearer) = ($"ws{client.BaseAddress!.OriginalString.TrimEnd('/')[4..]}", kind == "signed_url" ? "bearer." : "xai-client-secret.");
        foreach (var presented in new[] { text, text + "x" })
        {
            var path = kind == "signed_url" ? "/v1/convai/conversation?agent_id=agent_echo" : "/v1/realtime?agent_id=agent_echo";
            using var offered = await ConnectTests.Open(root + path, null, kind == "signed_url" ? "convai" : "realtime", bearer + presented);
            using var request = new HttpRequestMessage(HttpMethod.Post, "/connect") { Content = TestPostern.Json("""{"character_id":"agent_echo"}""") };
            request.Headers.Add("API-AUTH-TOKEN", presented);
            using var answer = await client.SendAsync(request, Cancel);
            Assert.True((int)answer.StatusCode is >= 400 and < 500, $"{kind}: {answer.StatusCode}");
        }
    }

    private PosternProcess Start() => PosternProcess.Start(folder,
        ["serve", "--http", "127.0.0.1:0", "--https", "off", "--data", Path.Combine(folder, "data"), "--log:level", "debug", "--agents:allow-private-upstreams", "true"],
        ("POSTERN_API_KEY", Key));

    private static async Task<HttpClient> ClientAsync(PosternProcess process)
    {
        var client = new HttpClient { BaseAddress = new Uri((await process.LineAsync("Listening on http://")).Split(' ')[^1]) };
        client.DefaultRequestHeaders.Add("xi-api-key", Key);
        return client;
    }

    private (long Sessions, long Rows) Ended()
    {
        using var connection = Server.Storage.Database.Sqlite(Path.Combine(folder, "data", "postern.db")).Open();
        using var command = connection.CreateCommand();
        command.CommandText = "select (select count(*) from session where end_reason = 'Shutdown'), (select count(*) from audit where name = 'session.ended' and reason = 'Shutdown')";
        using var reader = command.ExecuteReader();
        reader.Read();
        return (reader.GetInt64(0), reader.GetInt64(1));
    }
}
