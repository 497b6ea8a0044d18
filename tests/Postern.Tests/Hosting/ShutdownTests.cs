using System.Net;
using System.Text.Json;

namespace Postern.Tests.Hosting;

/// <summary>A server that was told to stop takes on nothing new, and says so in each vendor's shape.</summary>
public sealed class ShutdownTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Closing_Server_RefusesNewWorkInEachShapeAndStaysAlive()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new HttpClient { BaseAddress = new Uri(postern.Http) };
        await postern.Host.CloseAsync();

        await RefusedAsync("GET", "/v1/convai/conversation/get-signed-url?agent_id=agent_echo", answer => answer.GetProperty("detail").GetProperty("status").GetString(), "service_unavailable");
        await RefusedAsync("POST", "/v1/credentials", answer => answer.GetProperty("reason").GetString(), "ShuttingDown");
        await RefusedAsync("GET", "/v1/credentials/cred_any", answer => answer.GetProperty("reason").GetString(), "ShuttingDown");
        await RefusedAsync("POST", "/v1/realtime/client_secrets", answer => answer.GetProperty("error").GetProperty("code").GetString(), "service_unavailable");
        await RefusedAsync("POST", "/user/connect", answer => answer.GetProperty("ERROR").GetString()![..23], "Temporarily unavailable");
        await RefusedAsync("POST", "/v1/convai/agents/create", answer => answer.GetProperty("detail").GetProperty("status").GetString(), "service_unavailable");
        await RefusedAsync("POST", "/agent-studio/1/secret-keys", answer => answer.GetProperty("message").GetString()![..23], "Temporarily unavailable");
        await RefusedAsync("PUT", "/api/agents/agent_echo/dialect", answer => answer.GetProperty("status").GetRawText(), "503");
        Assert.True(await Flow.SessionTests.Eventually(() => postern.Audit().Count(row => row is { Name: "credential.refused", Reason: "ShuttingDown" }) == 5));
        Assert.DoesNotContain(postern.Audit(), row => row.Name == "credential.minted");

        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/health/live", Cancel)).StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await client.GetAsync("/health/ready", Cancel)).StatusCode);

        async Task RefusedAsync(string method, string path, Func<JsonElement, string?> word, string expected)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path);
            request.Headers.Add("Authorization", "Bearer " + TestPostern.Key);
            foreach (var slot in path.StartsWith("/v1/convai", StringComparison.Ordinal) ? ["xi-api-key"] : new[] { "CONVAI-API-KEY", "x-algolia-api-key" })
            {
                request.Headers.Add(slot, TestPostern.Key);
            }
            request.Headers.Add("x-algolia-application-id", "default");
            request.Content = method == "GET" ? null : TestPostern.Json("""{"kind":"signed_url","agent_id":"agent_echo","name":"new","conversation_config":{},"dialect":"xuna"}""");
            using var answer = await client.SendAsync(request, Cancel);
            var text = await answer.Content.ReadAsStringAsync(Cancel);
            Assert.True(answer.StatusCode == HttpStatusCode.ServiceUnavailable, $"{method} {path}: {(int)answer.StatusCode} {text}");
            Assert.Equal("1", Assert.Single(answer.Headers.GetValues("Retry-After")));
            Assert.Equal(expected, word(JsonElement.Parse(text)));
        }
    }
}
