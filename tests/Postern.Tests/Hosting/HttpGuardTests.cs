using System.Text.Json;

namespace Postern.Tests.Hosting;

/// <summary>The raw requests that two readers could read differently, and what is never told.</summary>
public sealed class HttpGuardTests(GuardedServer server) : IClassFixture<GuardedServer>
{
    private const string Host = "Host: localhost\r\n";

    public static TheoryData<string> Smuggling => new(
        "POST / HTTP/1.1\r\n" + Host + "Content-Length: +1\r\n\r\na",
        "POST / HTTP/1.1\r\n" + Host + "Content-Length: -0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Content-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Content-Length: 0x1\r\n\r\na",
        "POST / HTTP/1.1\r\n" + Host + "Content-Length: 1 1\r\n\r\na",
        "POST / HTTP/1.1\r\n" + Host + "Content-Length: 1,1\r\n\r\na",
        "POST / HTTP/1.1\r\n" + Host + "Content-Length: 1.0\r\n\r\na",
        "POST / HTTP/1.1\r\n" + Host + "Content-Length: \r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Content-Length: 99999999999999999999\r\n\r\na",
        "POST / HTTP/1.1\r\n" + Host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "POST / HTTP/1.1\r\n" + Host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
        "POST / HTTP/1.1\r\n" + Host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: identity\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\n0;a=\"\n\"\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\n1;\ra\r\na\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\na\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\n80000000\r\na\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n",
        "POST / HTTP/1.0\r\n" + Host + "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\n" + "Host: localhost\n\n",
        "GET / HTTP/1.1\r\nHost: localhost\nX-Admin: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://a\nX-Admin: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\rX-Admin: 1\r\n\r\n");

    [Theory]
    [MemberData(nameof(Smuggling))]
    [Trait("attack", "D1")]
    public async Task Request_ThatCouldBeReadTwoWays_Is400AndClosed(string raw)
    {
        var before = server.Smuggled;
        var answer = await server.SendAsync(raw + "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n");

        Assert.Equal([400], answer.Statuses);
        Assert.True(answer.Closed);
        Assert.Equal(0, server.Smuggled - before);
    }

    public static TheoryData<string> Hosts => new(
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost, localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost:99999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n",
        "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");

    [Theory]
    [MemberData(nameof(Hosts))]
    [Trait("attack", "D4")]
    public async Task Host_MissingDoubleOrForeign_Is400AndClosed(string raw)
    {
        var answer = await server.SendAsync(raw);

        Assert.Equal([400], answer.Statuses);
        Assert.True(answer.Closed);
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("LOCALHOST:8080")]
    [InlineData("127.0.0.1:1")]
    [InlineData("10.1.2.3")]
    [InlineData("[::1]:8080")]
    [InlineData("agents.example.com")]
    [InlineData("postern.internal:8080")]
    public async Task Host_OfOurs_IsServed(string host) =>
        Assert.Equal([200], (await server.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).Statuses);

    [Theory]
    [InlineData("TRACE")]
    [InlineData("TRACK")]
    [InlineData("PROPFIND")]
    [InlineData("get")]
    [InlineData("Post")]
    [InlineData("PURGE")]
    [InlineData("QUERY")]
    [Trait("attack", "D8")]
    public async Task Method_ThatIsNotServed_Is405(string method)
    {
        var answer = await server.SendAsync($"{method} / HTTP/1.1\r\n{Host}\r\n");

        Assert.Equal([405], answer.Statuses);
        Assert.True(answer.Closed);
        Assert.Equal("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", answer.Header("Allow"));
        Assert.DoesNotContain(method + " /", answer.Text, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("attack", "D8")]
    public async Task Connect_OverHttp1_IsRefused() =>
        Assert.All((await server.SendAsync("CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n")).Statuses, status => Assert.InRange(status, 400, 405));

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    [InlineData("deflate")]
    [InlineData("identity")]
    [InlineData("gzip, gzip, gzip")]
    [Trait("attack", "D9")]
    public async Task Body_Compressed_Is415(string coding)
    {
        var answer = await server.SendAsync($"POST / HTTP/1.1\r\n{Host}Content-Encoding: {coding}\r\nContent-Length: 1\r\n\r\na");

        Assert.Equal([415], answer.Statuses);
        Assert.True(answer.Closed);
    }

    [Theory]
    [InlineData("X-Value: a\0b")]
    [InlineData("X-Value: a\rb")]
    [InlineData("X-Value: a\r\n b")]
    [InlineData("X-Value: a\u00e4b")]
    [InlineData("X Value: a")]
    [InlineData("X-Value : a")]
    [InlineData(": a")]
    [InlineData("X-Value")]
    [Trait("attack", "D6")]
    public async Task Header_OfUnfitCharacters_Is400(string header)
    {
        var answer = await server.SendAsync($"GET / HTTP/1.1\r\n{Host}{header}\r\n\r\n");

        Assert.Equal([400], answer.Statuses);
        Assert.True(answer.Closed);
    }

    public static TheoryData<string, int> Refusals => new()
    {
        { "GET /nowhere HTTP/1.1\r\nConnection: close\r\n" + Host + "\r\n", 404 },
        { "TRACE / HTTP/1.1\r\n" + Host + "\r\n", 405 },
        { "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\n" + Host + "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", 415 },
        { "POST / HTTP/1.1\r\n" + Host + "Content-Length: 70000\r\n\r\n", 413 },
        { "POST / HTTP/1.1\r\n" + Host + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n", 400 },
        { "GET /fail HTTP/1.1\r\n" + Host + "\r\n", 500 },
        { "GET /unavailable HTTP/1.1\r\nConnection: close\r\n" + Host + "\r\n", 503 },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    [Trait("attack", "D10")]
    public async Task Refusal_Body_IsAProblemThatTellsNothing(string raw, int status)
    {
        var answer = await server.SendAsync(raw);

        Assert.Equal([status], answer.Statuses);
        Assert.Equal("application/problem+json", answer.Header("Content-Type"));
        Assert.Null(answer.Header("Server"));
        using var problem = JsonDocument.Parse(answer.Body);
        Assert.Equal(["type", "title", "status", "detail"], problem.RootElement.EnumerateObject().Select(member => member.Name));
        Assert.Equal(status, problem.RootElement.GetProperty("status").GetInt32());
        foreach (var word in new[] { "Exception", "secret", "   at ", ".cs", "Kestrel", "Microsoft", "stack" })
            Assert.DoesNotContain(word, answer.Text, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/nowhere")]
    [InlineData("/fail")]
    [Trait("attack", "B17")]
    public async Task Answer_Headers_KeepItToItself(string path)
    {
        var answer = await server.SendAsync($"GET {path} HTTP/1.1\r\nHost: agents.example.com\r\nConnection: close\r\n\r\n");

        Assert.Equal("no-store", answer.Header("Cache-Control"));
        Assert.Equal("nosniff", answer.Header("X-Content-Type-Options"));
        Assert.Equal("no-referrer", answer.Header("Referrer-Policy"));
        Assert.Equal("max-age=31536000", answer.Header("Strict-Transport-Security"));
    }

    [Fact]
    public async Task Localhost_StrictTransport_IsNotAskedFor() =>
        Assert.Null((await server.SendAsync($"GET / HTTP/1.1\r\n{Host}Connection: close\r\n\r\n")).Header("Strict-Transport-Security"));

    [Fact]
    [Trait("attack", "C12")]
    public async Task Upgrade_ThatFails_ClosesTheConnection()
    {
        var answer = await server.SendAsync(
            "GET /upgrade HTTP/1.1\r\n" + Host + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nGET /smuggled HTTP/1.1\r\n" + Host + "\r\n");

        Assert.Equal([426], answer.Statuses);
        Assert.True(answer.Closed);
        Assert.Equal(0, server.Smuggled);
    }

    [Fact]
    public async Task Requests_WellFormed_ShareAConnection() =>
        Assert.Equal([200, 200], (await server.SendAsync($"POST / HTTP/1.1\r\n{Host}Content-Length: 1\r\n\r\naGET / HTTP/1.1\r\n{Host}Connection: close\r\n\r\n")).Statuses);
}
