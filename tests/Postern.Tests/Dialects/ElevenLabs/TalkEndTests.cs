using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Postern.Server;

namespace Postern.Tests.Dialects.ElevenLabs;

/// <summary>What ends a conversation from outside, and the limits that no client passes.</summary>
public class TalkEndTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task LongestDuration_IsSaidThenClosed()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern, """{"agent":{"max_conversation_duration_message":"Time is up after {{system__call_duration_secs}} s, {{unknown}}bye"},"conversation":{"max_duration_seconds":3}}""");
        var (code, reason, events) = await client.EndAsync();
        Assert.Equal((1000, "Max conversation duration reached"), (code, reason));
        Assert.Equal(
            [
                """{"type":"agent_response","agent_response_event":{"agent_response":"Time is up after 3 s, bye","event_id":2}}""",
                """{"type":"error","error_event":{"code":1000,"error_type":"max_duration_exceeded","message":"Max conversation duration reached"}}""",
            ], events.Select(e => System.Text.RegularExpressions.Regex.Replace(e.GetRawText(), @"after \d+ s", "after 3 s"))); // a machine that stands still says more
        var conversation = await postern.EndedAsync(client.ConversationId);
        Assert.Equal("done", conversation.GetProperty("status").GetString());
        Assert.Equal("Max conversation duration reached", conversation.GetProperty("metadata").GetProperty("termination_reason").GetString());
    }

    [Fact]
    public async Task LongestDuration_ShortenedByTheClient_Holds()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern,
            opening: """{"type":"conversation_initiation_client_data","conversation_config_override":{"conversation":{"max_duration_seconds":3}}}""",
            settings: """{"overrides":{"conversation_config_override":{"conversation":{"max_duration_seconds":true}}}}""");
        Assert.Equal((1000, "Max conversation duration reached"), Two(await client.EndAsync()));
    }

    [Fact]
    [Trait("attack", "B15")]
    public async Task LongestDuration_LengthenedByTheClient_StaysTheAgents()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern, """{"conversation":{"max_duration_seconds":3}}""",
            """{"type":"conversation_initiation_client_data","conversation_config_override":{"conversation":{"max_duration_seconds":3600}}}""",
            """{"overrides":{"conversation_config_override":{"conversation":{"max_duration_seconds":true}}}}""");
        Assert.Equal((1000, "Max conversation duration reached"), Two(await client.EndAsync()));
    }

    [Fact]
    public async Task LongestDuration_ClientLeavesOnTheEvent_IsAnswered()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern, """{"conversation":{"max_duration_seconds":3}}""");
        await client.NextAsync("error");
        await client.HangUpAsync();
        Assert.Equal(WebSocketCloseStatus.NormalClosure, client.Socket.CloseStatus);
        Assert.Equal("Max conversation duration reached", (await postern.EndedAsync(client.ConversationId)).GetProperty("metadata").GetProperty("termination_reason").GetString());
    }

    [Theory]
    [Trait("attack", "C13")]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Text_ThatIsNotUtf8_IsClosedByItsOwnCode(bool opened)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = opened ? await TalkClient.OpenAsync(postern) : await TalkClient.ConnectAsync(await postern.SignedUrlAsync());
        await client.Socket.SendAsync(new byte[] { (byte)'"', 0xC3, (byte)'"' }, WebSocketMessageType.Text, true, Cancel);
        Assert.Equal((1007, "A text message is not UTF-8."), Two(await client.EndAsync()));
    }

    [Fact]
    public async Task Operator_EndsTheConversation_WithEventAndClose()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern);
        using var answer = await postern.Client.PostAsync($"/api/sessions/{client.ConversationId}/end", null, Cancel);
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        await AssertEndAsync(client, 1008, 1008, "permission_error", "The session was ended by an operator.");
    }

    [Fact]
    public async Task DeletedAgent_EndsItsConversations()
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await TalkClient.CreateAgentAsync(postern);
        using var client = await TalkClient.ConnectAsync(await postern.SignedUrlAsync(agent));
        await client.SayAsync(TalkClient.Opening);
        await client.MetadataAsync();
        using var answer = await postern.Client.DeleteAsync($"/v1/convai/agents/{agent}", Cancel);
        await AssertEndAsync(client, 1008, 1008, "permission_error", "Access was revoked.");
    }

    [Fact]
    public async Task Shutdown_IsToldAndLosesNothingSaid()
    {
        var folder = System.IO.Directory.CreateTempSubdirectory("postern-test-").FullName;
        PosternOptions Options(string _, bool https) => TestPostern.Options(folder, https);
        string id;
        var postern = await TestPostern.StartAsync(Options);
        using (var client = await TalkClient.OpenAsync(postern))
        {
            id = client.ConversationId;
            for (var i = 0; i < 20; i++)
            {
                await client.SayAsync($$"""{"type":"user_message","text":"{{i}}"}""");
            }
            for (var i = 0; i < 20; i++)
            {
                await client.AnswerAsync();
            }
            var stopping = postern.DisposeAsync();
            await AssertEndAsync(client, 1001, 1011, "system_error", "The server is shutting down.");
            await stopping;
        }
        await using var again = await TestPostern.StartAsync(Options);
        var conversation = await again.EndedAsync(id);
        Assert.Equal(40, conversation.GetProperty("transcript").GetArrayLength());
        System.IO.Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Silence_OfBothSides_EndsTheConversation()
    {
        await using var postern = await StartAsync(sessions => sessions.Idle = TimeSpan.FromSeconds(3));
        using var client = await TalkClient.OpenAsync(postern);
        await AssertEndAsync(client, 1002, 1002, "transport_receive_timeout", "Nothing was heard for too long.");
    }

    [Fact]
    [Trait("attack", "C13")]
    public async Task Message_LargerThanTheLimit_Ends()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern);
        var frame = new byte[30_000];
        frame.AsSpan().Fill((byte)' ');
        for (var i = 0; i < 3; i++)
        {
            await client.Socket.SendAsync(frame, WebSocketMessageType.Text, false, Cancel);
        }
        await AssertEndAsync(client, 1009, 1002, "invalid_message", "A message was larger than this server takes.");
    }

    [Fact]
    [Trait("attack", "C13")]
    public async Task Message_AsLargeAsTheLimit_IsTaken()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = await TalkClient.OpenAsync(postern);
        var text = new string('a', 65536 - """{"type":"user_message","text":""}""".Length);
        await client.SayAsync($$"""{"type":"user_message","text":"{{text}}"}""");
        Assert.Equal("echo: " + text, (await client.AnswerAsync()).Text);
    }

    [Theory]
    [Trait("attack", "C13")]
    [InlineData("""{"type":"user_activity"}""", true)]
    [InlineData(" ", false)]
    [InlineData("", false)]
    public async Task Frames_MoreThanTheLimitInASecond_End(string frame, bool whole)
    {
        await using var postern = await StartAsync(sessions => sessions.MaxFramesPerSecond = 20);
        using var client = await TalkClient.OpenAsync(postern);
        try
        {
            await client.SayAsync("""{"type":"user_activity"}""");
            for (var i = 0; i < 60; i++)
            {
                await client.Socket.SendAsync(Encoding.UTF8.GetBytes(frame), WebSocketMessageType.Text, whole, Cancel);
            }
        }
        catch (WebSocketException)
        {
            // Already cut off.
        }
        Assert.Equal(1008, (await client.EndAsync()).Code);
    }

    public static TheoryData<string, byte[], int> BrokenFrames => new()
    {
        { "not masked", [0x81, 0x02, 0x68, 0x69], 1002 },
        { "reserved bit", [0xc1, 0x80, 0, 0, 0, 0], 1002 },
        { "unknown opcode", [0x83, 0x80, 0, 0, 0, 0], 1002 },
        { "fragmented ping", [0x09, 0x80, 0, 0, 0, 0], 1002 },
        { "continuation of nothing", [0x80, 0x80, 0, 0, 0, 0], 1002 },
        { "length beyond all limits", [0x81, 0xff, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009 },
        { "close code that may not be used", [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed], 1002 },
        { "pings without end", [.. Enumerable.Repeat((byte[])[0x89, 0x80, 0, 0, 0, 0], 300).SelectMany(ping => ping)], 1008 },
        { "fragments of nothing", [0x01, 0x80, 0, 0, 0, 0, .. Enumerable.Repeat((byte[])[0x00, 0x80, 0, 0, 0, 0], 300).SelectMany(ping => ping)], 1008 },
    };

    [Theory]
    [Trait("attack", "C13")]
    [MemberData(nameof(BrokenFrames))]
    public async Task BrokenFrame_EndsInTheProtocolsCode(string what, byte[] frames, int code)
    {
        await using var postern = await TestPostern.StartAsync();
        using var raw = await RawAsync(postern);
        await raw.GetStream().WriteAsync(frames, Cancel);
        var end = await ReadToEndAsync(raw);
        var close = end.AsSpan().LastIndexOf((ReadOnlySpan<byte>)[(byte)(code >> 8), (byte)code]);
        Assert.True(close >= 2 && end[close - 2] == 0x88 && end[close - 1] == end.Length - close, $"{what}: no close frame with {code} at the end");
    }

    [Fact]
    [Trait("attack", "C15")]
    public async Task ClientThatDoesNotRead_IsCutOff()
    {
        await using var postern = await StartAsync(sessions => (sessions.SlowReader, sessions.MaxFramesPerSecond) = (TimeSpan.FromSeconds(1), 100_000));
        using var raw = await RawAsync(postern);
        var text = Encoding.UTF8.GetBytes($$"""{"type":"user_message","text":"{{new string('a', 60_000)}}"}""");
        var frame = (byte[])[0x81, 0xfe, (byte)(text.Length >> 8), (byte)text.Length, 0, 0, 0, 0, .. text];
        var since = System.Diagnostics.Stopwatch.GetTimestamp();
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (System.Diagnostics.Stopwatch.GetElapsedTime(since) < TimeSpan.FromSeconds(20))
            {
                await raw.GetStream().WriteAsync(frame, Cancel);
            }
        });
        using var list = JsonDocument.Parse(await postern.Client.GetStringAsync("/v1/convai/conversations", Cancel));
        var conversation = await postern.EndedAsync(list.RootElement.GetProperty("conversations")[0].GetProperty("conversation_id").GetString()!);
        Assert.Equal("SlowReader", conversation.GetProperty("metadata").GetProperty("termination_reason").GetString());
    }

    private static (int, string) Two((int Code, string Reason, List<JsonElement>) end) => (end.Code, end.Reason);

    private static async Task AssertEndAsync(TalkClient client, int code, int eventCode, string type, string text)
    {
        var (closed, reason, events) = await client.EndAsync();
        Assert.Equal((code, text), (closed, reason));
        Assert.Equal($$$"""{"type":"error","error_event":{"code":{{{eventCode}}},"error_type":"{{{type}}}","message":"{{{text}}}"}}""", Assert.Single(events).GetRawText());
    }

    private static Task<TestPostern> StartAsync(Action<SessionOptions> change) =>
        TestPostern.StartAsync((folder, https) => OpeningTests.With(TestPostern.Options(folder, https), options => change(options.Sessions)));

    // A client that keeps no rule of the platform's: the opening by hand, the first message, then whatever the test writes.
    private static async Task<TcpClient> RawAsync(TestPostern postern)
    {
        var url = new Uri(await postern.SignedUrlAsync());
        var tcp = new TcpClient { ReceiveBufferSize = 4096 };
        await tcp.ConnectAsync(url.Host, url.Port, Cancel);
        var request = $"GET {url.PathAndQuery} HTTP/1.1\r\nHost: {url.Authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes(request), Cancel);
        var opening = Encoding.UTF8.GetBytes(TalkClient.TextOpening);
        await tcp.GetStream().WriteAsync((byte[])[0x81, 0xfe, 0, (byte)opening.Length, 0, 0, 0, 0, .. opening], Cancel);
        return tcp;
    }

    private static async Task<byte[]> ReadToEndAsync(TcpClient tcp)
    {
        using var time = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        time.CancelAfter(TimeSpan.FromSeconds(10));
        using var all = new MemoryStream();
        await tcp.GetStream().CopyToAsync(all, time.Token);
        return all.ToArray();
    }
}
