using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

/// <summary>An upstream on a raw socket: it answers what the test wants, right or wrong.</summary>
internal sealed class StubUpstream : IAsyncDisposable
{
    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly X509Certificate2? certificate;

    public StubUpstream(X509Certificate2? certificate = null)
    {
        this.certificate = certificate;
        listener.Start();
    }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    public string Url => certificate is null ? $"ws://127.0.0.1:{Port}/agent" : $"wss://localhost:{Port}/agent";

    /// <summary>The head of the last opening.</summary>
    public string Request { get; private set; } = "";

    /// <summary>Takes the next connection, without answering it.</summary>
    public async Task<Wire> TakeAsync()
    {
        var socket = await listener.AcceptSocketAsync().WaitAsync(TimeSpan.FromSeconds(10));
        socket.NoDelay = true;
        Stream stream = new NetworkStream(socket, ownsSocket: true);
        if (certificate is not null)
        {
            var secure = new SslStream(stream);
            await secure.AuthenticateAsServerAsync(certificate).WaitAsync(TimeSpan.FromSeconds(10));
            stream = secure;
        }
        var wire = new Wire(stream);
        Request = await wire.ReadHeadAsync();
        return wire;
    }

    /// <summary>Takes the next connection and opens the WebSocket; <paramref name="behind"/> follows in the same piece.</summary>
    public async Task<Wire> OpenAsync(string more = "", byte[]? behind = null)
    {
        var wire = await TakeAsync();
        await wire.SendAsync([.. Encoding.ASCII.GetBytes(Answer(more)), .. behind ?? []]);
        return wire;
    }

    /// <summary>A right 101, with more lines.</summary>
    public string Answer(string more = "") =>
        $"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {Accept}\r\n{more}\r\n";

    /// <summary>The Sec-WebSocket-Accept that the last request asks for.</summary>
    public string Accept => WebSocketHandshake.AcceptValue(Request.Split("Sec-WebSocket-Key: ")[1][..24]);

    public ValueTask DisposeAsync()
    {
        listener.Dispose();
        return ValueTask.CompletedTask;
    }
}
