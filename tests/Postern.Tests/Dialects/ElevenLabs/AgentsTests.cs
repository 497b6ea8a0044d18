using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Postern.Tests.Dialects.ElevenLabs;

/// <summary>What a list of exchanges cannot show of the agents REST: hostile bodies, races, identity. The exchanges are in tests/transcripts.</summary>
public class AgentsTests
{
    private const string Agents = "/v1/convai/agents";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("attack", "F4")]
    public async Task Identity_InABody_IsNeverTaken()
    {
        await using var postern = await TestPostern.StartAsync();
        const string Hostile =
            """
            "agent_id":"agent_mine","id":"agent_mine","project":"other","project_id":"other","dialect":"xuna","private_by_default":false,
            "upstream":{"kind":"relay","url":"wss://evil.example/"},"upstream_url":"wss://evil.example/","upstream_headers":"x","document":"{}",
            "created_at":1,"updated_at":1,"metadata":{"created_at_unix_secs":1,"updated_at_unix_secs":1},"access_info":{"role":"admin"},"revoked_at":1,"scopes":31
            """;
        var id = (await SendAsync(postern, HttpMethod.Post, Agents, "{\"name\":\"mine\"," + Hostile + "}")).Json.GetProperty("agent_id").GetString()!;
        var changed = (await SendAsync(postern, HttpMethod.Patch, $"{Agents}/{id}", "{" + Hostile + "}")).Json;

        Assert.NotEqual("agent_mine", id);
        Assert.Equal(id, changed.GetProperty("agent_id").GetString());
        Assert.True(changed.GetProperty("metadata").GetProperty("created_at_unix_secs").GetInt64() > 1);
        Assert.Equal("other", changed.GetProperty("project").GetString()); // kept, as any unknown member is, and without effect
        var seen = (await SendAsync(postern, HttpMethod.Get, "/api/agents", null)).Json.GetProperty("agents").EnumerateArray().Single(agent => agent.GetProperty("id").GetString() == id);
        Assert.Equal("elevenlabs", seen.GetProperty("dialect").GetString());
        Assert.Equal("echo", seen.GetProperty("upstream").GetString());
        Assert.True(seen.GetProperty("private").GetBoolean());
    }

    [Fact]
    public async Task Changes_AtOnce_AreAllKept()
    {
        await using var postern = await TestPostern.StartAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 24).Select(i =>
            SendAsync(postern, HttpMethod.Patch, $"{Agents}/agent_echo", $"{{\"conversation_config\":{{\"x{i}\":{i}}}}}")));

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.Status));
        var kept = (await SendAsync(postern, HttpMethod.Get, $"{Agents}/agent_echo", null)).Json.GetProperty("conversation_config");
        Assert.All(Enumerable.Range(0, 24), i => Assert.Equal(i, kept.GetProperty($"x{i}").GetInt32()));
    }

    [Theory]
    [Trait("attack", "D8")]
    [InlineData("\uFEFF{\"name\":\"x\"}", "utf-8")]
    [InlineData("{\"name\":\"x\"}", "utf-16")]
    [InlineData("{\"name\":\"x\" /* comment */}", "utf-8")]
    [InlineData("{\"name\":\"\u00e9\"}", "latin1")]
    [InlineData("{'name':'x'}", "utf-8")]
    [InlineData("{\"name\":NaN}", "utf-8")]
    [InlineData("{} {}", "utf-8")]
    [InlineData("{\"\\udc00\":1}", "utf-8")]
    [InlineData("{\"a\":{\"b\":\"\\ud800x\"}}", "utf-8")]
    [InlineData("{\"name\":\"\\ud800\"}", "utf-8")]
    [InlineData("null", "utf-8")]
    [InlineData("\"text\"", "utf-8")]
    public async Task Body_ThatIsNoPlainJsonObject_IsRefused(string text, string encoding)
    {
        await using var postern = await TestPostern.StartAsync();
        using var content = new ByteArrayContent(Encoding.GetEncoding(encoding).GetBytes(text)) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        using var answer = await postern.Client.PatchAsync($"{Agents}/agent_echo", content, Cancel);

        Assert.Equal(HttpStatusCode.UnprocessableContent, answer.StatusCode);
        Assert.Contains("\"loc\":[\"body\"]", await answer.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(64, HttpStatusCode.OK)]
    [InlineData(65, HttpStatusCode.UnprocessableContent)]
    public async Task Body_Depth_IsBounded(int depth, HttpStatusCode status)
    {
        await using var postern = await TestPostern.StartAsync();
        var nested = string.Concat(Enumerable.Repeat("{\"x\":", depth - 1)) + "{}" + new string('}', depth - 1);
        var answer = await SendAsync(postern, HttpMethod.Patch, $"{Agents}/agent_echo", nested);

        Assert.Equal(status, answer.Status);
        if (status == HttpStatusCode.OK)
        {
            Assert.Contains(nested[1..], (await SendAsync(postern, HttpMethod.Get, $"{Agents}/agent_echo", null)).Text, StringComparison.Ordinal);
        }
    }

    [Fact]
    [Trait("attack", "E4")]
    public async Task Body_OfVeryManyMembers_CostsNoMoreThanItsSize()
    {
        await using var postern = await TestPostern.StartAsync();
        var wide = (string value) => "{\"platform_settings\":{\"overrides\":{\"conversation_config_override\":{" + string.Join(',', Enumerable.Range(0, 60_000).Select(i => $"\"m{i}\":{value}")) + "}}}}";
        var watch = Stopwatch.StartNew();

        Assert.Equal(HttpStatusCode.OK, (await SendAsync(postern, HttpMethod.Patch, $"{Agents}/agent_echo", wide("true"))).Status);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(postern, HttpMethod.Patch, $"{Agents}/agent_echo", wide("null"))).Status);
        Assert.Equal(HttpStatusCode.UnprocessableContent, (await SendAsync(postern, HttpMethod.Patch, $"{Agents}/agent_echo", wide("1"))).Status);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"{watch.Elapsed}: the square of the members, not their number");
    }

    [Theory]
    [Trait("attack", "F12")]
    [InlineData("'; drop table agent; --")]
    [InlineData("' or '1'='1")]
    [InlineData("%' escape '\\")]
    [InlineData("\\")]
    [InlineData("\0")]
    [InlineData("\ud83d\ude00 \u202e")]
    [InlineData("bmV2ZXIKMQ")]
    public async Task ListQuery_HostileText_IsTextAlone(string hostile)
    {
        await using var postern = await TestPostern.StartAsync();
        var text = Uri.EscapeDataString(hostile);
        foreach (var name in new[] { "search", "cursor", "sort_by", "sort_direction", "tags", "page_size", "archived", "created_by_user_id" })
        {
            var answer = await SendAsync(postern, HttpMethod.Get, $"{Agents}?{name}={text}", null);
            Assert.True(answer.Status is HttpStatusCode.OK or HttpStatusCode.UnprocessableContent, $"{name}: {answer.Status}");
        }
        Assert.Equal(1, (await SendAsync(postern, HttpMethod.Get, Agents, null)).Json.GetProperty("agents").GetArrayLength());
    }

    [Fact]
    [Trait("attack", "D7")]
    public async Task KeyedRoutes_AskedByAPage_NeverAllowIt()
    {
        await using var postern = await TestPostern.StartAsync();
        foreach (var (method, path) in new[]
        {
            ("GET", Agents), ("POST", Agents), ("POST", Agents + "/create"), ("GET", Agents + "/agent_echo"), ("PATCH", Agents + "/agent_echo"),
            ("POST", Agents + "/agent_echo/duplicate"), ("GET", Agents + "/agent_echo/link"), ("GET", Agents + "/agent_echo/branches"), ("GET", Agents + "/summaries?agent_ids=agent_echo"),
            ("GET", "/api/agents"), ("GET", "/api/agents/agent_echo/upstream"), ("GET", "/api/sessions"), ("DELETE", Agents + "/agent_echo"),
        })
        {
            foreach (var asked in new[] { method, "OPTIONS" })
            {
                using var request = new HttpRequestMessage(new HttpMethod(asked), path);
                request.Headers.Add("Origin", "https://app.example.com");
                request.Headers.Add("Access-Control-Request-Method", method);
                request.Headers.Add("Access-Control-Request-Headers", "xi-api-key");
                using var answer = await postern.Client.SendAsync(request, Cancel);
                Assert.DoesNotContain(answer.Headers, header => header.Key.StartsWith("Access-Control", StringComparison.OrdinalIgnoreCase));
            }
        }
    }

    private static async Task<(HttpStatusCode Status, JsonElement Json, string Text)> SendAsync(TestPostern postern, HttpMethod method, string path, string? body)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        }
        using var answer = await postern.Client.SendAsync(request, Cancel);
        var text = await answer.Content.ReadAsStringAsync(Cancel);
        return (answer.StatusCode, JsonElement.Parse(text, new JsonDocumentOptions { MaxDepth = 200 }), text);
    }
}
