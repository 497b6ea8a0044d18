using System.Net.WebSockets;
using System.Reflection;
using System.Text;
using Microsoft.AspNetCore.Http;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

public class WebSocketHandshakeTests
{
    private const string Lines = "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    public static TheoryData<string, int> Malformed => new()
    {
        { "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426 },
        { "GET / HTTP/1.1\r\n" + Lines.Replace("Upgrade: websocket\r\n", "", StringComparison.Ordinal) + "\r\n", 426 },
        { "GET / HTTP/1.1\r\n" + Lines.Replace("Connection: Upgrade", "Connection: keep-alive", StringComparison.Ordinal) + "\r\n", 426 },
        { "GET / HTTP/1.1\r\n" + Lines.Replace("websocket", "h2c", StringComparison.Ordinal) + "\r\n", 400 },
        { "GET / HTTP/1.1\r\n" + Lines.Replace("websocket", "websocket, h2c", StringComparison.Ordinal) + "\r\n", 400 },
        { "GET / HTTP/1.1\r\n" + Lines + "Upgrade: websocket\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" + Lines.Replace("13", "8", StringComparison.Ordinal) + "\r\n", 426 },
        { "GET / HTTP/1.1\r\n" + Lines.Replace("13", "13, 8", StringComparison.Ordinal) + "\r\n", 426 },
        { "GET / HTTP/1.1\r\n" + Lines + "Sec-WebSocket-Version: 13\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" + Lines.Replace("Sec-WebSocket-Version: 13\r\n", "", StringComparison.Ordinal) + "\r\n", 426 },
        { "GET / HTTP/1.1\r\n" + Lines.Replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", StringComparison.Ordinal) + "\r\n", 400 },
        { "GET / HTTP/1.1\r\n" + Lines.Replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j", StringComparison.Ordinal) + "\r\n", 400 },
        { "GET / HTTP/1.1\r\n" + Lines.Replace("jZQ==", "jZR==", StringComparison.Ordinal) + "\r\n", 400 },
        { "GET / HTTP/1.1\r\n" + Lines.Replace("jZQ==", "jZQA=", StringComparison.Ordinal) + "\r\n", 400 },
        { "GET / HTTP/1.1\r\n" + Lines.Replace("dGhl", "dG-l", StringComparison.Ordinal) + "\r\n", 400 },
        { "GET / HTTP/1.1\r\n" + Lines + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" + Lines + "Origin: https://a\r\nOrigin: https://b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" + Lines + "Authorization: a\r\nAuthorization: b\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" + Lines + "Sec-WebSocket-Protocol: a b\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\n" + Lines + "\r\n", 405 },
        { "HEAD / HTTP/1.1\r\n" + Lines + "\r\n", 405 },
        { "OPTIONS / HTTP/1.1\r\n" + Lines + "\r\n", 405 },
        { "GET / HTTP/1.1\r\n" + Lines + "Content-Length: 5\r\n\r\nhello", 400 },
        { "GET / HTTP/1.1\r\n" + Lines + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
        { "GET / HTTP/1.0\r\n" + Lines + "\r\n", 400 },
    };

    [Theory]
    [Trait("attack", "C10")]
    [MemberData(nameof(Malformed))]
    public async Task Check_NoWellFormedOpening_IsAnsweredByStatusAndNothingIsDialled(string request, int status)
    {
        await using var upstream = new StubUpstream();
        var taking = upstream.TakeAsync();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        await using var client = await Wire.DialAsync(host.Port);
        // What follows a failed upgrade must not be served as a request of its own (C12).
        await client.SendAsync(Encoding.ASCII.GetBytes(request + Wire.Opening()));

        var answer = Encoding.Latin1.GetString(await client.ReadToEndAsync());
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        Assert.Equal(1, answer.Split("\r\nDate: ").Length - 1);
        if (status == 426) Assert.Contains("Sec-WebSocket-Version: 13\r\n", answer, StringComparison.Ordinal);
        Assert.False(taking.IsCompleted);
        await upstream.DisposeAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => taking);
    }

    [Fact]
    [Trait("attack", "C12")]
    public async Task Frames_SentBeforeTheAnswer_ArriveOnce()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        var early = Wire.Bytes(Opcode.Text, "early"u8);
        var opening = Wire.OpenAsync(host.Port, behind: early);
        await using var agent = await upstream.OpenAsync(behind: Wire.Bytes(Opcode.Text, "too"u8, masked: false));
        await using var client = await opening;
        await client.SendAsync("late", masked: true);

        Assert.Equal(early, await agent.ReadAsync(early.Length));
        Assert.Equal("late", (await agent.ReadFrameAsync())!.Value.Text);
        Assert.Equal("too", (await client.ReadFrameAsync())!.Value.Text);
    }

    [Fact]
    [Trait("attack", "C14")]
    public async Task Extensions_Offered_AreNeverAgreed()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        await using var client = await Wire.DialAsync(host.Port);
        await client.SendAsync(Encoding.ASCII.GetBytes(Wire.Opening("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")));
        var head = await client.ReadHeadAsync();
        await using var agent = await upstream.OpenAsync();

        Assert.StartsWith("HTTP/1.1 101 ", head, StringComparison.Ordinal);
        Assert.Contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", head, StringComparison.Ordinal);
        Assert.DoesNotContain("Extensions", head, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Extensions", upstream.Request, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Sec-WebSocket-Protocol", head, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [Trait("attack", "C9")]
    [InlineData("convai", "convai")]
    [InlineData("convai, bearer.abc", "convai|bearer.abc")]
    [InlineData(" convai\t,bearer.a-b_c~ ", "convai|bearer.a-b_c~")]
    [InlineData("convai,", null)]
    [InlineData(",", null)]
    [InlineData("", null)]
    [InlineData("a b", null)]
    [InlineData("a/b", null)]
    [InlineData("a\u00e9", null)]
    [InlineData("\"a\"", null)]
    [InlineData("a, a", null)]
    [InlineData("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", null)]
    public void OfferedProtocols_List_IsSplitOrRefused(string header, string? expected)
    {
        var context = new DefaultHttpContext();
        context.Request.Headers.SecWebSocketProtocol = header;
        Assert.Equal(expected, WebSocketHandshake.OfferedProtocols(context) is { } offered ? string.Join('|', offered) : null);
    }

    [Fact]
    [Trait("attack", "C9")]
    public void OfferedProtocols_SeveralLinesOrTooLong_AreJoinedOrRefused()
    {
        var context = new DefaultHttpContext();
        Assert.Equal([], WebSocketHandshake.OfferedProtocols(context)!);
        context.Request.Headers.SecWebSocketProtocol = new(["convai", "bearer.x"]);
        Assert.Equal(["convai", "bearer.x"], WebSocketHandshake.OfferedProtocols(context)!);
        context.Request.Headers.SecWebSocketProtocol = new string('a', 64 * 1024);
        Assert.Null(WebSocketHandshake.OfferedProtocols(context));
    }

    [Fact]
    public async Task Http2_ExtendedConnectOverTls_IsRelayedWithCloseAndSubprotocol()
    {
        using var root = TestCertificates.Root();
        using var certificate = TestCertificates.Server(root, "localhost");
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url, certificate: certificate);
        using var handler = new SocketsHttpHandler();
        handler.SslOptions.CertificateChainPolicy = TestCertificates.Trust(root);
        using var invoker = new HttpMessageInvoker(handler);
        using var client = new ClientWebSocket();
        client.Options.HttpVersion = new Version(2, 0);
        client.Options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        client.Options.AddSubProtocol("convai");
        var cancellation = TestContext.Current.CancellationToken;
        var connecting = client.ConnectAsync(new Uri($"wss://localhost:{host.TlsPort}/"), invoker, cancellation);
        await using var agent = await upstream.OpenAsync();
        await connecting;
        Assert.Equal("convai", client.SubProtocol);

        var buffer = new byte[256 * 1024];
        foreach (var size in new[] { 1, 200, 5_000, 200_000 })
        {
            var sent = new Dice((ulong)size).Bytes(size);
            await client.SendAsync(sent, WebSocketMessageType.Binary, true, cancellation);
            var frame = await agent.ReadFrameAsync();
            Assert.Equal(sent, frame!.Value.Payload);
            await agent.SendAsync(Opcode.Binary, sent, masked: false);
            var got = 0;
            for (var more = true; more;)
            {
                var result = await client.ReceiveAsync(buffer.AsMemory(got), cancellation);
                (got, more) = (got + result.Count, !result.EndOfMessage);
            }
            Assert.Equal(sent, buffer[..got]);
        }
        var closing = client.CloseAsync((WebSocketCloseStatus)4001, "enough", cancellation);
        Assert.Equal(4001, (await agent.ReadFrameAsync())!.Value.Close.Code);
        await agent.SendAsync(Opcode.Close, [0x0F, 0xA2], masked: false);
        await closing;
        Assert.Equal(4002, (int)client.CloseStatus!);
        Assert.Equal(4001, (await host.EndAsync()).CloseCode);
    }

    [Fact]
    public async Task Http2_PlainGet_IsNoOpening()
    {
        using var root = TestCertificates.Root();
        using var certificate = TestCertificates.Server(root, "localhost");
        await using var host = await RelayHost.StartAsync("ws://127.0.0.1:1", certificate: certificate);
        using var handler = new SocketsHttpHandler();
        handler.SslOptions.CertificateChainPolicy = TestCertificates.Trust(root);
        using var client = new HttpClient(handler) { DefaultRequestVersion = new(2, 0), DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var answer = await client.GetAsync(new Uri($"https://localhost:{host.TlsPort}/"), TestContext.Current.CancellationToken);
        Assert.Equal(426, (int)answer.StatusCode);
    }

    [Fact]
    [Trait("attack", "B17")]
    public async Task Accept_RequestWithACredential_LeavesNoneOfItWithTheConnection()
    {
        await using var upstream = new StubUpstream();
        await using var host = await RelayHost.StartAsync(upstream.Url);
        await using var client = await Wire.DialAsync(host.Port);
        await client.SendAsync(Encoding.ASCII.GetBytes("GET /?conversation_signature=canary HTTP/1.1\r\n" + Lines + "Authorization: canary\r\n\r\n"));
        Assert.StartsWith("HTTP/1.1 101 ", await client.ReadHeadAsync(), StringComparison.Ordinal);
        await using var agent = await upstream.OpenAsync();

        Assert.Empty(host.Request!.Headers);
        var texts = new List<string>();
        for (var type = host.Request.GetType(); type is not null; type = type.BaseType)
        {
            texts.AddRange(type.GetFields(BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.DeclaredOnly).Select(field => field.GetValue(host.Request)).OfType<string>());
        }
        Assert.NotEmpty(texts);
        Assert.DoesNotContain(texts, text => text.Contains("canary", StringComparison.Ordinal));
    }
}
