using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Postern.Tests.Dialects.ElevenLabs;

namespace Postern.Tests.Flow;

/// <summary>Who is let in and who is turned away, with real sockets.</summary>
public class ConnectTests
{
    private const string Unauthorized = "Could not authorize the conversation.";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("attack", "B1")]
    public async Task SignedUrl_ChangedInAnyPart_IsRefusedWithTheShortText()
    {
        await using var postern = await TestPostern.StartAsync();
        var url = await postern.SignedUrlAsync();
        var signature = url[(url.IndexOf("psu_", StringComparison.Ordinal) + 4)..];
        foreach (var at in new[] { 0, 10, signature.IndexOf('.', StringComparison.Ordinal) + 5, signature.Length - 20, signature.Length - 2 })
        {
            var changed = signature[..at] + (signature[at] == 'A' ? 'B' : 'A') + signature[(at + 1)..];
            Assert.Equal((3000, Unauthorized), await Refusal(url.Replace(signature, changed, StringComparison.Ordinal)));
        }
        Assert.Equal((3000, Unauthorized), await Refusal(url.Replace("agent_id=agent_echo", "agent_id=agent_other", StringComparison.Ordinal)));

        var once = await postern.SignedUrlAsync(more: "&include_conversation_id=true");
        foreach (var changed in new[] { once[..^1] + (once[^1] == 'A' ? 'B' : 'A'), once + "A", once[..(once.LastIndexOf('=') + 1)] })
        {
            Assert.Equal((3000, Unauthorized), await Refusal(changed));
        }
        using var unchanged = await Open(once);
        await SessionTests.Send(unchanged, SessionTests.Hello);
        Assert.Contains("conversation_initiation_metadata", await Text(unchanged), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("attack", "B8")]
    public async Task SignedUrl_AfterItsTime_IsRefusedWithTheReason()
    {
        await using var postern = await TestPostern.StartAsync();
        var url = await postern.SignedUrlAsync();
        postern.Clock.Advance(TimeSpan.FromMinutes(15) + TimeSpan.FromSeconds(1));
        Assert.Equal((3000, "Could not authorize the conversation: the signed URL has expired."), await Refusal(url));
    }

    [Fact]
    public async Task PrivateAgent_WithoutCredential_IsRefused()
    {
        await using var postern = await TestPostern.StartAsync();
        Assert.Equal((3000, Unauthorized), await Refusal(postern.Address("agent_id=agent_echo")));
        Assert.Equal((3000, "The AI agent you are trying to reach does not exist."), await Refusal(postern.Address("agent_id=agent_none")));
    }

    [Theory]
    [Trait("attack", "B7")]
    [InlineData("GET", 426)]
    [InlineData("HEAD", 405)]
    [InlineData("POST", 405)]
    public async Task PlainRequest_ToASignedUrl_IsNoUpgradeAndConsumesNothing(string method, int status)
    {
        await using var postern = await TestPostern.StartAsync();
        var url = await postern.SignedUrlAsync(more: "&include_conversation_id=true");
        using var request = new HttpRequestMessage(new HttpMethod(method), url.Replace("ws:", "http:", StringComparison.Ordinal));
        using var client = new HttpClient();
        using var answer = await client.SendAsync(request, Cancel);
        Assert.Equal((HttpStatusCode)status, answer.StatusCode);
        using var socket = await Open(url);
        Assert.Equal(WebSocketState.Open, socket.State);
    }

    [Theory]
    [Trait("attack", "B3")]
    [InlineData("/V1/convai/conversation")]
    [InlineData("/v1/convai/conversation/")]
    [InlineData("/v1/convai//conversation")]
    [InlineData("/v1/convai/x/../conversation")]
    [InlineData("/v1/convai/x/%2e%2e/conversation")]
    [InlineData("/v1/convai/%63onversation")]
    [InlineData("/v1/convai%2fconversation")]
    [InlineData("/v1/convai%5cconversation")]
    [InlineData("/v1/convai/%2563onversation")]
    public async Task Path_InAnotherSpelling_IsNoRoute(string path)
    {
        await using var postern = await TestPostern.StartAsync();
        var url = await postern.SignedUrlAsync();
        Assert.Equal(404, await UpgradeStatus(new Uri(postern.Http).Port, path + url[url.IndexOf('?', StringComparison.Ordinal)..]));
        var mint = path.Replace("onversation", "onversation/get-signed-url", StringComparison.Ordinal);
        Assert.Equal(404, await UpgradeStatus(new Uri(postern.Http).Port, mint + "?agent_id=agent_echo"));
    }

    [Fact]
    [Trait("attack", "B6")]
    public async Task SingleUseUrl_ClientGoneBeforeTheAnswer_StaysSpentAndIsRecorded()
    {
        await using var postern = await TestPostern.StartAsync();
        var url = await postern.SignedUrlAsync(more: "&include_conversation_id=true");
        using (var tcp = new System.Net.Sockets.TcpClient())
        {
            await tcp.ConnectAsync(IPAddress.Loopback, new Uri(postern.Http).Port, Cancel);
            await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes(Upgrade(new Uri(url).PathAndQuery)), Cancel);
            await AuditedAsync(postern, "session.started"); // what was sent before a reset may never be read
            tcp.LingerState = new System.Net.Sockets.LingerOption(true, 0); // a reset, as when a host dies; the answer was not looked at
        }
        await AuditedAsync(postern, "session.ended");
        Assert.Equal((3000, "Could not authorize the conversation: the signed URL was already used."), await Refusal(url));
    }

    [Fact]
    [Trait("attack", "C8")]
    public async Task Cookie_OfAnySession_OpensNoAgent()
    {
        await using var postern = await TestPostern.StartAsync();
        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Cookie", "postern-try=anything; __Host-postern-try=anything");
        socket.Options.SetRequestHeader("Origin", "https://evil.example");
        await socket.ConnectAsync(new Uri(postern.Address("agent_id=agent_echo")), Cancel);
        Assert.Equal(3000, (int)(await socket.ReceiveAsync(new byte[1024], Cancel)).CloseStatus!);
    }

    [Fact]
    public async Task SignedUrl_OverHttp2_HoldsAConversation()
    {
        await using var postern = await TestPostern.StartAsync(https: true);
        using var authority = System.Security.Cryptography.X509Certificates.X509CertificateLoader.LoadCertificateFromFile(Path.Combine(postern.Folder, "dev-ca.pem"));
        using var handler = new SocketsHttpHandler { SslOptions = { CertificateChainPolicy = TestCertificates.Trust(authority) } };
        using var http = new HttpClient(handler);
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{postern.Https}/v1/convai/conversation/get-signed-url?agent_id=agent_echo") { Headers = { { "xi-api-key", TestPostern.Key } } };
        using var minted = await http.SendAsync(request, Cancel);
        var url = JsonElement.Parse(await minted.Content.ReadAsStringAsync(Cancel)).GetProperty("signed_url").GetString()!;
        Assert.StartsWith("wss:", url, StringComparison.Ordinal);
        using var socket = new ClientWebSocket { Options = { HttpVersion = new Version(2, 0), HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact } };
        socket.Options.AddSubProtocol("convai");
        await socket.ConnectAsync(new Uri(url), http, Cancel);
        Assert.Equal("convai", socket.SubProtocol);

        using var client = new TalkClient(socket);
        await client.SayAsync(TalkClient.TextOpening);
        await client.MetadataAsync();
        await client.SayAsync("""{"type":"user_message","text":"by HTTP/2"}""");
        for (var i = 0; (await client.NextAsync()).ToString() is var heard && !heard.Contains("echo: by HTTP/2", StringComparison.Ordinal); i++)
        {
            Assert.True(i < 20, heard);
        }
        await client.HangUpAsync();
        Assert.Equal("done", (await postern.EndedAsync(client.ConversationId)).GetProperty("status").GetString());
    }

    private static async Task AuditedAsync(TestPostern postern, string name)
    {
        for (var i = 0; i < 400 && postern.Audit().All(row => row.Name != name); i++)
        {
            await Task.Delay(25, Cancel);
        }
        Assert.Single(postern.Audit(), row => row.Name == name);
    }

    private static string Upgrade(string target) =>
        $"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";

    private static async Task<int> UpgradeStatus(int port, string target)
    {
        using var tcp = new System.Net.Sockets.TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, port, Cancel);
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes(Upgrade(target)), Cancel);
        var buffer = new byte[1024];
        var count = await tcp.GetStream().ReadAsync(buffer, Cancel);
        return int.Parse(Encoding.ASCII.GetString(buffer, 9, Math.Min(3, count)), System.Globalization.CultureInfo.InvariantCulture);
    }

    internal static async Task<ClientWebSocket> Open(string url, string? origin = null, params string[] protocols)
    {
        var socket = new ClientWebSocket();
        foreach (var protocol in protocols)
        {
            socket.Options.AddSubProtocol(protocol);
        }
        if (origin is not null)
        {
            socket.Options.SetRequestHeader("Origin", origin);
        }
        await socket.ConnectAsync(new Uri(url), Cancel);
        return socket;
    }

    internal static async Task<(int Code, string? Reason)> Refusal(string url, string? origin = null, params string[] protocols)
    {
        using var socket = await Open(url, origin, ["convai", .. protocols]);
        Assert.Equal("convai", socket.SubProtocol);
        var result = await socket.ReceiveAsync(new byte[4096], Cancel);
        Assert.Equal(WebSocketMessageType.Close, result.MessageType);
        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", Cancel);
        return ((int)result.CloseStatus!.Value, result.CloseStatusDescription);
    }

    internal static async Task<string> Text(ClientWebSocket socket)
    {
        var buffer = new byte[64 * 1024];
        var result = await socket.ReceiveAsync(buffer, Cancel);
        return Encoding.UTF8.GetString(buffer, 0, result.Count);
    }
}
