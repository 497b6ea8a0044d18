using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.RegularExpressions;
using Postern.Server.Cli;
using Postern.Server.Storage;
using Postern.Tests.Flow;

namespace Postern.Tests.Try;

/// <summary>The page to try it on: who gets in, what is minted, and that nothing else can be done with it.</summary>
public sealed partial class TryTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Code_Used_OpensThePageOnce()
    {
        await using var postern = await TestPostern.StartAsync();
        using var visitor = new TryVisitor(postern.Http);
        using var first = await visitor.EnterAsync(postern.Host.FirstTryCode!);
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        Assert.True((await TryVisitor.ReadAsync(await visitor.GetAsync("/try/session"))).GetProperty("live").GetBoolean());

        using var another = new TryVisitor(postern.Http);
        using var second = await another.EnterAsync(postern.Host.FirstTryCode!);
        Assert.Equal(HttpStatusCode.Gone, second.StatusCode);
        Assert.Contains("used already", await second.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        Assert.Equal("", another.Cookie);
    }

    [Fact]
    public async Task Code_UsedByManyAtOnce_OpensForOne()
    {
        await using var postern = await TestPostern.StartAsync();
        for (var round = 0; round < 5; round++)
        {
            var code = round == 0 ? postern.Host.FirstTryCode! : await NewCodeAsync(postern);
            var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(async _ =>
            {
                using var visitor = new TryVisitor(postern.Http);
                using var answer = await visitor.EnterAsync(code);
                return answer.StatusCode;
            }));
            Assert.Equal(1, answers.Count(status => status == HttpStatusCode.OK));
            Assert.Equal(15, answers.Count(status => status == HttpStatusCode.Gone));
        }
    }

    [Fact]
    public async Task Code_ThatIsNone_IsRefusedWithASentence()
    {
        await using var postern = await TestPostern.StartAsync();
        using var visitor = new TryVisitor(postern.Http);
        foreach (var code in new[] { "", "abc", new string('a', 43), new string('a', 44), "' or 1=1 --", postern.Host.FirstTryCode![..42] })
        {
            using var answer = await visitor.EnterAsync(code);
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        }
        postern.Clock.Advance(TimeSpan.FromHours(24));
        using var late = await visitor.EnterAsync(postern.Host.FirstTryCode!);
        Assert.Equal(HttpStatusCode.Gone, late.StatusCode);
        Assert.Contains("24 hours", await late.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cookie_OfASession_IsOutOfReachOfScriptsAndOtherSites()
    {
        await using var postern = await TestPostern.StartAsync(https: true);
        Assert.Matches("^postern-try=[0-9A-Za-z]{43}; max-age=3600; path=/; samesite=strict; httponly$", await CookieAsync(postern.Http, postern.Host.FirstTryCode!));
        Assert.Matches("^__Host-postern-try=[0-9A-Za-z]{43}; max-age=3600; path=/; secure; samesite=strict; httponly$", await CookieAsync(postern.Https, await NewCodeAsync(postern)));
    }

    [Fact]
    public async Task Session_BegunAnew_EndsTheOneBefore()
    {
        await using var postern = await TestPostern.StartAsync();
        using var visitor = new TryVisitor(postern.Http);
        (await visitor.EnterAsync(postern.Host.FirstTryCode!)).Dispose();
        var before = visitor.Cookie;
        (await visitor.EnterAsync(await NewCodeAsync(postern))).Dispose();
        Assert.NotEqual(before, visitor.Cookie);
        await visitor.MintAsync();
        visitor.Cookie = before;
        using var answer = await visitor.PostAsync("/try/mint", "{}");
        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
    }

    [Fact]
    public async Task Page_ContentSecurityPolicy_IsThisServerAlone()
    {
        await using var postern = await TestPostern.StartAsync(https: true);
        foreach (var origin in new[] { postern.Http, postern.Https })
        {
            using var visitor = new TryVisitor(origin);
            using var page = await visitor.GetAsync("/try");
            Assert.Equal(HttpStatusCode.OK, page.StatusCode);
            Assert.Equal("text/html; charset=utf-8", page.Content.Headers.ContentType!.ToString());
            Assert.Equal(
                $"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws{origin[4..]}; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
                Assert.Single(page.Headers.GetValues("Content-Security-Policy")));
            Assert.Equal("no-store", page.Headers.CacheControl!.ToString());
            Assert.Equal("no-referrer", Assert.Single(page.Headers.GetValues("Referrer-Policy")));
        }
    }

    [Fact]
    public async Task Page_Files_HoldNoSecretNothingInlineAndNoOtherHost()
    {
        await using var postern = await TestPostern.StartAsync();
        using var visitor = new TryVisitor(postern.Http);
        (await visitor.EnterAsync(await NewCodeAsync(postern))).Dispose();
        var html = await TextAsync(visitor, "/try");
        var files = Reference.Matches(html).Select(match => match.Groups["path"].Value).Distinct().ToList();
        Assert.Contains("/try/app.js", files);
        Assert.Contains("/try/style.css", files);
        Assert.DoesNotMatch("<style|style=|\\son[a-z]+=|javascript:", html);
        Assert.All(Script.Matches(html), script => Assert.Equal("", script.Groups["body"].Value));
        files.AddRange(["/try/worklet.js", "/try/view.js", "/try/sound.js", "/try/credential.js", "/try/conversation.js", "/try/attempts.js"]);
        foreach (var text in (await Task.WhenAll(files.Select(file => TextAsync(visitor, file)))).Append(html))
        {
            Assert.DoesNotContain(TestPostern.Key, text, StringComparison.Ordinal);
            Assert.DoesNotContain(postern.Host.FirstTryCode!, text, StringComparison.Ordinal);
            Assert.DoesNotMatch("pst_|psu_[A-Za-z]|innerHTML|insertAdjacentHTML|eval\\(", text);
            Assert.DoesNotMatch("(https?|wss?)://(?!www\\.w3\\.org/2000/svg)", text);
        }
    }

    [Theory]
    [InlineData("https://evil.example", "same-origin", 403)]
    [InlineData("null", "same-origin", 403)]
    [InlineData("http://127.0.0.1", "same-origin", 403)]
    [InlineData("", "same-origin", 403)]
    [InlineData(null, "cross-site", 403)]
    [InlineData(null, "same-site", 403)]
    [InlineData(null, "none", 403)]
    [InlineData(null, "", 200)]
    public async Task Call_FromElsewhere_IsRefusedAndUsesNothing(string? origin, string site, int status)
    {
        await using var postern = await TestPostern.StartAsync();
        using var visitor = new TryVisitor(postern.Http);
        foreach (var path in new[] { "/try/session", "/try/mint", "/try/end" })
        {
            using var answer = await visitor.PostAsync(path, $$"""{"code":"{{postern.Host.FirstTryCode}}"}""", request => From(request, origin, site));
            Assert.Equal(status == 200 && path == "/try/mint" ? 401 : status, (int)answer.StatusCode);
        }
        using var after = await visitor.EnterAsync(postern.Host.FirstTryCode!);
        Assert.Equal(status == 200 ? HttpStatusCode.Gone : HttpStatusCode.OK, after.StatusCode);
    }

    [Theory]
    [InlineData("""{"code":1}""", "application/json", 400)]
    [InlineData("""{"code":"a","code":"b"}""", "application/json", 400)]
    [InlineData("""{"uses":1.5}""", "application/json", 400)]
    [InlineData("""{"scopes":"admin"}""", "application/json", 400)]
    [InlineData("[]", "application/json", 400)]
    [InlineData("{", "application/json", 400)]
    [InlineData("", "application/json", 400)]
    [InlineData("{}", "text/plain", 415)]
    [InlineData("code=abc", "application/x-www-form-urlencoded", 415)]
    public async Task Call_OfAnotherForm_IsRefused(string body, string type, int status)
    {
        await using var postern = await TestPostern.StartAsync();
        using var visitor = new TryVisitor(postern.Http);
        using var answer = await visitor.PostAsync("/try/session", body, request => request.Content!.Headers.ContentType = new MediaTypeHeaderValue(type));
        Assert.Equal(status, (int)answer.StatusCode);
        using var large = await visitor.PostAsync("/try/session", $$"""{"code":"{{new string('a', 600)}}"}""");
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, large.StatusCode);
    }

    [Fact]
    public async Task Mint_InASession_OpensTheDemoAgentAndSaysWhy()
    {
        await using var postern = await TestPostern.StartAsync();
        using var visitor = new TryVisitor(postern.Http);
        (await visitor.EnterAsync(postern.Host.FirstTryCode!)).Dispose();
        var minted = await visitor.MintAsync("""{"uses":1,"start_within":60}""");
        Assert.DoesNotContain("pst_", minted.GetRawText(), StringComparison.Ordinal);
        var explain = minted.GetProperty("explain").EnumerateArray().ToDictionary(one => one.GetProperty("check").GetString()!, one => one.GetProperty("sentence").GetString()!);
        Assert.Equal(["Signature", "Agent", "Origin", "Start by", "Uses"], explain.Keys);
        Assert.StartsWith("agent_echo and no other. It is private", explain["Agent"], StringComparison.Ordinal);
        Assert.StartsWith("One.", explain["Uses"], StringComparison.Ordinal);

        var url = minted.GetProperty("answer").GetProperty("signed_url").GetString()!;
        using var socket = await ConnectTests.Open(url, postern.Http, "convai");
        await socket.SendAsync("""{"type":"conversation_initiation_client_data"}"""u8.ToArray(), System.Net.WebSockets.WebSocketMessageType.Text, true, Cancel);
        Assert.Contains("conversation_initiation_metadata", await ConnectTests.Text(socket), StringComparison.Ordinal);
        Assert.Equal((3000, "Could not authorize the conversation: the signed URL was already used."), await ConnectTests.Refusal(url));

        var key = minted.GetProperty("key").GetString()!;
        Assert.Equal(["key.created", "credential.minted"], Audit(postern, key));
    }

    [Fact]
    public async Task Mint_AfterTheEnd_IsRefused()
    {
        await using var postern = await TestPostern.StartAsync();
        using var visitor = new TryVisitor(postern.Http);
        (await visitor.EnterAsync(postern.Host.FirstTryCode!)).Dispose();
        var key = (await visitor.MintAsync()).GetProperty("key").GetString()!;
        using var end = await visitor.PostAsync("/try/end", "{}");
        Assert.Contains("max-age=0", end.Headers.GetValues("Set-Cookie").Single().Replace("expires=Thu, 01 Jan 1970 00:00:00 GMT", "max-age=0", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Unauthorized, (await visitor.PostAsync("/try/mint", "{}")).StatusCode);
        Assert.Equal(["key.created", "credential.minted", "key.revoked"], Audit(postern, key));

        (await visitor.EnterAsync(await NewCodeAsync(postern))).Dispose();
        postern.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(HttpStatusCode.Unauthorized, (await visitor.PostAsync("/try/mint", "{}")).StatusCode);
    }

    [Fact]
    public async Task Mint_BeyondItsBounds_IsRefused()
    {
        await using var postern = await TestPostern.StartAsync();
        using var visitor = new TryVisitor(postern.Http);
        (await visitor.EnterAsync(postern.Host.FirstTryCode!)).Dispose();
        foreach (var body in new[] { """{"uses":0}""", """{"start_within":9}""", """{"start_within":86401}""" })
        {
            using var refused = await visitor.PostAsync("/try/mint", body);
            Assert.Equal(HttpStatusCode.UnprocessableEntity, refused.StatusCode);
        }
        HttpResponseMessage last;
        var granted = 0;
        while ((last = await visitor.PostAsync("/try/mint", "{}")).IsSuccessStatusCode && granted < 100)
        {
            granted++;
        }
        Assert.Equal(HttpStatusCode.TooManyRequests, last.StatusCode);
        Assert.True(last.Headers.Contains("Retry-After"));
        Assert.InRange(granted, 20, 60); // a minute may end in between
    }

    private static void From(HttpRequestMessage request, string? origin, string site)
    {
        if (origin is not null)
        {
            request.Headers.Remove("Origin");
            if (origin.Length > 0)
            {
                request.Headers.Add("Origin", origin);
            }
        }
        request.Headers.Remove("Sec-Fetch-Site");
        if (site.Length > 0)
        {
            request.Headers.Add("Sec-Fetch-Site", site);
        }
    }

    private static async Task<string> NewCodeAsync(TestPostern postern)
    {
        using var output = new StringWriter();
        Assert.Equal(0, await Commands.RunAsync(["try", "--json", "--data", postern.Folder], output, output));
        using var answer = JsonDocument.Parse(output.ToString());
        return answer.RootElement.GetProperty("link").GetString()!.Split('#')[1];
    }

    private static async Task<string> CookieAsync(string origin, string code)
    {
        using var visitor = new TryVisitor(origin);
        using var answer = await visitor.EnterAsync(code);
        return answer.Headers.GetValues("Set-Cookie").Single();
    }

    private static async Task<string> TextAsync(TryVisitor visitor, string path)
    {
        using var answer = await visitor.GetAsync(path);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return await answer.Content.ReadAsStringAsync(Cancel);
    }

    private static List<string> Audit(TestPostern postern, string key)
    {
        using var connection = Database.Sqlite(Path.Combine(postern.Folder, "postern.db")).Open();
        using var command = Database.Command(connection, "select name from audit where key_id = $1 and name <> 'credential.refused' order by seq", key);
        using var reader = command.ExecuteReader();
        var names = new List<string>();
        while (reader.Read())
        {
            names.Add(reader.GetString(0));
        }
        return names;
    }

    [GeneratedRegex("(src|href)=\"(?<path>[^\"]*)\"")]
    private static partial Regex Reference { get; }

    [GeneratedRegex("<script[^>]*>(?<body>[^<]*)</script>")]
    private static partial Regex Script { get; }
}
