using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Postern.Core.Keys;
using Postern.Core.Projects;
using Postern.Server.Storage;
using Postern.Tests.Credentials;

namespace Postern.Tests.Dialects.Algolia;

/// <summary>The secret keys of the contract, sections 1, 5 and 10.</summary>
public sealed partial class SecretKeysTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Key_Created_HasTheVendorsMembers()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);

        var (status, body, answer) = await client.SendAsync(HttpMethod.Post, AlgoliaClient.Keys, """{"name":"shop","agentIds":["agent_echo"]}""");

        Assert.Equal(HttpStatusCode.Created, status);
        Assert.Equal("application/json", answer.Content.Headers.ContentType!.MediaType);
        Assert.True(Guid.TryParseExact(body.GetProperty("id").GetString(), "D", out _));
        Assert.Matches(Value, body.GetProperty("value").GetString());
        Assert.Equal(("shop", false, false), (body.GetProperty("name").GetString(), body.GetProperty("isDefault").GetBoolean(), body.GetProperty("signerEncodesJson").GetBoolean()));
        Assert.Equal(JsonValueKind.Null, body.GetProperty("lastUsedAt").ValueKind);
        Assert.Equal(UserScene.Agent, Assert.Single(body.GetProperty("agentIds").EnumerateArray()).GetString());
        Assert.Matches(Time, body.GetProperty("createdAt").GetString());
        Assert.Matches(Time, body.GetProperty("updatedAt").GetString());
        var shown = await client.SendAsync(HttpMethod.Get, $"{AlgoliaClient.Keys}/{body.GetProperty("id").GetString()}");
        Assert.Equal(body.GetRawText(), shown.Body.GetRawText());
    }

    // The vendor's clients know agents by UUIDs alone.
    [Fact]
    public async Task AgentIds_NamedInWhateverForm_AreShownAsUuids()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        foreach (var named in new[] { "agent_echo", UserScene.Agent, UserScene.Agent.ToUpperInvariant() })
        {
            var key = await client.CreateKeyAsync($"\"agentIds\":[\"{named}\"]");
            var patched = (await client.SendAsync(HttpMethod.Patch, $"{AlgoliaClient.Keys}/{key.Id}", $$"""{"agentIds":["{{named}}"]}""")).Body;
            var shown = (await client.SendAsync(HttpMethod.Get, $"{AlgoliaClient.Keys}/{key.Id}")).Body;
            var listed = (await client.SendAsync(HttpMethod.Get, AlgoliaClient.Keys)).Body.GetProperty("data")[0];
            Assert.All([patched, shown, listed], body => Assert.Equal($"[\"{UserScene.Agent}\"]", body.GetProperty("agentIds").GetRawText()));
            var answer = await client.SendAsync(HttpMethod.Get, $"/agent-studio/1/agents/{named}/conversations", headers: [(AlgoliaClient.TokenHeader, client.Token(key))]);
            Assert.Equal(HttpStatusCode.OK, answer.Status);
        }
    }

    [Fact]
    public async Task Keys_Made_AreAllDifferentAndListedByPages()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var made = new List<(string Id, string Value)>();
        for (var i = 0; i < 12; i++)
        {
            made.Add(await client.CreateKeyAsync());
            postern.Clock.Advance(TimeSpan.FromMilliseconds(5));
        }
        Assert.Equal(12, made.Select(key => key.Value).Distinct().Count());

        var first = (await client.SendAsync(HttpMethod.Get, AlgoliaClient.Keys)).Body;
        var second = (await client.SendAsync(HttpMethod.Get, AlgoliaClient.Keys + "?page=2")).Body;
        var beyond = (await client.SendAsync(HttpMethod.Get, AlgoliaClient.Keys + "?page=9&limit=100")).Body;
        Assert.Equal((10, 2, 0), (first.GetProperty("data").GetArrayLength(), second.GetProperty("data").GetArrayLength(), beyond.GetProperty("data").GetArrayLength()));
        Assert.Equal("""{"page":2,"limit":10,"totalCount":12,"totalPages":2}""", second.GetProperty("pagination").GetRawText());
        Assert.Equal(made.Select(key => key.Id).Reverse(), first.GetProperty("data").EnumerateArray().Concat(second.GetProperty("data").EnumerateArray()).Select(key => key.GetProperty("id").GetString()!));
        foreach (var query in new[] { "page=0", "page=-1", "page=x", "limit=0", "limit=101", "page=1&page=2", "page=", "limit=1.0" })
        {
            var (status, body, _) = await client.SendAsync(HttpMethod.Get, $"{AlgoliaClient.Keys}?{query}");
            Assert.Equal((422, "Input is invalid, see detail/body:"), ((int)status, body.GetProperty("message").GetString()));
            Assert.Equal("query", body.GetProperty("detail")[0].GetProperty("loc")[0].GetString());
        }
    }

    [Fact]
    public async Task Key_Patched_KeepsWhatIsAbsentOrNull()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var (id, value) = await client.CreateKeyAsync("\"agentIds\":[\"agent_echo\"]");
        async Task<JsonElement> Patch(string body) => (await client.SendAsync(HttpMethod.Patch, $"{AlgoliaClient.Keys}/{id}", body)).Body;

        var same = await Patch("""{"name":null,"agentIds":null}""");
        Assert.Equal(("test", 1, value), (same.GetProperty("name").GetString(), same.GetProperty("agentIds").GetArrayLength(), same.GetProperty("value").GetString()));
        var renamed = await Patch("""{"name":"Ønskebrønn"}""");
        Assert.Equal(("Ønskebrønn", 1), (renamed.GetProperty("name").GetString(), renamed.GetProperty("agentIds").GetArrayLength()));
        var all = await Patch("""{"agentIds":[]}""");
        Assert.Equal(("Ønskebrønn", 0), (all.GetProperty("name").GetString(), all.GetProperty("agentIds").GetArrayLength()));
        Assert.Equal(HttpStatusCode.NotFound, (await client.SendAsync(HttpMethod.Patch, $"{AlgoliaClient.Keys}/{Guid.Empty}", "{}")).Status);
    }

    [Theory]
    [Trait("attack", "F4")]
    [InlineData("", "body")]
    [InlineData("[]", "body")]
    [InlineData("{", "body")]
    [InlineData("{}", "name")]
    [InlineData("""{"name":""}""", "name")]
    [InlineData("""{"name":1}""", "name")]
    [InlineData("""{"name":"a\u0000"}""", "name")]
    [InlineData("""{"name":"x","name":"y"}""", "body")]
    [InlineData("""{"name":"\ud800"}""", "body")]
    [InlineData("""{"name":"x","agentIds":"agent_echo"}""", "agentIds")]
    [InlineData("""{"name":"x","agentIds":[1]}""", "agentIds")]
    [InlineData("""{"name":"x","agentIds":["agent_unknown"]}""", "agentIds")]
    [InlineData("""{"name":"x","agentIds":["agent_echo","11111111-2222-3333-4444-555555555555"]}""", "agentIds")]
    [InlineData("""{"name":"x","signerEncodesJson":"true"}""", "signerEncodesJson")]
    [InlineData("""{"name":"x","project_id":"other"}""", "project_id")]
    [InlineData("""{"name":"x","id":"11111111-2222-3333-4444-555555555555"}""", "id")]
    [InlineData("""{"name":"x","cut_off":0}""", "cut_off")]
    public async Task Body_Wrong_IsRefusedByName(string body, string named)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);

        var (status, answer, _) = await client.SendAsync(HttpMethod.Post, AlgoliaClient.Keys, body);

        Assert.Equal(422, (int)status);
        Assert.Contains(named, answer.GetProperty("detail").GetRawText(), StringComparison.Ordinal);
        Assert.Equal(0, (await client.SendAsync(HttpMethod.Get, AlgoliaClient.Keys)).Body.GetProperty("data").GetArrayLength());
    }

    [Theory]
    [Trait("attack", "A8")]
    [InlineData("")]
    [InlineData("short")]
    [InlineData("k8Jd02mXz7QpL4vTn6Rw1Ys3Bh5Gc9")]
    [InlineData("a-string-secret-at-least-256-bits-long")]
    [InlineData("My Super Secret Key used to sign JWT tokens")]
    [InlineData("YourSuperSecretKeyThatIsAtLeast32CharactersLong!")]
    [InlineData("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")]
    [InlineData("404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970")]
    [InlineData("6B58703273357638792F423F4528482B4D6251655468576D597133743677397A")]
    [InlineData("iNivDmHLpUA223sqsfhqGbMRdRj1PVkH")]
    [InlineData("00000000000000000000000000000000")]
    [InlineData("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")]
    [InlineData("xyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxyxy")]
    [InlineData("k8Jd02mXz7QpL4vTk8Jd02mXz7QpL4vT")]
    [InlineData("k8Jd02mXz7QpL4vTnk8Jd02mXz7QpL4vTnk8Jd02")]
    public async Task Import_OfAWeakValue_IsRefusedWithTheReason(string value)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);

        var (status, body, _) = await client.SendAsync(HttpMethod.Post, AlgoliaClient.Keys, $$"""{"name":"x","value":{{JsonSerializer.Serialize(value)}}}""");

        Assert.Equal(422, (int)status);
        Assert.Equal("value", body.GetProperty("detail")[0].GetProperty("loc")[1].GetString());
        Assert.True(value.Length < 5 || !body.GetRawText().Contains(value, StringComparison.Ordinal));
    }

    [Fact]
    [Trait("attack", "A8")]
    public void Secret_EachLengthBelow32Bytes_IsRefusedAndWhatIsMadeNever()
    {
        const string random = "k8Jd02mXz7QpL4vTn6Rw1Ys3Bh5Gc9fA";
        for (var length = 0; length < 32; length++)
        {
            Assert.NotNull(UserTokenSecret.WhyRefused(random[..length]));
        }
        Assert.Null(UserTokenSecret.WhyRefused(random));
        var dice = new Dice(1);
        for (var i = 0; i < 2000; i++)
        {
            Assert.Null(UserTokenSecret.WhyRefused(Convert.ToHexString(dice.Bytes(32))));
        }
        Assert.NotNull(UserTokenSecret.WhyRefused(new string('é', 300)));
    }

    [Fact]
    public async Task Import_OfTheCustomersOwnValue_VerifiesItsTokens()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var key = await client.CreateKeyAsync("\"value\":\"" + UserTokenForge.Secret + "\"");

        Assert.Equal(UserTokenForge.Secret, key.Value);
        Assert.Equal(HttpStatusCode.Forbidden, (await client.VerdictAsync(client.Token(key))).Status);
    }

    [Fact]
    [Trait("attack", "A12")]
    public async Task Switch_SignerEncodesJson_IsOffByDefaultAndSaysItsRiskWhereItIsSet()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var key = await client.CreateKeyAsync();
        var expires = postern.Clock.GetUtcNow().ToUnixTimeSeconds() + 60;
        string[] tokens = [AlgoliaClient.Sign(key, UserTokenForge.Claims("\"J\\u00f8rgen\"", expires)), AlgoliaClient.Sign(key, UserTokenForge.Claims("\"alice\"", expires, ",\"iss\":\"shop\""))];
        var double_ = AlgoliaClient.Sign(key, $$"""{"sub":"mallory","sub":"alice","exp":{{expires}}}""");
        foreach (var on in new[] { false, true, false })
        {
            var (status, body, _) = await client.SendAsync(HttpMethod.Patch, $"{AlgoliaClient.Keys}/{key.Id}", $$"""{"signerEncodesJson":{{(on ? "true" : "false")}}}""");
            Assert.Equal((HttpStatusCode.OK, on), (status, body.GetProperty("signerEncodesJson").GetBoolean()));
            Assert.Equal(on, body.TryGetProperty("warning", out _));
            foreach (var token in tokens)
            {
                Assert.Equal(on ? HttpStatusCode.Forbidden : HttpStatusCode.Unauthorized, (await client.VerdictAsync(token)).Status);
            }
            Assert.Equal(HttpStatusCode.Unauthorized, (await client.VerdictAsync(double_)).Status);
        }
    }

    [Fact]
    public async Task LastUse_OfAKey_IsShownAndNotThatOfARefusal()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var key = await client.CreateKeyAsync();
        async Task<string?> LastUse() => (await client.SendAsync(HttpMethod.Get, $"{AlgoliaClient.Keys}/{key.Id}")).Body.GetProperty("lastUsedAt").GetString();

        await client.VerdictAsync(client.Token(key, lifetime: 100_000));
        Assert.Null(await LastUse());
        using var searching = new AlgoliaClient(postern, await AccessTests.KeyAsync(postern, Scopes.AgentsRead));
        await searching.VerdictAsync(client.Token(key));
        var used = DateTimeOffset.Parse((await LastUse())!, CultureInfo.InvariantCulture);
        Assert.InRange(used, postern.Clock.GetUtcNow().AddSeconds(-60), postern.Clock.GetUtcNow());
        // Written once a second beside the requests: also when nobody looks.
        postern.Clock.Advance(TimeSpan.FromMinutes(1));
        await searching.VerdictAsync(client.Token(key));
        await using var store = Store.Open(TestPostern.Options(postern.Folder), postern.Clock);
        for (var i = 0; i < 100 && store.UserTokenKeys.Read(ProjectId.Default, key.Id)!.LastUsedAt < used.AddSeconds(30); i++)
        {
            await Task.Delay(50, Cancel);
        }
        Assert.True(store.UserTokenKeys.Read(ProjectId.Default, key.Id)!.LastUsedAt > used.AddSeconds(30));
    }

    [Fact]
    [Trait("attack", "A6")]
    public async Task Key_Deleted_RefusesFromTheNextRequestAndByAnotherProcessWithinASecond()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var (here, elsewhere) = (await client.CreateKeyAsync(), await client.CreateKeyAsync());
        Assert.Equal(HttpStatusCode.Forbidden, (await client.VerdictAsync(client.Token(here))).Status);

        Assert.Equal(HttpStatusCode.NoContent, (await client.SendAsync(HttpMethod.Delete, $"{AlgoliaClient.Keys}/{here.Id}")).Status);
        Assert.Equal((HttpStatusCode.Unauthorized, "Invalid signature"), await client.VerdictAsync(client.Token(here)));
        Assert.Equal(HttpStatusCode.NotFound, (await client.SendAsync(HttpMethod.Delete, $"{AlgoliaClient.Keys}/{here.Id}")).Status);

        await using (var store = Store.Open(TestPostern.Options(postern.Folder), postern.Clock))
        {
            Assert.True(await store.UserTokenKeys.DeleteAsync(ProjectId.Default, elsewhere.Id, null));
        }
        await Task.Delay(1000, Cancel);
        Assert.Equal(HttpStatusCode.Unauthorized, (await client.VerdictAsync(client.Token(elsewhere))).Status);
        Assert.Equal(["user_token_key.created", "user_token_key.created", "user_token_key.deleted", "user_token_key.deleted"],
            postern.Audit().Select(row => row.Name).Where(name => name.StartsWith("user_token_key", StringComparison.Ordinal)));
    }

    [Fact]
    [Trait("attack", "B17")]
    public async Task Value_IsInNoFileInTheClear()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var (made, brought) = (await client.CreateKeyAsync(), await client.CreateKeyAsync("\"value\":\"" + UserTokenForge.Secret + "\""));
        await client.VerdictAsync(client.Token(made));
        foreach (var file in System.IO.Directory.GetFiles(postern.Folder, "postern.db*"))
        {
            await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var bytes = new MemoryStream();
            await stream.CopyToAsync(bytes, Cancel);
            foreach (var value in new[] { made.Value, brought.Value })
            {
                Assert.False(bytes.ToArray().AsSpan().IndexOf(Encoding.UTF8.GetBytes(value)) >= 0, file);
            }
        }
    }

    [GeneratedRegex("^sk-alg-[A-Za-z0-9_-]{43}$")]
    private static partial Regex Value { get; }

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
    private static partial Regex Time { get; }
}
