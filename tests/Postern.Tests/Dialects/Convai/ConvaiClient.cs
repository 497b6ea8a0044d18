using System.Net.Http.Json;
using System.Text.Json;

namespace Postern.Tests.Dialects.Convai;

/// <summary>The vendor's calls against a server under test.</summary>
internal sealed class ConvaiClient(TestPostern postern) : IDisposable
{
    private readonly HttpClient http = new() { BaseAddress = new Uri(postern.Http), Timeout = TimeSpan.FromSeconds(20) };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async Task<(int Status, JsonElement Body)> PostAsync(string path, object? body, string? credential, string slot = "CONVAI-API-KEY")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = body as HttpContent ?? JsonContent.Create(body ?? new { }) };
        if (credential is not null)
        {
            request.Headers.TryAddWithoutValidation(slot, credential);
        }
        using var answer = await http.SendAsync(request, Cancel);
        var text = await answer.Content.ReadAsStringAsync(Cancel);
        return ((int)answer.StatusCode, text.StartsWith('{') ? JsonElement.Parse(text) : JsonSerializer.SerializeToElement(text));
    }

    /// <summary>A token, minted with the key.</summary>
    public async Task<string> TokenAsync(object? body = null)
    {
        var (status, minted) = await PostAsync("/user/connect", body, TestPostern.Key);
        Assert.Equal(200, status);
        return minted.GetProperty("apiAuthToken").GetString()!;
    }

    public Task<(int Status, JsonElement Body)> ChangeAsync(string verb, string token) => PostAsync($"/user/{verb}-token", new { apiAuthToken = token }, TestPostern.Key);

    /// <summary>A text turn; the status alone.</summary>
    public async Task<int> SayAsync(string token, string slot = "X-API-Key") =>
        (await PostAsync("/character/getResponse", new { userText = "hello", charID = "agent_echo" }, token, slot)).Status;

    /// <summary>Gives the demo agent a media server.</summary>
    public async Task ConfigureMediaAsync(string secret = "a-secret-of-the-media-server-of-32")
    {
        using var answer = await postern.Client.PutAsJsonAsync("/api/agents/agent_echo/media", new { url = "ws://127.0.0.1:7880", key = "devkey", secret }, Cancel);
        answer.EnsureSuccessStatusCode();
    }

    public void Dispose() => http.Dispose();
}
