using System.Net;
using System.Net.Sockets;
using System.Text;
using Postern.Core.Projects;
using Postern.Server.Storage;

namespace Postern.Tests.Dialects.Algolia;

/// <summary>Application id and key, in headers or in the query; what a page sees of an answer; what the key's scopes are called.</summary>
public sealed class AccessTests
{
    private const string Query = "?x-algolia-application-id=default&x-algolia-api-key=" + TestPostern.Key;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Credentials_InHeadersOrQuery_AreTaken()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);

        Assert.Equal(HttpStatusCode.OK, (await client.SendAsync(HttpMethod.Get, AlgoliaClient.Keys)).Status);
        Assert.Equal(HttpStatusCode.OK, (await client.SendAsync(HttpMethod.Get, AlgoliaClient.Keys + Query + "&x-algolia-agent=Algolia%20for%20JavaScript", credentials: false)).Status);
        Assert.Equal(HttpStatusCode.OK, (await client.SendAsync(HttpMethod.Get, AlgoliaClient.Keys + Query)).Status);
        using var upper = await postern.Client.GetAsync(AlgoliaClient.Keys + "?X-Algolia-Application-Id=default&X-Algolia-API-Key=" + TestPostern.Key, Cancel);
        Assert.Equal(HttpStatusCode.OK, upper.StatusCode);
    }

    [Theory]
    [Trait("attack", "A20")]
    [InlineData("")]
    [InlineData("?x-algolia-api-key=" + TestPostern.Key)]
    [InlineData("?x-algolia-application-id=default")]
    [InlineData("?x-algolia-application-id=&x-algolia-api-key=" + TestPostern.Key)]
    [InlineData("?x-algolia-application-id=default&x-algolia-api-key=")]
    [InlineData("?x-algolia-application-id=default&x-algolia-api-key=another-key-of-more-than-thirty-two-characters")]
    [InlineData("?x-algolia-application-id=Default&x-algolia-api-key=" + TestPostern.Key)]
    [InlineData("?x-algolia-application-id=other&x-algolia-api-key=" + TestPostern.Key)]
    [InlineData("?x-algolia-application-id=127.0.0.1:8443/x&x-algolia-api-key=" + TestPostern.Key)]
    [InlineData(Query + "&x-algolia-api-key=" + TestPostern.Key)]
    [InlineData(Query + "&X-Algolia-Application-Id=other")]
    public async Task Credentials_MissingForeignOrDoubled_AreOneAnswer(string query)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);

        var (status, body, _) = await client.SendAsync(HttpMethod.Get, AlgoliaClient.Keys + query, credentials: false);

        Assert.Equal(HttpStatusCode.Unauthorized, status);
        Assert.Equal("Invalid Application-Id or API-Key", body.GetProperty("message").GetString());
        Assert.False(body.TryGetProperty("error", out _));
        Assert.Single(await AlgoliaClient.RefusalsAsync(postern, 1));
    }

    [Theory]
    [Trait("attack", "A20")]
    [InlineData("?x-algolia-api-key=another-key-of-more-than-thirty-two-characters")]
    [InlineData("?x-algolia-application-id=other")]
    public async Task Credentials_OtherInTheQueryThanInTheHeaders_AreRefused(string query)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);

        Assert.Equal(HttpStatusCode.Unauthorized, (await client.SendAsync(HttpMethod.Get, AlgoliaClient.Keys + query)).Status);
        Assert.Equal("ConflictingCredentials", Assert.Single(await AlgoliaClient.RefusalsAsync(postern, 1)).Reason);
    }

    [Fact]
    [Trait("attack", "F1")]
    public async Task Key_OfAnotherProject_OpensItsOwnAlone()
    {
        await using var postern = await TestPostern.StartAsync();
        using var mine = new AlgoliaClient(postern);
        var (id, _) = await mine.CreateKeyAsync();
        var theirKey = await KeyAsync(postern, Scopes.All, "theirs");
        using var asMine = new AlgoliaClient(postern, theirKey);
        using var theirs = new AlgoliaClient(postern, theirKey, "theirs");

        Assert.Equal(HttpStatusCode.Unauthorized, (await asMine.SendAsync(HttpMethod.Get, AlgoliaClient.Keys)).Status);
        Assert.Equal(0, (await theirs.SendAsync(HttpMethod.Get, AlgoliaClient.Keys)).Body.GetProperty("data").GetArrayLength());
        foreach (var (method, body) in new[] { (HttpMethod.Get, null), (HttpMethod.Patch, "{\"name\":\"x\"}"), (HttpMethod.Delete, (string?)null) })
        {
            var (foreign, unknown) = (await theirs.SendAsync(method, $"{AlgoliaClient.Keys}/{id}", body), await theirs.SendAsync(method, $"{AlgoliaClient.Keys}/{Guid.Empty}", body));
            Assert.Equal(HttpStatusCode.NotFound, foreign.Status);
            Assert.Equal(unknown.Body.GetRawText(), foreign.Body.GetRawText());
        }
        Assert.Equal(HttpStatusCode.OK, (await mine.SendAsync(HttpMethod.Get, $"{AlgoliaClient.Keys}/{id}")).Status);
    }

    [Fact]
    public async Task Scopes_AreTheVendorsAcls()
    {
        await using var postern = await TestPostern.StartAsync();
        using var search = new AlgoliaClient(postern, await KeyAsync(postern, Scopes.Converse));
        using var settings = new AlgoliaClient(postern, await KeyAsync(postern, Scopes.AgentsRead));

        var (status, body, _) = await search.SendAsync(HttpMethod.Get, AlgoliaClient.Keys);
        Assert.Equal((HttpStatusCode.Forbidden, "API key is missing the following ACLs: settings."), (status, body.GetProperty("message").GetString()));
        (status, body, _) = await settings.SendAsync(HttpMethod.Post, AlgoliaClient.Keys, """{"name":"x"}""");
        Assert.Equal((HttpStatusCode.Forbidden, "Admin API key required."), (status, body.GetProperty("message").GetString()));
        Assert.Equal(HttpStatusCode.OK, (await settings.SendAsync(HttpMethod.Get, AlgoliaClient.Keys)).Status);
    }

    // What a page may be given opens the conversations of this vendor's clients and nothing else.
    [Fact]
    [Trait("attack", "A19")]
    public async Task ConverseKey_OnEveryOtherRoute_IsRefused()
    {
        await using var postern = await TestPostern.StartAsync();
        var key = await KeyAsync(postern, Scopes.Converse);
        using var client = new HttpClient { BaseAddress = new Uri(postern.Http) };
        client.DefaultRequestHeaders.Add("xi-api-key", key);
        foreach (var path in new[] { "/v1/convai/conversation/get-signed-url?agent_id=agent_echo", "/v1/convai/agents", "/v1/convai/conversations", "/api/agents", "/api/sessions", "/api/user-token-cut-offs" })
        {
            using var answer = await client.GetAsync(path, Cancel);
            Assert.True(answer.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden, $"{path}: {answer.StatusCode}");
        }
        using var minted = await client.PostAsync("/v1/credentials", TestPostern.Json("""{"kind":"signed_url","agent_id":"agent_echo"}"""), Cancel);
        Assert.True(minted.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden, $"{minted.StatusCode}");
        using var realtime = new HttpRequestMessage(HttpMethod.Post, "/v1/realtime/client_secrets") { Content = TestPostern.Json("""{"agent_id":"agent_echo"}""") };
        realtime.Headers.TryAddWithoutValidation("Authorization", "Bearer " + key);
        using var secret = await client.SendAsync(realtime, Cancel);
        Assert.True(secret.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden, $"{secret.StatusCode}");
        using var spoken = new HttpRequestMessage(HttpMethod.Post, "/character/getResponse") { Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["charID"] = "agent_echo", ["userText"] = "hello" }) };
        spoken.Headers.Add("CONVAI-API-KEY", key);
        using var said = await client.SendAsync(spoken, Cancel);
        Assert.True(said.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden, $"{said.StatusCode}");
    }

    [Theory]
    [InlineData("/agent-studio/1/agents/11111111-2222-4333-8444-555555555555/completions")]
    [InlineData("/agent-studio/1/secret-keys")]
    [InlineData("/x.algolia.net/agent-studio/1/feedback")]
    public async Task Preflight_OfAnyOrigin_IsAnsweredBeforeAnyCredential(string path)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);

        var (status, _, answer) = await client.SendAsync(HttpMethod.Options, path, credentials: false, headers:
            [("Origin", "https://shop.example"), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type,x-algolia-agent,x-algolia-api-key,x-algolia-application-id,x-algolia-secure-user-token")]);

        Assert.Equal(HttpStatusCode.NoContent, status);
        Assert.Equal("*", answer.Headers.GetValues("Access-Control-Allow-Origin").Single());
        Assert.Equal("*", answer.Headers.GetValues("Access-Control-Allow-Headers").Single());
        Assert.Equal("GET, POST, PATCH, PUT, DELETE, OPTIONS", answer.Headers.GetValues("Access-Control-Allow-Methods").Single());
        Assert.NotEmpty(answer.Headers.GetValues("Access-Control-Max-Age"));
        Assert.DoesNotContain(postern.Audit(), row => row.Name == "session.refused");
    }

    [Fact]
    public async Task Answers_ErrorsToo_CanBeReadByAPageOfAnyOrigin()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        foreach (var (method, path, headers, credentials, expected) in new (HttpMethod, string, (string, string)[], bool, int)[]
        {
            (HttpMethod.Get, AlgoliaClient.Keys, [], true, 200),
            (HttpMethod.Get, AlgoliaClient.Keys, [], false, 401),
            (HttpMethod.Get, AlgoliaClient.Keys, [(AlgoliaClient.TokenHeader, "nonsense")], true, 401),
            (HttpMethod.Get, AlgoliaClient.Keys + "/unknown", [], true, 404),
            (HttpMethod.Get, AlgoliaClient.Keys + "?page=0", [], true, 422),
            (HttpMethod.Get, "/agent-studio/1/nothing", [], true, 404),
            (HttpMethod.Put, AlgoliaClient.Keys, [], true, 404),
            (HttpMethod.Get, AlgoliaClient.Keys, [("Host", "evil.example")], true, 400),
            (HttpMethod.Delete, "/x.algolia.net" + AlgoliaClient.Keys, [], false, 404),
        })
        {
            var (status, body, answer) = await client.SendAsync(method, path, headers: [.. headers, ("Origin", "https://shop.example")], credentials: credentials);
            Assert.Equal((expected, path), ((int)status, path));
            Assert.Equal("*", answer.Headers.GetValues("Access-Control-Allow-Origin").Single());
            Assert.False(body.TryGetProperty("error", out _));
            Assert.True(status is HttpStatusCode.OK or HttpStatusCode.BadRequest || body.GetProperty("message").GetString()!.Length > 0);
        }
    }

    // InstantSearch and DocSearch make their address of the application id: HOST:PORT/x becomes https://HOST:PORT/x.algolia.net/….
    [Theory]
    [InlineData("127.0.0.1:8443/x", "/x.algolia.net", 200)]
    [InlineData("127.0.0.1:8443/deep/er", "/deep/er.algolia.net", 200)]
    [InlineData("default", "/anything.algolia.net", 200)]
    [InlineData("127.0.0.1:8443/x", "/y.algolia.net", 401)]
    [InlineData("127.0.0.1:8443/x", "", 401)]
    [InlineData("other", "/x.algolia.net", 401)]
    [InlineData("127.0.0.1:8443/x", "/x.algolia.net/x.algolia.net", 401)]
    public async Task ApplicationId_AsAnAddress_IsAnAliasUnderItsOwnPath(string application, string prefix, int expected)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern, application: application);

        Assert.Equal(expected, (int)(await client.SendAsync(HttpMethod.Get, prefix + AlgoliaClient.Keys)).Status);
    }

    [Fact]
    [Trait("attack", "B9")]
    public async Task Refusals_TooManyFromOneAddress_AreSlowedDownWithoutHoldingUpTheGood()
    {
        await using var postern = await TestPostern.StartAsync((folder, https) =>
        {
            var options = TestPostern.Options(folder, https);
            options.Limits.RefusalsPerAddressPerMinute = 3;
            return options;
        });
        using var client = new AlgoliaClient(postern);
        var statuses = new List<HttpStatusCode>();
        for (var i = 0; i < 8; i++)
        {
            var (status, body, answer) = await client.SendAsync(HttpMethod.Get, AlgoliaClient.Keys, headers: [(AlgoliaClient.TokenHeader, "nonsense")]);
            statuses.Add(status);
            Assert.True(status != HttpStatusCode.TooManyRequests || (answer.Headers.RetryAfter is not null && body.GetProperty("message").GetString()!.Contains("rate limit", StringComparison.Ordinal)));
        }

        Assert.Contains(HttpStatusCode.TooManyRequests, statuses);
        Assert.Equal(HttpStatusCode.Unauthorized, statuses[0]);
        Assert.Equal(HttpStatusCode.OK, (await client.SendAsync(HttpMethod.Get, AlgoliaClient.Keys)).Status);
    }

    // The server itself refuses such a path before anything of ours sees it.
    [Theory]
    [InlineData("/agent-studio/1/agents/x/conversations/a%00b")]
    [InlineData("/x.algolia.net/agent-studio/1/user-data/%00")]
    public async Task Path_ThatTheServerCannotRead_IsRefusedReadablyForAPage(string path)
    {
        await using var postern = await TestPostern.StartAsync();

        var text = await RawTextAsync(postern, $"GET {path} HTTP/1.1");

        Assert.StartsWith("HTTP/1.1 400 The request could not be read: ", text, StringComparison.Ordinal); // there is no body yet to say it in
        Assert.Contains("\r\nAccess-Control-Allow-Origin: *\r\n", text, StringComparison.Ordinal);
    }

    /// <summary>A second process makes a key with these scopes, and the project if need be.</summary>
    internal static async Task<string> KeyAsync(TestPostern postern, Scopes scopes, string project = "default")
    {
        await using var store = Store.Open(TestPostern.Options(postern.Folder), postern.Clock);
        await store.Writer.WriteAsync(transaction => transaction.Execute("insert into project (id, name, created_at) values ($1, $1, 0) on conflict (id) do nothing", project));
        var text = ApiKeyText.Create();
        await store.Keys.CreateApiKeyAsync(new ProjectId(project), "made", text, scopes);
        await postern.Client.GetAsync("/health/ready", Cancel); // the feed looks every 200 ms
        await Task.Delay(DirectoryFeed.Interval * 3, Cancel);
        return text;
    }

    /// <summary>One request as bytes; the answer's status and body.</summary>
    internal static async Task<(int Status, string Body)> RawAsync(TestPostern postern, params string[] lines)
    {
        var text = await RawTextAsync(postern, lines);
        return (int.Parse(text.AsSpan(9, 3), System.Globalization.CultureInfo.InvariantCulture), text[(text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..]);
    }

    private static async Task<string> RawTextAsync(TestPostern postern, params string[] lines)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, new Uri(postern.Http).Port, Cancel);
        var stream = socket.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(string.Join("\r\n", [.. lines, "Host: 127.0.0.1", "Connection: close", "", ""])), Cancel);
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return await reader.ReadToEndAsync(Cancel);
    }
}
