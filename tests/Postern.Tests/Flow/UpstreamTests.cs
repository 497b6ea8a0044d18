using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Postern.Core.Sessions;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

[Collection(nameof(Alone))]
public class UpstreamTests
{
    private static UpstreamTarget To(string url, string? subprotocol = null, double seconds = 5, X509Certificate2Collection? roots = null, params KeyValuePair<string, string>[] headers) =>
        new(url, headers, subprotocol, true, TimeSpan.FromSeconds(seconds), roots);

    private static async Task<UpstreamException> FailureAsync(UpstreamTarget target) =>
        await Assert.ThrowsAsync<UpstreamException>(() => Upstream.ConnectAsync(target, TestContext.Current.CancellationToken));

    [Fact]
    public async Task Connect_RightAnswer_GivesStreamSubprotocolAndSurplus()
    {
        await using var stub = new StubUpstream();
        var opening = stub.OpenAsync("sec-websocket-protocol: convai\r\nServer: x\r\n", "early"u8.ToArray());
        using var connection = await Upstream.ConnectAsync(To(stub.Url + "?a=b", "convai", headers: [new("xi-api-key", "secret"), new("X-Two", "a\tb")]), TestContext.Current.CancellationToken);
        await using var agent = await opening;

        Assert.Equal("convai", connection.Subprotocol);
        Assert.Equal("early", Encoding.ASCII.GetString(connection.TakeSurplus().Span));
        Assert.True(connection.TakeSurplus().IsEmpty);
        Assert.Equal(
            $"GET /agent?a=b HTTP/1.1\r\nHost: 127.0.0.1:{stub.Port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            + $"Sec-WebSocket-Key: {stub.Request.Split("Key: ")[1][..24]}\r\nSec-WebSocket-Protocol: convai\r\nxi-api-key: secret\r\nX-Two: a\tb\r\n\r\n", stub.Request);
        Assert.DoesNotContain("Extensions", stub.Request, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [Trait("attack", "C11")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true)]
    [InlineData("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n\r\n", true)]
    [InlineData("HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:1/\r\n\r\n", true)]
    [InlineData("HTTP/1.1 401 Unauthorized\r\n\r\n", true)]
    [InlineData("HTTP/1.0 101 x\r\nU\r\nC\r\nA\r\n\r\n", false)]
    [InlineData("HTTP/1.1 1011 x\r\nU\r\nC\r\nA\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nU\r\nC\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nU\r\nC\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nU\r\nC\r\nA\r\nA\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nC\r\nA\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nU\r\nA\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nUpgrade: h2c\r\nC\r\nA\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nU\r\nConnection: close\r\nA\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nU\r\nC\r\nA\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nU\r\nC\r\nA\r\nSec-WebSocket-Protocol: other\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nU\r\nC\r\nA\r\nTransfer-Encoding: chunked\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nU\r\nC\r\nA\r\nX: a\nY: b\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nU\r\nC\r\nA\r\n folded\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nU\r\nC\r\nA\r\nX : a\r\n\r\n", false)]
    [InlineData("HTTP/1.1 101 x\r\nU\r\nC\r\nA\r\nX: a\0b\r\n\r\n", false)]
    [InlineData("220 mail.example.com ESMTP\r\n\r\n", false)]
    public async Task Connect_AnswerIsNoWebSocket_IsRefused(string answer, bool isHttpAnswer)
    {
        await using var stub = new StubUpstream();
        var failing = FailureAsync(To(stub.Url));
        await using var agent = await stub.TakeAsync();
        await agent.SendAsync(Encoding.Latin1.GetBytes(answer
            .Replace("\r\nU\r\n", "\r\nUpgrade: websocket\r\n", StringComparison.Ordinal)
            .Replace("\r\nC\r\n", "\r\nConnection: Upgrade\r\n", StringComparison.Ordinal)
            .Replace("\r\nA\r\n", $"\r\nSec-WebSocket-Accept: {stub.Accept}\r\n", StringComparison.Ordinal)
            .Replace("\r\nA\r\n", $"\r\nSec-WebSocket-Accept: {stub.Accept}\r\n", StringComparison.Ordinal)));

        Assert.Equal(isHttpAnswer ? UpstreamFailure.Refused : UpstreamFailure.BadHandshake, (await failing).Failure);
        Assert.Empty(await agent.ReadToEndAsync());
    }

    [Fact]
    [Trait("attack", "C11")]
    public async Task Relay_UpstreamAnswers200_ClientIsToldAndNoTunnelStands()
    {
        await using var stub = new StubUpstream();
        await using var host = await RelayHost.StartAsync(stub.Url);
        await using var client = await Wire.OpenAsync(host.Port);
        await using var agent = await stub.TakeAsync();
        await agent.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"u8.ToArray());

        Assert.Equal(new CloseFrame(1011, "The upstream answered 200 to the WebSocket opening."), (await client.ReadFrameAsync())!.Value.Close);
        Assert.Empty(await agent.ReadToEndAsync());
    }

    [Fact]
    [Trait("attack", "C16")]
    public async Task Connect_EndlessHead_IsRefused()
    {
        await using var stub = new StubUpstream();
        var failing = FailureAsync(To(stub.Url));
        await using var agent = await stub.TakeAsync();
        await agent.SendAsync(Encoding.ASCII.GetBytes("HTTP/1.1 101 x\r\nX: " + new string('a', 20_000)));
        Assert.Contains("16 KiB", (await failing).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connect_SilentOrAbsentOrDying_SaysWhich()
    {
        await using var stub = new StubUpstream();
        var since = Stopwatch.GetTimestamp();
        Assert.Equal(UpstreamFailure.Timeout, (await FailureAsync(To(stub.Url, seconds: 0.3))).Failure);
        Assert.InRange(Stopwatch.GetElapsedTime(since).TotalSeconds, 0.25, 3);

        var dying = FailureAsync(To(stub.Url));
        await (await stub.TakeAsync()).DisposeAsync();
        await (await stub.TakeAsync()).DisposeAsync();
        Assert.Equal(UpstreamFailure.BadHandshake, (await dying).Failure);

        using var unused = new TcpListener(IPAddress.Loopback, 0);
        unused.Start();
        var port = ((IPEndPoint)unused.LocalEndpoint).Port;
        unused.Stop();
        Assert.Equal(UpstreamFailure.Unreachable, (await FailureAsync(To($"ws://127.0.0.1:{port}/?token=secret"))).Failure);
        Assert.Equal(UpstreamFailure.Unreachable, (await FailureAsync(To("ws://no-such-name.invalid/", seconds: 60))).Failure);

        using var cancelled = new CancellationTokenSource(TimeSpan.FromMilliseconds(100));
        await Assert.ThrowsAsync<OperationCanceledException>(() => Upstream.ConnectAsync(To(stub.Url), cancelled.Token));
    }

    [Theory]
    [Trait("attack", "D5")]
    [InlineData("ws://127.0.0.1:{0}/")]
    [InlineData("ws://localhost:{0}/")]
    [InlineData("ws://[::ffff:127.0.0.1]:{0}/")]
    [InlineData("ws://0.0.0.0:{0}/")]
    public async Task Connect_PrivateAddressNotAllowed_IsForbiddenWithoutDialling(string url)
    {
        await using var stub = new StubUpstream();
        var taking = stub.TakeAsync();
        var failure = await FailureAsync(To(string.Format(System.Globalization.CultureInfo.InvariantCulture, url, stub.Port)) with { AllowPrivateAddresses = false });
        Assert.Equal(UpstreamFailure.AddressForbidden, failure.Failure);
        Assert.False(taking.IsCompleted);
        await stub.DisposeAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => taking);
    }

    [Theory]
    [Trait("attack", "D6")]
    [InlineData("X-A", "a\r\nX-B: c")]
    [InlineData("X-A", "a\nb")]
    [InlineData("X-A", "a\rb")]
    [InlineData("X-A", "a\0b")]
    [InlineData("X-A", "a\u007fb")]
    [InlineData("X-A", "é")]
    [InlineData("X-A\r\nX-B", "c")]
    [InlineData("X A", "c")]
    [InlineData("X-A:", "c")]
    [InlineData("", "c")]
    public async Task Connect_HeaderThatCouldSplit_IsNeverSent(string name, string value)
    {
        await using var stub = new StubUpstream();
        var taking = stub.TakeAsync();
        var failure = await FailureAsync(To(stub.Url, headers: [new(name, value)]));
        Assert.Equal(UpstreamFailure.BadHandshake, failure.Failure);
        await using var agent = await taking;
        Assert.Equal("", stub.Request);
    }

    [Theory]
    [Trait("attack", "D2")]
    [InlineData("Connection")]
    [InlineData("upgrade")]
    [InlineData("Host")]
    [InlineData("Transfer-Encoding")]
    [InlineData("content-length")]
    [InlineData("TE")]
    [InlineData("Proxy-Authorization")]
    [InlineData("Sec-WebSocket-Key")]
    [InlineData("sec-websocket-extensions")]
    public void CheckHeader_BelongsToTheConnection_IsRefused(string name) => Assert.NotNull(UpstreamHandshake.CheckHeader(name, "x"));

    [Fact]
    public async Task Connect_Tls_TrustsTheGivenRootAndTheRightNameOnly()
    {
        using var root = TestCertificates.Root();
        using var other = TestCertificates.Root();
        using var right = TestCertificates.Server(root, "localhost");
        using var wrong = TestCertificates.Server(root, "elsewhere.example");

        await using var stub = new StubUpstream(right);
        var opening = stub.OpenAsync();
        using (var connection = await Upstream.ConnectAsync(To(stub.Url, roots: [root]), TestContext.Current.CancellationToken))
        {
            await using var agent = await opening;
            await connection.Stream.WriteAsync("over"u8.ToArray(), TestContext.Current.CancellationToken);
            Assert.Equal("over"u8.ToArray(), await agent.ReadAsync(4));
        }

        await AssertUntrustedAsync(stub, To(stub.Url, roots: [other]));
        await AssertUntrustedAsync(stub, To(stub.Url));
        await using var misnamed = new StubUpstream(wrong);
        await AssertUntrustedAsync(misnamed, To(misnamed.Url, roots: [root]));
    }

    private static async Task AssertUntrustedAsync(StubUpstream stub, UpstreamTarget target)
    {
        var taking = stub.TakeAsync();
        var failure = await FailureAsync(target);
        Assert.Equal((UpstreamFailure.BadHandshake, "The upstream's certificate is not trusted, or TLS failed."), (failure.Failure, failure.Message));
        try
        {
            await (await taking).DisposeAsync();
            Assert.Equal("", stub.Request);
        }
        catch (Exception e) when (e is IOException or System.Security.Authentication.AuthenticationException)
        {
            // The client hung up during the TLS handshake, as it should.
        }
    }
}
