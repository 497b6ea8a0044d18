using System.Net;
using System.Net.Sockets;
using System.Text;
using Postern.Core.Sessions;
using Postern.Server.Flow;
using Postern.Server.Hosting;
using Postern.Tests.Flow;

namespace Postern.Tests.Hosting;

/// <summary>What runs on the sockets' threads is short: nobody keeps the other sockets of one waiting.</summary>
public class SocketThreadTests
{
    [Fact]
    public async Task SocketEvent_IsHandledWhereItComes_AndLeavesForThePoolBeforeWhatMayBlock()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint, TestContext.Current.CancellationToken);
        using var server = await listener.AcceptSocketAsync(TestContext.Current.CancellationToken);
        var reading = ReadAsync(new NetworkStream(server));
        client.Client.Send([1]);
        var (inPlace, refused, left) = await reading;
        Assert.True(inPlace, "The runtime no longer calls in place what waits for a socket: the relay has become slow.");
        Assert.True(refused);
        Assert.True(left);

        static async Task<(bool InPlace, bool Refused, bool Left)> ReadAsync(Stream stream)
        {
            await stream.ReadExactlyAsync(new byte[1]);
            var inPlace = !Thread.CurrentThread.IsThreadPoolThread;
            var refused = Record.Exception(() => SocketThread.MustNotBe()) is InvalidOperationException;
            await SocketThread.LeaveAsync();
            return (inPlace, refused, Thread.CurrentThread.IsThreadPoolThread);
        }
    }

    [Fact]
    public async Task RelayedFloods_ThatNeverLeaveNothingToRead_LeaveTheOtherSocketsTheirTurn()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var upstream = new StubUpstream();
        await using var postern = await TestPostern.StartAsync((folder, https) =>
        {
            var options = TestPostern.Options(folder, https);
            (options.Sessions.MaxFramesPerSecond, options.Sessions.MaxMessageBytes) = (100_000, 1 << 20);
            return options;
        });
        var agent = await postern.AgentAsync(upstream: upstream.Url);
        var frame = Wire.Bytes(Opcode.Binary, new byte[1 << 20]);
        using var over = new CancellationTokenSource();
        var (threads, ends) = (new List<Thread>(), new List<Wire>());
        // More of them than there are threads for sockets.
        for (var i = 0; i < 2 * Environment.ProcessorCount; i++)
        {
            var url = await postern.SignedUrlAsync(agent);
            var taken = upstream.OpenAsync();
            var client = await Wire.DialAsync(new Uri(url).Port);
            await client.SendAsync(Encoding.ASCII.GetBytes(Wire.Opening().Replace("GET / ", $"GET {new Uri(url).PathAndQuery} ", StringComparison.Ordinal)));
            Assert.StartsWith("HTTP/1.1 101 ", await client.ReadHeadAsync(), StringComparison.Ordinal);
            await client.SendAsync("""{"type":"conversation_initiation_client_data"}""", masked: true);
            ends.AddRange([client, await taken]);
            threads.AddRange([Flood(client.Stream, frame, over.Token), Drain(ends[^1].Stream)]);
        }
        for (var i = 0; i < 20; i++)
        {
            using var fresh = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
            using var answer = await fresh.GetAsync(postern.Http + "/health/live", ct);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
        await over.CancelAsync();
        foreach (var end in ends)
        {
            await end.DisposeAsync();
        }
        threads.ForEach(static thread => thread.Join());
    }

    private static Thread Flood(Stream stream, byte[] frame, CancellationToken ct) => Start(() =>
    {
        while (!ct.IsCancellationRequested)
        {
            stream.Write(frame);
        }
    });

    private static Thread Drain(Stream stream) => Start(() =>
    {
        var buffer = new byte[1 << 20];
        while (stream.Read(buffer) > 0)
        {
        }
    });

    private static Thread Start(Action work)
    {
        var thread = new Thread(() =>
        {
            try
            {
                work();
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                // The other end is gone: it is over.
            }
        });
        thread.Start();
        return thread;
    }
}
