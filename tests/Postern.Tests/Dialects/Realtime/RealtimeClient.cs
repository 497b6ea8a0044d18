using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;

namespace Postern.Tests.Dialects.Realtime;

/// <summary>A client of the realtime protocol over a real socket: events out, events in, in order.</summary>
internal sealed class RealtimeClient(ClientWebSocket socket) : IAsyncDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(15);

    public ClientWebSocket Socket => socket;

    public (int Code, string? Reason)? Closed { get; private set; }

    /// <summary>Mints a client secret; <paramref name="body"/> is JSON.</summary>
    public static async Task<string> MintAsync(TestPostern postern, string body = """{"agent_id":"agent_echo"}""") =>
        (await AnswerAsync(postern, body)).Body.GetProperty("value").GetString()!;

    /// <summary>What a mint route answers.</summary>
    public static async Task<(int Status, JsonElement Body)> AnswerAsync(
        TestPostern postern, string body, string path = "/v1/realtime/client_secrets", string? key = TestPostern.Key, params (string Name, string Value)[] headers)
    {
        using var client = new HttpClient { BaseAddress = new Uri(postern.Http) };
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        if (key is not null)
        {
            request.Headers.Add("Authorization", $"Bearer {key}");
        }
        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }
        using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
        return ((int)answer.StatusCode, await answer.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken));
    }

    /// <summary>Opens the WebSocket with a bearer or with subprotocols.</summary>
    public static async Task<RealtimeClient> ConnectAsync(TestPostern postern, string? bearer = null, string query = "", string? origin = null, params string[] protocols) =>
        await ConnectAsync(postern, bearer, query, origin, user: null, protocols);

    /// <summary>As above, naming the user as OpenAI's clients do.</summary>
    public static async Task<RealtimeClient> ConnectAsync(TestPostern postern, string? bearer, string query, string? origin, string? user, string[] protocols)
    {
        var socket = new ClientWebSocket();
        if (user is not null)
        {
            socket.Options.SetRequestHeader("OpenAI-Safety-Identifier", user);
        }
        if (bearer is not null)
        {
            socket.Options.SetRequestHeader("Authorization", $"Bearer {bearer}");
        }
        if (origin is not null)
        {
            socket.Options.SetRequestHeader("Origin", origin);
        }
        foreach (var protocol in protocols)
        {
            socket.Options.AddSubProtocol(protocol);
        }
        await socket.ConnectAsync(new Uri($"ws{postern.Http[4..]}/v1/realtime{query}"), TestContext.Current.CancellationToken);
        return new RealtimeClient(socket);
    }

    public Task SendAsync(string text) => socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, TestContext.Current.CancellationToken);

    /// <summary>Sends PCM16 at 24 kHz in pieces of a tenth of a second: a loud tone, then silence.</summary>
    public async Task SpeakAsync(double loudSeconds, double quietSeconds)
    {
        for (var at = 0; at < (loudSeconds + quietSeconds) * 10; at++)
        {
            var bytes = new byte[4800];
            for (var i = 0; i < 2400 && at < loudSeconds * 10; i++)
            {
                BitConverter.TryWriteBytes(bytes.AsSpan(2 * i), (short)(8000 * Math.Sin(i * 0.1)));
            }
            await SendAsync($$"""{"type":"input_audio_buffer.append","audio":"{{Convert.ToBase64String(bytes)}}"}""");
        }
    }

    /// <summary>The next event; null at the close, which <see cref="Closed"/> then tells.</summary>
    public async Task<JsonElement?> NextAsync() => await TextAsync() is { } text ? JsonElement.Parse(text) : null;

    /// <summary>The same to the letter.</summary>
    public async Task<string?> TextAsync()
    {
        using var time = new CancellationTokenSource(Longest);
        var message = new MemoryStream();
        var buffer = new byte[16 * 1024];
        while (true)
        {
            var result = await socket.ReceiveAsync(buffer, time.Token);
            if (result.MessageType == WebSocketMessageType.Close)
            {
                Closed = ((int)result.CloseStatus!.Value, result.CloseStatusDescription);
                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", time.Token);
                return null;
            }
            message.Write(buffer, 0, result.Count);
            if (result.EndOfMessage)
            {
                return Encoding.UTF8.GetString(message.ToArray());
            }
        }
    }

    /// <summary>All events up to one of this type, that one included.</summary>
    public async Task<List<JsonElement>> UntilAsync(string type)
    {
        var events = new List<JsonElement>();
        while (await NextAsync() is { } one)
        {
            events.Add(one);
            if (Type(one) == type)
            {
                return events;
            }
        }
        throw new InvalidDataException($"closed with {Closed} before {type}, after {string.Join(", ", events.Select(Type))}");
    }

    /// <summary>The one event of this type that is waited for.</summary>
    public async Task<JsonElement> OneAsync(string type) => (await UntilAsync(type))[^1];

    public static string Type(JsonElement one) => one.GetProperty("type").GetString()!;

    public ValueTask DisposeAsync()
    {
        socket.Dispose();
        return ValueTask.CompletedTask;
    }
}
