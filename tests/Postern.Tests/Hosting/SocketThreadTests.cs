using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Postern.Core.Sessions;
using Postern.Server.Flow;
using Postern.Server.Hosting;
using Postern.Tests.Durability;
using Postern.Tests.Flow;

namespace Postern.Tests.Hosting;

/// <summary>What runs on the sockets' threads is short and cannot block: nobody keeps the other sockets of one waiting.</summary>
public sealed class SocketThreadTests : IDisposable
{
    private readonly string folder = System.IO.Directory.CreateTempSubdirectory("postern-test-").FullName;

    public void Dispose() => System.IO.Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task Server_HandlesSocketsInPlace_OnAThreadForEachProcessor()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.ProcessorCount > 1, "Seen by its threads in /proc, on more than one processor.");
        using var postern = await ServerProcess.StartAsync(folder, null);
        var threads = System.IO.Directory.GetDirectories($"/proc/{postern.Id}/task").Count(static task => File.ReadAllText(task + "/comm").StartsWith(".NET Sockets", StringComparison.Ordinal));
        // The runtime has that many only where it calls in place what waits for a socket: otherwise the relay has become slow.
        Assert.Equal(Environment.ProcessorCount, threads);
    }

    [Fact]
    public async Task Request_ThatReadsTheDatabase_HasLeftItsSocketsThread()
    {
        using var postern = await ServerProcess.StartAsync(folder, null); // watched: it would answer 500
        using var client = new HttpClient { BaseAddress = new Uri(postern.Address) };
        client.DefaultRequestHeaders.Add("xi-api-key", ServerProcess.Key);
        for (var i = 0; i < 20; i++)
        {
            using var listed = await client.GetAsync("/v1/convai/conversations", TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, listed.StatusCode);
            using var made = await client.PostAsync("/v1/convai/agents/create", TestPostern.Json("""{"name":"one","conversation_config":{}}"""), TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, made.StatusCode);
        }
    }

    [Fact]
    public async Task Relay_ThatAlwaysFindsMoreToRead_LeavesAfterAWhile()
    {
        var client = new Endless(Wire.Bytes(Opcode.Binary, new byte[100]), pieces: 200);
        var relay = await OnAThread(() => new RelaySession(new SessionTimers(TimeProvider.System), TimeProvider.System, static () => { }).RunAsync(
            client, default, new UpstreamConnection(new Endless([], pieces: 0, waits: true), default, null), new Leash(),
            new RelayLimits(1 << 20, 100_000, TimeSpan.FromMinutes(1), TimeSpan.FromSeconds(1)), static end => new Farewell(null, new CloseFrame(1000, ""), default), new SessionActivity(TimeProvider.System)));
        await relay;
        Assert.Equal((false, true), (client.ReadInPool[0], client.ReadInPool[^1]));
    }

    [Fact]
    public async Task Connections_ThatAreThereAtOnce_AreTakenInThePool()
    {
        var listener = await new PooledListeners(new Crowd()).BindAsync(new IPEndPoint(IPAddress.Loopback, 0), TestContext.Current.CancellationToken);
        var taken = await OnAThread(() => LoopAsync(async () => _ = await listener.AcceptAsync()));
        Assert.Contains(true, await taken);
    }

    [Fact]
    public async Task ConnectionWithTls_ThatAlwaysHasMore_IsReadInThePool()
    {
        var pipe = new Pipe();
        await pipe.Writer.WriteAsync(new byte[100], TestContext.Current.CancellationToken);
        var connection = new PooledConnection(new Ends(pipe.Reader, pipe.Writer));
        var read = await OnAThread(() => LoopAsync(async () =>
        {
            var piece = await connection.Input.ReadAsync();
            connection.Input.AdvanceTo(piece.Buffer.GetPosition(1));
        }));
        Assert.Contains(true, await read);
    }

    // Who reads may see what it waited for done before it looked, and stay once more; not a hundred times.
    private static async Task<List<bool>> LoopAsync(Func<Task> step)
    {
        var inPool = new List<bool>();
        for (var i = 0; i < 100; i++)
        {
            await step();
            inPool.Add(Thread.CurrentThread.IsThreadPoolThread);
        }
        return inPool;
    }

    // A thread that is none of the pool, as those of the sockets.
    private static async Task<T> OnAThread<T>(Func<T> work)
    {
        var begun = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() => begun.SetResult(work())).Start();
        return await begun.Task;
    }

    private sealed record Ends(PipeReader Input, PipeWriter Output) : IDuplexPipe;

    private sealed class Crowd : IConnectionListenerFactory, IConnectionListener
    {
        public EndPoint EndPoint { get; } = new IPEndPoint(IPAddress.Loopback, 1);

        public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) => ValueTask.FromResult<IConnectionListener>(this);

        public ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) => ValueTask.FromResult<ConnectionContext?>(new DefaultConnectionContext());

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => default;

        public ValueTask DisposeAsync() => default;
    }

    /// <summary>Has so many pieces, each at once, and takes whatever is written.</summary>
    private sealed class Endless(byte[] piece, int pieces, bool waits = false) : MemoryStream
    {
        private int left = pieces;

        public List<bool> ReadInPool { get; } = [];

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (waits)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(500), CancellationToken.None);
                return 0;
            }
            if (buffer.IsEmpty || left-- <= 0)
            {
                return 0;
            }
            ReadInPool.Add(Thread.CurrentThread.IsThreadPoolThread);
            piece.CopyTo(buffer);
            return piece.Length;
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => default;
    }
}
