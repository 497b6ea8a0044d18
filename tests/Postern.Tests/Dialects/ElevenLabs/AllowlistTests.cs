using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace Postern.Tests.Dialects.ElevenLabs;

/// <summary>What may be saved as an allowlist, and which pages it lets in afterwards.</summary>
public class AllowlistTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [Trait("attack", "C6")]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("*")]
    [InlineData("*.example.com")]
    [InlineData(".example.com")]
    [InlineData("example.com.")]
    [InlineData("a..example.com")]
    [InlineData("exam ple.com")]
    [InlineData("example.com:0")]
    [InlineData("example.com:0443")]
    [InlineData("example.com:65536")]
    [InlineData("example.com:port")]
    [InlineData("example.com:")]
    [InlineData("user@example.com")]
    [InlineData("https://user:pw@example.com")]
    [InlineData("https://")]
    [InlineData("ftp://example.com")]
    [InlineData("file:///etc/passwd")]
    [InlineData("chrome-extension://abcdefgh")]
    [InlineData("capacitor://localhost")]
    [InlineData("example.com?x")]
    [InlineData("example.com#x")]
    [InlineData("example.com\\evil.com")]
    [InlineData("exam\tple.com")]
    [InlineData("exam\0ple.com")]
    [InlineData("example.com, evil.com")]
    [InlineData("[::1")]
    [InlineData("[example.com]")]
    public async Task Entry_ThatIsNoHost_IsRefusedAndNothingIsSaved(string entry)
    {
        await using var postern = await TestPostern.StartAsync();
        using var answer = await SaveAsync(postern, "agent_echo", entry);

        Assert.Equal(HttpStatusCode.UnprocessableContent, answer.StatusCode);
        var problem = (await answer.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("detail")[0];
        Assert.Equal("""["body","platform_settings","auth","allowlist",0,"hostname"]""", problem.GetProperty("loc").GetRawText());
        Assert.Contains("host", problem.GetProperty("msg").GetString(), StringComparison.Ordinal);
        var kept = await postern.Client.GetFromJsonAsync<JsonElement>("/v1/convai/agents/agent_echo", Cancel);
        Assert.False(kept.GetProperty("platform_settings").GetProperty("auth").TryGetProperty("allowlist", out _));
    }

    [Theory]
    [Trait("attack", "C4")]
    [Trait("attack", "C5")]
    [Trait("attack", "C6")]
    [InlineData("example.com", "https://example.com", true)]
    [InlineData("EXAMPLE.com", "https://example.com", true)]
    [InlineData("example.com/path?x=1", "https://example.com", true)]
    [InlineData("example.com:443", "https://example.com", true)]
    [InlineData("example.com", "http://example.com", false)]
    [InlineData("https://example.com", "https://example.com", true)]
    [InlineData("https://example.com", "http://example.com", false)]
    [InlineData("http://example.com", "http://example.com", true)]
    [InlineData("http://example.com", "https://example.com", false)]
    [InlineData("example.com:8443", "https://example.com:8443", true)]
    [InlineData("example.com:8443", "https://example.com", false)]
    [InlineData("example.com", "https://example.com:8443", false)]
    [InlineData("localhost:3000", "http://localhost:3000", true)]
    [InlineData("localhost:3000", "https://localhost:3000", true)]
    [InlineData("localhost:3000", "http://localhost:3001", false)]
    [InlineData("localhost:3000", "http://localhost.example.com:3000", false)]
    [InlineData("bücher.example", "https://xn--bcher-kva.example", true)]
    [InlineData("app.example.com", "https://app.example.com.evil.com", false)]
    [InlineData("app.example.com", "https://evilapp.example.com", false)]
    [InlineData("app.example.com", "https://sub.app.example.com", false)]
    [InlineData("app.example.com", "https://example.com", false)]
    [InlineData("example.com", "https://example.com.", false)]
    [InlineData("example.com", "https://EXAMPLE.com", false)]
    [InlineData("example.com", "HTTPS://example.com", false)]
    [InlineData("example.com", "https://example.com/", false)]
    [InlineData("example.com", "https://example.com:443", false)]
    [InlineData("example.com", "https://example.com:0443", false)]
    [InlineData("example.com", "https://example.com:65979", false)]
    [InlineData("example.com", "https://user@example.com", false)]
    [InlineData("example.com", "https://evil.com@example.com", false)]
    [InlineData("example.com", "https://example.com@evil.com", false)]
    [InlineData("example.com", "https:\\\\example.com", false)]
    [InlineData("example.com", "https://example.com%00", false)]
    [InlineData("example.com", "https://example.com\t", true)] // white space around a header's value is not part of it
    [InlineData("example.com", "https://exam\tple.com", false)]
    [InlineData("example.com", "https://example.com, https://evil.com", false)]
    [InlineData("example.com", "https://example.com https://evil.com", false)]
    [InlineData("example.com", "example.com", false)]
    [InlineData("example.com", "null", false)]
    [InlineData("null", "null", false)]
    [InlineData("example.com", "file://", false)]
    public async Task SavedEntry_Origin_IsComparedExactly(string entry, string origin, bool allowed)
    {
        await using var postern = await TestPostern.StartAsync();
        using var saved = await SaveAsync(postern, "agent_echo", entry);
        Assert.Equal(HttpStatusCode.OK, saved.StatusCode);
        var kept = await saved.Content.ReadFromJsonAsync<JsonElement>(Cancel);
        Assert.Equal(entry, kept.GetProperty("platform_settings").GetProperty("auth").GetProperty("allowlist")[0].GetProperty("hostname").GetString());

        using var request = new HttpRequestMessage(HttpMethod.Get, postern.Http + "/v1/convai/agents/agent_echo/widget");
        request.Headers.TryAddWithoutValidation("Origin", origin);
        using var client = new HttpClient();
        using var answer = await client.SendAsync(request, Cancel);

        Assert.Equal(allowed ? HttpStatusCode.OK : HttpStatusCode.Forbidden, answer.StatusCode);
    }

    private static Task<HttpResponseMessage> SaveAsync(TestPostern postern, string agent, string entry) => postern.Client.PatchAsJsonAsync(
        "/v1/convai/agents/" + agent, new { platform_settings = new { auth = new { enable_auth = false, allowlist = new[] { new { hostname = entry } } } } }, Cancel);
}
