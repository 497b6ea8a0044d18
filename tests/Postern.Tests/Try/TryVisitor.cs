using System.Text;
using System.Text.Json;

namespace Postern.Tests.Try;

/// <summary>What the page's script is to the server: same-origin calls, and the cookie that the browser keeps.</summary>
internal sealed class TryVisitor(string origin) : IDisposable
{
    // The development certificate is this server's own.
    private readonly HttpClient client = new(new HttpClientHandler { UseCookies = false, ServerCertificateCustomValidationCallback = (_, _, _, _) => true });

    /// <summary>The cookie as <c>name=value</c>; empty without one.</summary>
    public string Cookie { get; set; } = "";

    public Task<HttpResponseMessage> GetAsync(string path) => SendAsync(new HttpRequestMessage(HttpMethod.Get, origin + path));

    /// <summary>A call as the page makes it; <paramref name="change"/> makes another of it.</summary>
    public async Task<HttpResponseMessage> PostAsync(string path, string body, Action<HttpRequestMessage>? change = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, origin + path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Add("Origin", origin);
        request.Headers.Add("Sec-Fetch-Site", "same-origin");
        change?.Invoke(request);
        return await SendAsync(request);
    }

    public async Task<HttpResponseMessage> EnterAsync(string code)
    {
        var answer = await PostAsync("/try/session", $$"""{"code":"{{code}}"}""");
        if (answer.Headers.TryGetValues("Set-Cookie", out var cookies))
        {
            Cookie = cookies.Single().Split(';')[0];
        }
        return answer;
    }

    public async Task<JsonElement> MintAsync(string body = "{}")
    {
        using var answer = await PostAsync("/try/mint", body);
        answer.EnsureSuccessStatusCode();
        return await ReadAsync(answer);
    }

    public static async Task<JsonElement> ReadAsync(HttpResponseMessage answer)
    {
        using var document = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        return document.RootElement.Clone();
    }

    public void Dispose() => client.Dispose();

    private Task<HttpResponseMessage> SendAsync(HttpRequestMessage request)
    {
        if (Cookie.Length > 0)
        {
            request.Headers.Add("Cookie", Cookie);
        }
        return client.SendAsync(request, TestContext.Current.CancellationToken);
    }
}
