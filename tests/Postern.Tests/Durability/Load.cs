using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Postern.Core.Credentials;

namespace Postern.Tests.Durability;

/// <summary>Clients that mint, open sessions with single-use URLs and create agents until their server dies, and note what it acknowledged.</summary>
internal sealed class Load(string address, Journal journal, CancellationToken stop)
{
    private static readonly byte[] Opening = """{"type":"conversation_initiation_client_data"}"""u8.ToArray();

    /// <summary>Ends when the server is gone; returns answers that a server must not give.</summary>
    public async Task<List<string>> RunAsync()
    {
        using var client = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 32 }) { BaseAddress = new Uri(address), Timeout = TimeSpan.FromSeconds(10) };
        client.DefaultRequestHeaders.Add("xi-api-key", ServerProcess.Key);
        var wrong = await Task.WhenAll(
            Enumerable.Repeat<Func<HttpClient, Task>>(MintAsync, 6).Concat(Enumerable.Repeat(RedeemAsync, 4)).Concat(Enumerable.Repeat(CreateAsync, 2))
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
    }

    private async Task CreateAsync(HttpClient client)
    {
        using var body = new StringContent("""{"name":"made under load","conversation_config":{}}""", Encoding.UTF8, "application/json");
        using var answer = await client.PostAsync("/v1/convai/agents/create", body, stop);
        if (answer.StatusCode != HttpStatusCode.OK)
        {
            throw new InvalidOperationException($"{answer.StatusCode} {await answer.Content.ReadAsStringAsync(stop)}");
        }
        journal.Note(("agent", (await answer.Content.ReadFromJsonAsync<JsonElement>(stop)).GetProperty("agent_id").GetString()!));
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
