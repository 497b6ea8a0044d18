using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Postern.Server.Storage;

namespace Postern.Tests.Admin;

/// <summary>Where an agent may be said to be.</summary>
public class UpstreamTests
{
    private const string Path = "/api/agents/agent_echo/upstream";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [Trait("attack", "D2")]
    [Trait("attack", "D6")]
    [InlineData("""{"kind":"relay"}""", "needs a url")]
    [InlineData("""{"kind":"echo","url":"wss://a.example/"}""", "neither")]
    [InlineData("""{"kind":"file"}""", "echo or relay or chat")]
    [InlineData("""{"url":"wss://a.example/"}""", "nothing else")]
    [InlineData("""{"kind":null}""", "nothing else")]
    [InlineData("""{"kind":"echo","kind":"relay"}""", "nothing else")]
    [InlineData("""{"kind":"echo","agent":"agent_other"}""", "nothing else")]
    [InlineData("""{"kind":"relay","url":1}""", "nothing else")]
    [InlineData("""[]""", "nothing else")]
    [InlineData("""null""", "nothing else")]
    [InlineData("", "nothing else")]
    [InlineData("""{"kind":"relay","url":"https://a.example/"}""", "ws:// or wss://")]
    [InlineData("""{"kind":"relay","url":"wss://user:pw@a.example/"}""", "user name")]
    [InlineData("""{"kind":"relay","url":"wss://a.example/\r\nX: y"}""", "visible ASCII")]
    [InlineData("""{"kind":"relay","url":"wss://a.example/","headers":{"X":"a\r\nY: b"}}""", "visible ASCII")]
    [InlineData("""{"kind":"relay","url":"wss://a.example/","headers":{"X Y":"a"}}""", "not a valid name")]
    [InlineData("""{"kind":"relay","url":"wss://a.example/","headers":{"X\r\nY":"a"}}""", "not a valid name")]
    [InlineData("""{"kind":"relay","url":"wss://a.example/","headers":{"Connection":"X-User"}}""", "belongs to the connection")]
    [InlineData("""{"kind":"relay","url":"wss://a.example/","headers":{"host":"b.example"}}""", "belongs to the connection")]
    [InlineData("""{"kind":"relay","url":"wss://a.example/","headers":{"Sec-WebSocket-Protocol":"x"}}""", "belongs to the connection")]
    [InlineData("""{"kind":"relay","url":"wss://a.example/","headers":{"X-A":"1","x-a":"2"}}""", "named twice")]
    [InlineData("""{"kind":"relay","url":"wss://a.example/","headers":{"X-A":null}}""", "")]
    [InlineData("""{"kind":"relay","url":"wss://a.example/","model":"m"}""", "nothing of a chat endpoint")]
    [InlineData("""{"kind":"echo","key":"k"}""", "nothing of a chat endpoint")]
    [InlineData("""{"kind":"chat","model":"m"}""", "needs a url")]
    [InlineData("""{"kind":"chat","url":"https://a.example/v1"}""", "name of its model")]
    [InlineData("""{"kind":"chat","url":"wss://a.example/v1","model":"m"}""", "http:// or https://")]
    [InlineData("""{"kind":"chat","url":"https://user:pw@a.example/v1","model":"m"}""", "user name")]
    [InlineData("""{"kind":"chat","url":"https://0x7f.1/v1","model":"m"}""", "usual form")]
    [InlineData("""{"kind":"chat","url":"https://a.example/v1?key=x","model":"m"}""", "no query")]
    [InlineData("""{"kind":"chat","url":"https://a.example/v1/chat/completions","model":"m"}""", "Leave /chat/completions out")]
    [InlineData("""{"kind":"chat","url":"https://a.example/v1","model":"m\n"}""", "name of its model")]
    [InlineData("""{"kind":"chat","url":"https://a.example/v1","model":"m","key":"a\r\nX: y"}""", "visible ASCII")]
    [InlineData("""{"kind":"chat","url":"https://a.example/v1","model":"m","headers":{"X":"y"}}""", "no headers")]
    [InlineData("""{"kind":"chat","url":"https://a.example/v1","model":"m","max_tokens":0}""", "between 1")]
    [InlineData("""{"kind":"chat","url":"https://a.example/v1","model":"m","temperature":2.1}""", "between 0 and 2")]
    public async Task Upstream_ThatCannotBe_IsRefusedWithTheReason(string body, string word)
    {
        await using var postern = await TestPostern.StartAsync();
        using var answer = await PutAsync(postern, body);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType!.MediaType);
        Assert.Contains(word, (await answer.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal("""{"kind":"echo"}""", await postern.Client.GetStringAsync(Path, Cancel));
    }

    [Theory]
    [Trait("attack", "D5")]
    [InlineData("ws://127.0.0.1:9000/")]
    [InlineData("wss://10.1.2.3/")]
    [InlineData("wss://169.254.169.254/latest")]
    [InlineData("wss://[::1]/")]
    [InlineData("wss://[::ffff:127.0.0.1]/")]
    [InlineData("https://127.0.0.1:9000/v1")]
    [InlineData("https://[::1]/v1")]
    [InlineData("http://a.example/v1")]
    public async Task PrivateAddress_WithoutTheSetting_IsRefusedAtOnce(string url)
    {
        await using var postern = await TestPostern.StartAsync((folder, https) =>
        {
            var options = TestPostern.Options(folder, https);
            options.Agents.AllowPrivateUpstreams = false;
            return options;
        });
        using var answer = await PutAsync(postern, JsonSerializer.Serialize(new { kind = url.StartsWith('h') ? "chat" : "relay", url, model = url.StartsWith('h') ? "m" : null }));

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("Agents:AllowPrivateUpstreams", await answer.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("attack", "F10")]
    public async Task HeaderValues_OnceSaved_AreNowhereToBeRead()
    {
        const string Canary = "canary-value-of-an-upstream-header";
        await using var postern = await TestPostern.StartAsync();
        using var saved = await PutAsync(postern, """{"kind":"relay","url":"wss://a.example/","headers":{"Authorization":"CANARY"}}""".Replace("CANARY", Canary, StringComparison.Ordinal));
        saved.EnsureSuccessStatusCode();

        foreach (var path in new[] { Path, "/api/agents", "/v1/convai/agents/agent_echo", "/v1/convai/agents" })
        {
            Assert.DoesNotContain(Canary, await postern.Client.GetStringAsync(path, Cancel), StringComparison.Ordinal);
        }
        foreach (var file in System.IO.Directory.EnumerateFiles(postern.Folder, "postern.db*"))
        {
            Assert.DoesNotContain(Canary, Encoding.Latin1.GetString(await ReadSharedAsync(file)), StringComparison.Ordinal);
        }
    }

    [Fact]
    [Trait("attack", "F10")]
    public async Task ChatKey_OnceSaved_IsNowhereToBeRead()
    {
        const string Canary = "sk-canary-of-a-chat-endpoint";
        await using var postern = await TestPostern.StartAsync();
        using var saved = await PutAsync(postern, """{"kind":"chat","url":"https://a.example/v1/","model":"m-1","key":"CANARY","max_tokens":100,"temperature":0.5}""".Replace("CANARY", Canary, StringComparison.Ordinal));
        saved.EnsureSuccessStatusCode();

        Assert.Equal("""{"kind":"chat","url":"https://a.example/v1","model":"m-1","has_key":true,"max_tokens":100,"temperature":0.5}""", await postern.Client.GetStringAsync(Path, Cancel));
        Assert.Contains("\"upstream\":\"chat m-1 at https://a.example/v1\"", await postern.Client.GetStringAsync("/api/agents", Cancel), StringComparison.Ordinal);
        foreach (var path in new[] { Path, "/api/agents", "/v1/convai/agents/agent_echo", "/v1/convai/agents" })
        {
            Assert.DoesNotContain(Canary, await postern.Client.GetStringAsync(path, Cancel), StringComparison.Ordinal);
        }
        foreach (var file in System.IO.Directory.EnumerateFiles(postern.Folder, "postern.db*"))
        {
            Assert.DoesNotContain(Canary, Encoding.Latin1.GetString(await ReadSharedAsync(file)), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Copy_OfARelayedAgent_IsRelayedWithItsHeaders()
    {
        await using var postern = await TestPostern.StartAsync();
        using var saved = await PutAsync(postern, """{"kind":"relay","url":"wss://a.example/","headers":{"X-A":"1"}}""");
        using var copied = await postern.Client.PostAsync("/v1/convai/agents/agent_echo/duplicate", null, Cancel);
        var id = (await copied.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("agent_id").GetString();

        Assert.Equal("""{"kind":"relay","url":"wss://a.example/","headers":["X-A"]}""", await postern.Client.GetStringAsync($"/api/agents/{id}/upstream", Cancel));
    }

    [Fact]
    public async Task Changes_OfAgents_HaveTheirAuditRows()
    {
        await using var postern = await TestPostern.StartAsync();
        using var saved = await PutAsync(postern, """{"kind":"relay","url":"wss://a.example/talk?token=hidden"}""");
        using var changed = await postern.Client.PatchAsJsonAsync("/v1/convai/agents/agent_echo", new { name = "renamed", tags = new[] { "x" } }, Cancel);
        using var deleted = await postern.Client.DeleteAsync("/v1/convai/agents/agent_echo", Cancel);

        await using var store = Store.Open(TestPostern.Options(postern.Folder), TimeProvider.System);
        using var connection = store.Database.Open();
        using var command = Database.Command(connection, "select name, detail, key_id from audit where agent_id = 'agent_echo' order by seq");
        using var reader = command.ExecuteReader();
        var rows = new List<string>();
        while (reader.Read())
        {
            Assert.StartsWith("key_", reader.GetString(2), StringComparison.Ordinal);
            rows.Add($"{reader.GetString(0)} {(reader.IsDBNull(1) ? "" : reader.GetString(1))}".TrimEnd());
        }
        Assert.Equal(["agent.created echo", "agent.changed upstream relay wss://a.example/talk", "agent.changed name, tags", "agent.deleted"], rows);
    }

    private static async Task<HttpResponseMessage> PutAsync(TestPostern postern, string body) =>
        await postern.Client.PutAsync(Path, new StringContent(body, Encoding.UTF8, "application/json"), Cancel);

    private static async Task<byte[]> ReadSharedAsync(string file)
    {
        await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var bytes = new byte[stream.Length];
        await stream.ReadExactlyAsync(bytes, Cancel);
        return bytes;
    }
}
