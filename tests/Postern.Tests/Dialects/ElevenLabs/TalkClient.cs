using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;

namespace Postern.Tests.Dialects.ElevenLabs;

/// <summary>A raw client of the conversation WebSocket: says what it is told to and hands out what comes.</summary>
internal sealed class TalkClient(ClientWebSocket socket) : IDisposable
{
    public const string Opening = """{"type":"conversation_initiation_client_data","conversation_config_override":{"agent":{},"tts":{},"conversation":{}},"source_info":{"source":"js_sdk","version":"1.25.0"}}""";
    public const string TextOpening = """{"type":"conversation_initiation_client_data","conversation_config_override":{"agent":{},"tts":{},"conversation":{"text_only":true}}}""";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    /// <summary>Pings are answered on the way, as every SDK does.</summary>
    public bool AnswersPings { get; init; } = true;

    public string ConversationId { get; private set; } = "";

    public ClientWebSocket Socket => socket;

    /// <summary>Connects and says nothing yet.</summary>
    public static async Task<TalkClient> ConnectAsync(string url)
    {
        var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("convai");
        await socket.ConnectAsync(new Uri(url), TestContext.Current.CancellationToken);
        return new TalkClient(socket);
    }

    /// <summary>Connects to a new agent, opens, and has read the metadata.</summary>
    public static async Task<TalkClient> OpenAsync(TestPostern postern, string config = "{}", string opening = Opening, string settings = "{}")
    {
        var client = await ConnectAsync(await postern.SignedUrlAsync(await CreateAgentAsync(postern, config, settings)));
        await client.SayAsync(opening);
        await client.MetadataAsync();
        return client;
    }

    public static async Task<string> CreateAgentAsync(TestPostern postern, string config = "{}", string settings = "{}")
    {
        var body = JsonContent.Create(JsonDocument.Parse($$"""{"name":"t","conversation_config":{{config}},"platform_settings":{{settings}}}""").RootElement);
        using var answer = await postern.Client.PostAsync("/v1/convai/agents/create", body, TestContext.Current.CancellationToken);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        return (await answer.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken)).GetProperty("agent_id").GetString()!;
    }

    public Task SayAsync(string text) => socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, TestContext.Current.CancellationToken);

    /// <summary>Sends sound in pieces of 32 ms, as the browser SDK does.</summary>
    public async Task SoundAsync(byte[] sound, bool newForm = false)
    {
        foreach (var (i, piece) in sound.Chunk(1024).Index())
        {
            var base64 = Convert.ToBase64String(piece);
            await SayAsync(newForm ? $$$"""{"type":"audio","audio_event":{"audio_base_64":"{{{base64}}}"}}""" : $$"""{"user_audio_chunk":"{{base64}}"}""");
            if (i % 16 == 15) await Task.Delay(1, TestContext.Current.CancellationToken); // a second's pause would end the utterance
        }
    }

    /// <summary>The next event; pings are left out.</summary>
    public async Task<JsonElement> NextAsync()
    {
        while (true)
        {
            var (text, close) = await ReceiveAsync();
            Assert.True(text is not null, $"closed: {close}");
            var json = JsonDocument.Parse(text).RootElement;
            if (json.GetProperty("type").GetString() != "ping" || !AnswersPings)
            {
                return json;
            }
            await SayAsync($$"""{"type":"pong","event_id":{{json.GetProperty("ping_event").GetProperty("event_id").GetInt64()}}}""");
        }
    }

    /// <summary>The next event, which is of this type: its payload.</summary>
    public async Task<JsonElement> NextAsync(string type)
    {
        var json = await NextAsync();
        Assert.True(json.GetProperty("type").GetString() == type, json.ToString());
        return json.EnumerateObject().Single(member => member.Name != "type").Value;
    }

    /// <summary>Reads the metadata, which come first.</summary>
    public async Task<JsonElement> MetadataAsync()
    {
        var metadata = await NextAsync("conversation_initiation_metadata");
        ConversationId = metadata.GetProperty("conversation_id").GetString()!;
        return metadata;
    }

    /// <summary>Reads an answer with its parts; all of them carry one id.</summary>
    public async Task<(string Text, long Id)> AnswerAsync()
    {
        var ids = new HashSet<long>();
        foreach (var kind in new[] { "start", "delta", "stop" })
        {
            var part = await NextAsync("agent_chat_response_part");
            Assert.Equal(kind, part.GetProperty("type").GetString());
            ids.Add(part.GetProperty("event_id").GetInt64());
        }
        var answer = await NextAsync("agent_response");
        ids.Add(answer.GetProperty("event_id").GetInt64());
        return (answer.GetProperty("agent_response").GetString()!, Assert.Single(ids));
    }

    /// <summary>Reads on to the close; every event before it is handed out.</summary>
    public async Task<(int Code, string Reason, List<JsonElement> Events)> EndAsync()
    {
        var events = new List<JsonElement>();
        while (true)
        {
            var (text, close) = await ReceiveAsync();
            if (text is null)
            {
                if (socket.State == WebSocketState.CloseReceived)
                {
                    await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, TestContext.Current.CancellationToken);
                }
                return (close!.Value.Code, close.Value.Reason, events);
            }
            var json = JsonDocument.Parse(text).RootElement;
            if (json.GetProperty("type").GetString() != "ping")
            {
                events.Add(json);
            }
        }
    }

    /// <summary>Hangs up as the SDK does, and waits until the server has answered.</summary>
    public async Task HangUpAsync()
    {
        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "User ended conversation", TestContext.Current.CancellationToken);
        while (socket.State == WebSocketState.CloseSent)
        {
            await ReceiveAsync();
        }
    }

    public async Task<(string? Text, (int Code, string Reason)? Close)> ReceiveAsync()
    {
        using var time = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        time.CancelAfter(Patience);
        var buffer = new byte[256 * 1024];
        for (var count = 0; ;)
        {
            var result = await socket.ReceiveAsync(buffer.AsMemory(count), time.Token);
            if (result.MessageType == WebSocketMessageType.Close)
            {
                return (null, ((int)socket.CloseStatus!.Value, socket.CloseStatusDescription ?? ""));
            }
            Assert.Equal(WebSocketMessageType.Text, result.MessageType);
            count += result.Count;
            if (result.EndOfMessage)
            {
                return (Encoding.UTF8.GetString(buffer, 0, count), null);
            }
        }
    }

    public void Dispose() => socket.Dispose();
}

internal static class Conversations
{
    /// <summary>The stored conversation, once it has ended.</summary>
    public static async Task<JsonElement> EndedAsync(this TestPostern postern, string id)
    {
        for (var attempt = 0; ; attempt++)
        {
            using var answer = await postern.Client.GetAsync($"/v1/convai/conversations/{id}", TestContext.Current.CancellationToken);
            if (answer.IsSuccessStatusCode)
            {
                var json = await answer.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken);
                if (json.GetProperty("status").GetString() is "done" or "failed")
                {
                    return json;
                }
            }
            Assert.True(attempt < 100, "the conversation has not ended");
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
    }
}
