using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Postern.Server.Flow;
using Postern.Tests.Durability;
using Postern.Tests.Flow;

namespace Postern.Tests.Hosting;

/// <summary>What runs on the sockets' threads is short: nobody keeps the other sockets of one waiting.</summary>
public class SocketThreadTests
{
    [Fact]
    public async Task Server_HandlesSocketsInPlace_OnAThreadForEachProcessor()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.ProcessorCount > 1, "Seen by its threads in /proc, on more than one processor.");
        using var folder = new TemporaryFolder();
        using var postern = await ServerProcess.StartAsync(folder.Path, null);
        var threads = Directory.GetDirectories($"/proc/{postern.Id}/task").Count(static task => File.ReadAllText(task + "/comm").StartsWith(".NET Sockets", StringComparison.Ordinal));
        // The runtime has that many only where it calls in place what waits for a socket: otherwise the relay has become slow.
        Assert.Equal(Environment.ProcessorCount, threads);
    }

    [Fact]
    public async Task RelayedFloods_ThatNeverLeaveNothingToRead_LeaveTheOtherSocketsTheirTurn()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var upstream = new StubUpstream();
        using var folder = new TemporaryFolder();
        using var postern = await ServerProcess.StartAsync(folder.Path, null, null,
            ("POSTERN__SESSIONS__MAXFRAMESPERSECOND", "100000"), ("POSTERN__SESSIONS__MAXMESSAGEBYTES", "1048576"), ("POSTERN__AGENTS__ALLOWPRIVATEUPSTREAMS", "true"));
        using var http = new HttpClient { BaseAddress = new Uri(postern.Address) };
        http.DefaultRequestHeaders.Add("xi-api-key", ServerProcess.Key);
        using var relayed = await http.PutAsync("/api/agents/agent_echo/upstream", TestPostern.Json($$"""{"kind":"relay","url":"{{upstream.Url}}"}"""), ct);
        Assert.Equal(HttpStatusCode.OK, relayed.StatusCode);
        var frame = Wire.Bytes(Opcode.Binary, new byte[1 << 20]);
        using var over = new CancellationTokenSource();
        var (threads, ends) = (new List<Thread>(), new List<Wire>());
        // More of them than there are threads for sockets.
        for (var i = 0; i < 2 * Environment.ProcessorCount; i++)
        {
            var minted = await http.GetFromJsonAsync<JsonElement>("/v1/convai/conversation/get-signed-url?agent_id=agent_echo", ct);
            var url = minted.GetProperty("signed_url").GetString()!;
            var taken = upstream.OpenAsync();
            var client = await Wire.DialAsync(new Uri(url).Port);
            await client.SendAsync(Encoding.ASCII.GetBytes(Wire.Opening().Replace("GET / ", $"GET {new Uri(url).PathAndQuery} ", StringComparison.Ordinal)));
            Assert.StartsWith("HTTP/1.1 101 ", await client.ReadHeadAsync(), StringComparison.Ordinal);
            await client.SendAsync("""{"type":"conversation_initiation_client_data"}""", masked: true);
            ends.AddRange([client, await taken]);
            threads.AddRange([Flood(client.Stream, frame, over.Token), Drain(ends[^1].Stream)]);
        }
        await OthersAreAnsweredAsync(postern.Address);
        await over.CancelAsync();
        foreach (var end in ends)
        {
            await end.DisposeAsync();
        }
        threads.ForEach(static thread => thread.Join());
    }

    [Theory]
    [InlineData("requests")]
    [InlineData("connections")]
    public async Task Floods_OfWhatIsAnsweredAtOnce_LeaveTheOtherSocketsTheirTurn(string what)
    {
        using var folder = new TemporaryFolder();
        using var postern = await ServerProcess.StartAsync(folder.Path, null);
        var port = new Uri(postern.Address).Port;
        using var over = new CancellationTokenSource();
        var (threads, ends) = (new List<Thread>(), new List<Wire>());
        for (var i = 0; i < 2 * Environment.ProcessorCount; i++)
        {
            if (what == "connections")
            {
                threads.Add(Start(() =>
                {
                    while (!over.IsCancellationRequested)
                    {
                        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { LingerState = new LingerOption(true, 0) };
                        socket.Connect(IPAddress.Loopback, port);
                    }
                }));
                continue;
            }
            var requests = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("OPTIONS /agent-studio/1/agents HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200)));
            var client = await Wire.DialAsync(port);
            ends.Add(client);
            threads.AddRange([Flood(client.Stream, requests, over.Token), Drain(client.Stream)]);
        }
        await OthersAreAnsweredAsync(postern.Address);
        await over.CancelAsync();
        foreach (var end in ends)
        {
            await end.DisposeAsync();
        }
        threads.ForEach(static thread => thread.Join());
    }

    private static async Task OthersAreAnsweredAsync(string address)
    {
        for (var i = 0; i < 20; i++)
        {
            using var fresh = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };
            using var answer = await fresh.GetAsync(address + "/health/live", TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
    }

    private sealed class TemporaryFolder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("postern-test-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
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
            catch (Exception e) when (e is IOException or ObjectDisposedException or SocketException)
            {
                // The other end is gone: it is over.
            }
        });
        thread.Start();
        return thread;
    }
}
