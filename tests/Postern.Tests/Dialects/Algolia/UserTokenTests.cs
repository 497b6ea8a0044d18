using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Postern.Core.Projects;
using Postern.Server.Storage;
using Postern.Tests.Credentials;

namespace Postern.Tests.Dialects.Algolia;

/// <summary>User tokens through the front door: one answer for whatever does not hold, the true reason in the audit alone.</summary>
public sealed class UserTokenTests
{
    private static readonly (HttpStatusCode, string?) Accepted = (HttpStatusCode.Forbidden, null);
    private static readonly (HttpStatusCode, string?) Invalid = (HttpStatusCode.Unauthorized, "Invalid signature");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Token_Valid_IsAcceptedAndExpiresByItsOwnName()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var key = await client.CreateKeyAsync();
        var token = client.Token(key);

        Assert.Equal(Accepted, await client.VerdictAsync(token));
        postern.Clock.Advance(TimeSpan.FromSeconds(3600 + 31));
        Assert.Equal((HttpStatusCode.Unauthorized, "Token expired"), await client.VerdictAsync(token));
        Assert.Equal(["ScopeMissing", "Expired"], (await AlgoliaClient.RefusalsAsync(postern, 2)).Select(refusal => refusal.Reason));
    }

    // Section 7 of the contract, byte for byte. Its key is too short to be brought along: a second process writes it.
    [Fact]
    public async Task Token_OfTheContractsVector_IsAcceptedWhileItLives()
    {
        const string token =
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjExMTExMTExLTIyMjItMzMzMy00NDQ0LTU1NTU1NTU1NTU1NSJ9."
            + "eyJzdWIiOiJhbGljZSIsImV4cCI6MTc5NTI5MDYxMn0.P77noId-7ki9Tis9Rcjf-kFGKJ4K1_nhXT6Ugb1Dnzw";
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        await using (var store = Store.Open(TestPostern.Options(postern.Folder), postern.Clock))
        {
            var now = postern.Clock.GetUtcNow();
            await store.UserTokenKeys.AddAsync(new UserTokenKeyRow(UserTokenForge.Kid, ProjectId.Default, "vector", "sk-alg-test", [], false, now, now, null, null), null);
        }
        await Task.Delay(DirectoryFeed.Interval * 3, Cancel);

        postern.Clock.Advance(DateTimeOffset.FromUnixTimeSeconds(1795290612).AddHours(-1) - postern.Clock.GetUtcNow());
        Assert.Equal(Accepted, await client.VerdictAsync(token));
        postern.Clock.Advance(TimeSpan.FromHours(1) + TimeSpan.FromSeconds(31));
        Assert.Equal((HttpStatusCode.Unauthorized, "Token expired"), await client.VerdictAsync(token));
        Assert.Equal(Invalid, await client.VerdictAsync(token[..^1] + "x"));
    }

    [Fact]
    [Trait("attack", "A1")]
    [Trait("attack", "A2")]
    [Trait("attack", "A3")]
    [Trait("attack", "A4")]
    [Trait("attack", "A5")]
    [Trait("attack", "A6")]
    [Trait("attack", "A9")]
    [Trait("attack", "A10")]
    [Trait("attack", "A11")]
    [Trait("attack", "A12")]
    [Trait("attack", "A13")]
    [Trait("attack", "A14")]
    [Trait("attack", "A16")]
    [Trait("attack", "A17")]
    public async Task Token_Hostile_HasOneAnswerByteForByte()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var url = $"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/keys";
        var key = await client.CreateKeyAsync();
        var now = postern.Clock.GetUtcNow().ToUnixTimeSeconds();
        var (claims, header) = (UserTokenForge.Claims("\"alice\"", now + 3600), $$"""{"alg":"HS256","typ":"JWT","kid":"{{key.Id}}"}""");
        string Header(string json, string? secret = null) => UserTokenForge.Sign(json, claims, secret ?? key.Value);
        string Claims(string json) => UserTokenForge.Sign(header, json, key.Value);
        var good = Claims(claims);

        var (bodies, sent) = (new HashSet<string>(StringComparer.Ordinal), 0);
        foreach (var text in new[]
        {
            "", "x", good + "=", good[..^1], good + "." + good, good.Replace(".", "..", StringComparison.Ordinal), good[..(good.LastIndexOf('.') + 1)],
            Header("""{"alg":"none"}"""), Header($$"""{"alg":"RS256","kid":"{{key.Id}}"}"""), Header(header.Replace("HS256", "HS512", StringComparison.Ordinal)), Header("""{"alg":"HS256"}"""),
            Header("""{"alg":"HS256","kid":"' UNION SELECT 1 --"}"""), Header("""{"alg":"HS256","kid":"../../dev/null"}"""), Header($$"""{"alg":"HS256","kid":"{{Guid.Empty}}"}"""),
            Header($$"""{"alg":"HS256","kid":"{{key.Id}}","jku":"{{url}}"}"""), Header($$"""{"alg":"HS256","kid":"{{key.Id}}","x5u":"{{url}}"}"""), Header($$$"""{"alg":"HS256","kid":"{{{key.Id}}}","jwk":{"kty":"oct","k":"AA"}}"""),
            Header($$"""{"alg":"HS256","kid":"{{key.Id}}","crit":["exp"]}"""), Header($$"""{"alg":"HS256","kid":"{{key.Id}}","typ":"at+jwt"}"""),
            Header(header, key.Id), Header(header, ""), Header(header, "default"), Header(header, key.Value[7..]),
            Claims("{}"), Claims("[]"), Claims("\"alice\""), Claims("{\"sub\":\"alice\"}"), Claims($$"""{"sub":"alice","sub":"bob","exp":{{now + 60}}}"""), Claims($$"""{"sub":"","exp":{{now + 60}}}"""),
            Claims(UserTokenForge.Claims("\"alice\"", now + 60, ",\"role\":\"admin\"")), Claims(UserTokenForge.Claims("\"\\u0061lice\"", now + 60)), Claims(UserTokenForge.Claims("\"\\ud800\"", now + 60)),
            Claims($$"""{"sub":"alice","exp":1e10}"""), Claims($$"""{"sub":"alice","exp":"{{now + 60}}"}"""), Claims(UserTokenForge.Claims("\"alice\"", now + 90_000)), Claims(UserTokenForge.Claims("\"alice\"", 253402300800)),
            new string('a', 4097), new string('a', 8000),
        })
        {
            var (status, body, _) = await client.SendAsync(HttpMethod.Get, AlgoliaClient.Keys, headers: [(AlgoliaClient.TokenHeader, text)]);
            Assert.Equal(HttpStatusCode.Unauthorized, status);
            bodies.Add(body.GetRawText());
            sent++;
        }

        var only = JsonElement.Parse(Assert.Single(bodies));
        Assert.Equal("Invalid signature", only.GetProperty("message").GetString());
        Assert.Equal(JsonValueKind.String, only.GetProperty("detail").ValueKind);
        Assert.False(only.TryGetProperty("error", out _));
        Assert.False(listener.Pending());
        var reasons = await AlgoliaClient.RefusalsAsync(postern, sent);
        Assert.All(reasons, reason => Assert.StartsWith("user token", reason.Detail));
        Assert.InRange(reasons.DistinctBy(reason => reason.Detail).Count(), 6, 100); // the audit tells what the answers do not
        Assert.Equal(Accepted, await client.VerdictAsync(good));
    }

    [Fact]
    [Trait("attack", "A20")]
    public async Task Token_EmptyTwiceOrJoined_IsNeverAnonymous()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var token = client.Token(await client.CreateKeyAsync());
        string[] request = [$"GET {AlgoliaClient.Keys} HTTP/1.1", "x-algolia-application-id: default", $"x-algolia-api-key: {TestPostern.Key}"];
        string Line(string value) => $"{AlgoliaClient.TokenHeader}:{value}";

        Assert.Equal(200, (await AccessTests.RawAsync(postern, request)).Status);
        Assert.Equal(403, (await AccessTests.RawAsync(postern, [.. request, Line(token)])).Status);
        foreach (var lines in new string[][] { [Line("")], [Line("  ")], [Line(token), Line(token)], [Line(""), Line(token)], [Line(token), Line("")], [Line($"{token},{token}")], [Line($"{token}, ")], [Line($"Bearer {token}")], [Line($"\"{token}\"")] })
        {
            Assert.Equal(401, (await AccessTests.RawAsync(postern, [.. request, .. lines])).Status);
        }
        // Bytes that are no ASCII, and no UTF-8 either.
        Assert.Contains((await AccessTests.RawAsync(postern, [.. request, Line(token + "\u00ff")])).Status, new[] { 400, 401 });
    }

    // Passed over, a genuine token would leave the request anonymous, or with all that the key may do.
    [Theory]
    [Trait("attack", "A20")]
    [Trait("attack", "B17")]
    [InlineData("GET", AlgoliaClient.Keys + "?")]
    [InlineData("GET", "/agent-studio/1/agents/agent_echo/conversations?limit=1&")]
    [InlineData("GET", "/agent-studio/1/user-data/alice?")]
    [InlineData("POST", "/agent-studio/1/agents/agent_echo/completions?compatibilityMode=ai-sdk-5&")]
    public async Task Token_InTheQuery_IsRefusedWithTheHeadersNameAndNotKept(string method, string path)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var token = client.Token(await client.CreateKeyAsync());
        foreach (var name in new[] { AlgoliaClient.TokenHeader, "x-algolia-secure-user-token" })
        {
            foreach (var text in new[] { token, "", $"{token}&{name}={token}" })
            {
                var (status, body, _) = await client.SendAsync(new HttpMethod(method), $"{path}{name}={text}", """{"messages":[{"role":"user","content":"hello"}]}""");
                Assert.Equal(HttpStatusCode.Unauthorized, status);
                Assert.Contains("header X-Algolia-Secure-User-Token, never from the query", body.GetProperty("message").GetString(), StringComparison.Ordinal);
            }
        }
        Assert.All(await AlgoliaClient.RefusalsAsync(postern, 6), refusal => Assert.Equal(("CredentialMalformed", "user token: in the query"), refusal));
    }

    [Fact]
    public async Task Token_WhereNoSingleUserIsConcerned_IsRefusedWithWhatToLeaveOut()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var token = client.Token(await client.CreateKeyAsync());
        foreach (var path in new[] { AlgoliaClient.Keys, "/agent-studio/1/agents", "/agent-studio/1/agents/agent_echo/allowed-domains" })
        {
            var (status, body, _) = await client.SendAsync(HttpMethod.Get, path, headers: [(AlgoliaClient.TokenHeader, token)]);
            Assert.Equal(HttpStatusCode.Forbidden, status);
            Assert.StartsWith("This is no single user's: send it without X-Algolia-Secure-User-Token", body.GetProperty("message").GetString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    [Trait("attack", "A19")]
    public async Task Credentials_InEachOthersPlace_AreRefused()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var key = await client.CreateKeyAsync();
        var token = client.Token(key);
        var kinds = new List<string> { TestPostern.Key, key.Value, key.Id };
        foreach (var kind in new[] { "signed_url", "client_secret", "personal_access_token" })
        {
            using var minted = await postern.Client.PostAsync("/v1/credentials", TestPostern.Json($$"""{"kind":"{{kind}}","agent_id":"agent_echo"}"""), Cancel);
            kinds.Add(JsonElement.Parse(await minted.Content.ReadAsStringAsync(Cancel)).GetProperty("credential").GetString()!);
        }
        foreach (var text in kinds.SelectMany(text => new[] { text, text[(text.IndexOf('_', StringComparison.Ordinal) + 1)..] }))
        {
            Assert.Equal(Invalid, await client.VerdictAsync(text));
        }
        foreach (var text in kinds.Skip(1).Append(token))
        {
            using var wrong = new AlgoliaClient(postern, text);
            // Our own kinds are told that they are of the wrong kind, the rest is no key.
            Assert.Equal(kinds.IndexOf(text) >= 3 ? HttpStatusCode.Forbidden : HttpStatusCode.Unauthorized, (await wrong.SendAsync(HttpMethod.Get, AlgoliaClient.Keys)).Status);
        }
        using var page = new HttpClient { BaseAddress = new Uri(postern.Http) };
        foreach (var (slot, path) in new[] { ("xi-api-key", "/v1/convai/agents"), ("Authorization", "/api/agents"), ("CONVAI-API-KEY", "/connect"), ("API-AUTH-TOKEN", "/connect") })
        {
            using var request = new HttpRequestMessage(path == "/connect" ? HttpMethod.Post : HttpMethod.Get, path) { Content = TestPostern.Json("""{"character_id":"agent_echo"}""") };
            request.Headers.TryAddWithoutValidation(slot, slot == "Authorization" ? "Bearer " + token : token);
            using var answer = await page.SendAsync(request, Cancel);
            Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        }
    }

    [Fact]
    [Trait("attack", "A1")]
    [Trait("attack", "A11")]
    [Trait("attack", "A18")]
    public async Task PublicVectors_AllOfThem_AreRefusedAlike()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var seen = 0;
        foreach (var (id, text, _) in UserTokenVectorTests.WycheproofTexts().Where(vector => vector.Text.All(c => c is >= ' ' and <= '~')))
        {
            seen++;
            Assert.True(Invalid == await client.VerdictAsync(text.Length == 0 ? " " : text), $"tcId {id}");
        }

        Assert.InRange(seen, 395, 401);
    }

    [Fact]
    [Trait("attack", "A15")]
    [Trait("attack", "A22")]
    public async Task User_LoggedOut_NeedsANewTokenThatSaysWhenItWasMade()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var key = await client.CreateKeyAsync();
        string Dated(string user) => client.Token(key, user, $",\"iat\":{postern.Clock.GetUtcNow().ToUnixTimeSeconds()}");
        var (dated, undated, bob) = (Dated("alice"), client.Token(key), client.Token(key, "bob"));
        Assert.Equal(Accepted, await client.VerdictAsync(dated));
        postern.Clock.Advance(TimeSpan.FromSeconds(1)); // a token is dated by the second: it is to be older, whatever the millisecond

        using var done = await postern.Client.PostAsync("/api/user-token-cut-offs", TestPostern.Json("""{"subject":"alice"}"""), Cancel);
        Assert.Equal(HttpStatusCode.OK, done.StatusCode);
        Assert.Equal(Invalid, await client.VerdictAsync(dated));
        Assert.Equal("Revoked", (await AlgoliaClient.RefusalsAsync(postern, 2))[1].Reason);
        Assert.Equal(Invalid, await client.VerdictAsync(undated));
        Assert.Equal(Accepted, await client.VerdictAsync(bob));
        postern.Clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(Accepted, await client.VerdictAsync(Dated("alice")));
        Assert.Equal(Invalid, await client.VerdictAsync(client.Token(key)));

        using var ofKey = await postern.Client.PostAsync("/api/user-token-cut-offs", TestPostern.Json($$"""{"key_id":"{{key.Id}}"}"""), Cancel);
        Assert.Equal(HttpStatusCode.OK, ofKey.StatusCode);
        Assert.Equal(Invalid, await client.VerdictAsync(bob));
        using var lifted = await postern.Client.DeleteAsync($"/api/user-token-cut-offs?key_id={key.Id}", Cancel);
        using var liftedToo = await postern.Client.DeleteAsync("/api/user-token-cut-offs?subject=alice", Cancel);
        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.NoContent), (lifted.StatusCode, liftedToo.StatusCode));
        Assert.Equal(Accepted, await client.VerdictAsync(bob));
        Assert.Equal(Accepted, await client.VerdictAsync(undated));
        Assert.Equal(["user_token.cut_off", "user_token.cut_off", "user_token.cut_off_lifted", "user_token.cut_off_lifted"],
            postern.Audit().Select(row => row.Name).Where(name => name.StartsWith("user_token.", StringComparison.Ordinal)));
    }

    [Theory]
    [Trait("attack", "A22")]
    [InlineData("""{}""")]
    [InlineData("""{"subject":""}""")]
    [InlineData("""{"subject":"a\u0000"}""")]
    [InlineData("""{"subject":"alice","key_id":"x"}""")]
    [InlineData("""{"subject":"alice","project":"other"}""")]
    [InlineData("""{"key_id":"11111111-2222-3333-4444-555555555555"}""")]
    public async Task CutOff_OfNobody_IsRefused(string body)
    {
        await using var postern = await TestPostern.StartAsync();
        using var answer = await postern.Client.PostAsync("/api/user-token-cut-offs", TestPostern.Json(body), Cancel);
        Assert.True(answer.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.NotFound, $"{answer.StatusCode}");
        using var list = await postern.Client.GetAsync("/api/user-token-cut-offs", Cancel);
        Assert.Equal("""{"cut_offs":[]}""", await list.Content.ReadAsStringAsync(Cancel));
    }

    // A key is changed by making the next one, signing with it, then deleting the former: at no moment is an honest token refused.
    [Fact]
    [Trait("attack", "A21")]
    public async Task Keys_ChangedUnderLoad_RefuseNoHonestTokenAndThenTheFormer()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var present = await client.CreateKeyAsync();
        using var stop = new CancellationTokenSource();
        var verdicts = new System.Collections.Concurrent.ConcurrentBag<(HttpStatusCode, string?)>();
        var used = Enumerable.Repeat(present, 4).ToArray();
        var load = Enumerable.Range(0, used.Length).Select(i => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                var key = present;
                verdicts.Add(await client.VerdictAsync(client.Token(key)));
                used[i] = key;
            }
        }, Cancel)).ToList();
        for (var i = 0; i < 10; i++)
        {
            var former = present;
            present = await client.CreateKeyAsync();
            while (Array.Exists(used, key => key.Id != present.Id)) // what was signed with the former one is under way
            {
                await Task.Delay(5, Cancel);
            }
            Assert.Equal(HttpStatusCode.NoContent, (await client.SendAsync(HttpMethod.Delete, $"{AlgoliaClient.Keys}/{former.Id}")).Status);
            Assert.Equal(Invalid, await client.VerdictAsync(client.Token(former)));
        }
        await stop.CancelAsync();
        await Task.WhenAll(load);

        Assert.True(verdicts.Count > 20, $"only {verdicts.Count} requests");
        Assert.All(verdicts, verdict => Assert.Equal(Accepted, verdict));
    }
}
