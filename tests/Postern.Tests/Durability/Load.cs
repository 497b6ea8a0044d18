using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Postern.Core.Credentials;

namespace Postern.Tests.Durability;

/// <summary>
/// Clients that mint, are refused, open sessions with single-use URLs and ask for their end, create, change and delete agents, tokens and
/// keys until their server dies, and note what it acknowledged.
/// </summary>
internal sealed class Load(string address, Journal journal, CancellationToken stop)
{
    private static int steps;
    private static readonly byte[] Opening = """{"type":"conversation_initiation_client_data"}"""u8.ToArray();

    /// <summary>Ends when the server is gone; returns answers that a server must not give.</summary>
    public async Task<List<string>> RunAsync()
    {
        using var client = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 32 }) { BaseAddress = new Uri(address), Timeout = TimeSpan.FromSeconds(10) };
        client.DefaultRequestHeaders.Add("xi-api-key", ServerProcess.Key);
        var wrong = await Task.WhenAll(
            Enumerable.Repeat<Func<HttpClient, Task>>(MintAsync, 6).Concat(Enumerable.Repeat(RedeemAsync, 4)).Concat(Enumerable.Repeat(CreateAsync, 2)).Concat([RefusedAsync, TokenAsync, UserTokenKeyAsync])
                .Select(step => Task.Run(() => RepeatAsync(step, client))));
        return [.. wrong.OfType<string>()];
    }

    private async Task<string?> RepeatAsync(Func<HttpClient, Task> step, HttpClient client)
    {
        try
        {
            while (!stop.IsCancellationRequested)
            {
                await step(client);
            }
            return null;
        }
        catch (Exception e) when (e is WebSocketException or SocketException or IOException or OperationCanceledException or HttpRequestException { StatusCode: null })
        {
            return null; // killed meanwhile: nothing was acknowledged
        }
        catch (Exception e)
        {
            return e.ToString();
        }
    }

    private async Task MintAsync(HttpClient client)
    {
        var answer = await client.GetFromJsonAsync<JsonElement>("/v1/convai/conversation/get-signed-url?agent_id=agent_echo", stop);
        journal.Note(("mint", CredentialId(answer)));
    }

    private async Task RedeemAsync(HttpClient client)
    {
        var answer = await client.GetFromJsonAsync<JsonElement>("/v1/convai/conversation/get-signed-url?agent_id=agent_echo&include_conversation_id=true", stop);
        var (url, credential) = (answer.GetProperty("signed_url").GetString()!, CredentialId(answer));
        journal.Note(("mint", credential));
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(new Uri(url), stop);
        await socket.SendAsync(Opening, WebSocketMessageType.Text, true, stop);
        var buffer = new byte[16384];
        var received = await socket.ReceiveAsync(buffer, stop);
        if (received.MessageType == WebSocketMessageType.Close)
        {
            throw new InvalidOperationException($"A fresh URL was refused: {socket.CloseStatus} {socket.CloseStatusDescription}");
        }
        if (!Encoding.UTF8.GetString(buffer, 0, received.Count).Contains(answer.GetProperty("conversation_id").GetString()!, StringComparison.Ordinal))
        {
            throw new InvalidOperationException("The first frame does not name the conversation: " + Encoding.UTF8.GetString(buffer, 0, received.Count));
        }
        journal.Note(("redemption", credential), ("session", answer.GetProperty("conversation_id").GetString()!), ("used", url));
        if (Interlocked.Increment(ref steps) % 2 == 0)
        {
            await SendAsync(client, HttpMethod.Post, $"/api/sessions/{answer.GetProperty("conversation_id")}/end");
            journal.Note(("asked end", answer.GetProperty("conversation_id").GetString()!));
        }
    }

    private async Task CreateAsync(HttpClient client)
    {
        const string Agent = """{"name":"made under load","conversation_config":{}}""";
        var kept = (await SendAsync(client, HttpMethod.Post, "/v1/convai/agents/create", Agent)).GetProperty("agent_id").GetString()!;
        journal.Note(("agent", kept));
        await SendAsync(client, HttpMethod.Patch, $"/v1/convai/agents/{kept}", """{"name":"changed under load"}""");
        journal.Note(("changed agent", kept));
        var other = (await SendAsync(client, HttpMethod.Post, "/v1/convai/agents/create", Agent)).GetProperty("agent_id").GetString()!;
        await SendAsync(client, HttpMethod.Delete, $"/v1/convai/agents/{other}");
        journal.Note(("deleted agent", other));
    }

    // Not too many in a second: a flood is counted, not listed.
    private async Task RefusedAsync(HttpClient client)
    {
        var agent = $"agent_none{Interlocked.Increment(ref steps)}x{Environment.TickCount64}";
        using var answer = await client.GetAsync($"/v1/convai/conversation/get-signed-url?agent_id={agent}", stop);
        if (answer.StatusCode == HttpStatusCode.NotFound)
        {
            journal.Note(("refused mint", agent));
        }
        await Task.Delay(20, stop);
    }

    private async Task TokenAsync(HttpClient client)
    {
        var id = (await SendAsync(client, HttpMethod.Post, "/v1/credentials", """{"kind":"personal_access_token","dynamic_variables":{"name":"Ada"}}""")).GetProperty("id").GetString()!;
        journal.Note(("token", id));
        await SendAsync(client, HttpMethod.Post, $"/v1/credentials/{id}/extend");
        journal.Note(("extended token", id));
        await SendAsync(client, HttpMethod.Post, $"/v1/credentials/{id}/revoke");
        journal.Note(("revoked token", id));
    }

    private async Task UserTokenKeyAsync(HttpClient client)
    {
        const string Keys = "/agent-studio/1/secret-keys";
        journal.Note(("user-token key", (await SendAsync(client, HttpMethod.Post, Keys, """{"name":"kept"}""")).GetProperty("id").GetString()!));
        var other = (await SendAsync(client, HttpMethod.Post, Keys, """{"name":"not kept"}""")).GetProperty("id").GetString()!;
        await SendAsync(client, HttpMethod.Delete, $"{Keys}/{other}");
        journal.Note(("deleted user-token key", other));
    }

    private async Task<JsonElement> SendAsync(HttpClient client, HttpMethod method, string path, string? body = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Add("x-algolia-application-id", "default");
        request.Headers.Add("x-algolia-api-key", ServerProcess.Key);
        using var answer = await client.SendAsync(request, stop);
        var text = await answer.Content.ReadAsStringAsync(stop);
        return !answer.IsSuccessStatusCode ? throw new InvalidOperationException($"{method} {path}: {answer.StatusCode} {text}") : text.Length > 0 ? JsonElement.Parse(text) : default;
    }

    // The public id inside a signed URL; the test reads it without trust.
    private static string CredentialId(JsonElement answer)
    {
        var url = answer.GetProperty("signed_url").GetString()!;
        var payload = new byte[4096];
        Base64Text.TryDecode(Encoding.ASCII.GetBytes(url.Split('.')[^2]), payload, out var length);
        return JsonElement.Parse(payload.AsSpan(0, length)).GetProperty("jti").GetString()!;
    }
}
