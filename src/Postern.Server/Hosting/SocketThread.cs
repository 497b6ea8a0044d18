using System.Runtime.CompilerServices;
using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Connections;

namespace Postern.Server.Hosting;

/// <summary>
/// The threads on which the kernel's word comes that a socket is ready. What waits for it is called there and then: a change of threads
/// costs a relayed frame more than all that is done with it. But while it runs, every other socket of that thread waits. So only what is
/// short and cannot block stays there: the web server's reading and writing, an upstream's opening, and the relay; all else goes on in
/// the pool (decision 0016).
/// </summary>
internal static class SocketThread
{
    private const string InPlace = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";
    private const string Name = ".NET Sockets"; // the runtime's

    // Set for the servers that tests start: what would block such a thread then fails instead.
    private static readonly bool Watched = Environment.GetEnvironmentVariable("POSTERN_WATCH_SOCKET_THREADS") == "1";

    /// <summary>What follows goes on in the pool.</summary>
    public static Leaving LeaveAsync() => default;

    /// <summary>As above, once <paramref name="write"/> is done.</summary>
    public static ValueTask LeaveAfterAsync(ValueTask write)
    {
        return write.IsCompletedSuccessfully ? write : Leave(write);

        static async ValueTask Leave(ValueTask write)
        {
            try
            {
                await write;
            }
            finally
            {
                await LeaveAsync();
            }
        }
    }

    /// <summary>Has the runtime call what waits for a socket at once. Before the process has its first one; an environment that says otherwise is obeyed.</summary>
    public static void HandleInPlace() => Environment.SetEnvironmentVariable(InPlace, Environment.GetEnvironmentVariable(InPlace) ?? "1");

    /// <summary>Has every request begin in the pool. Before all else.</summary>
    public static void Use(IApplicationBuilder app) => app.Use(static async (context, next) =>
    {
        await LeaveAsync();
        await next(context);
    });

    /// <summary>Said by what may block, before it does.</summary>
    public static void MustNotBe()
    {
        if (Watched && Thread.CurrentThread.Name == Name)
        {
            throw new InvalidOperationException("This may block, and would stop other sockets: leave their thread first.");
        }
    }

    /// <summary>
    /// Awaited where the thread is to be left, and by nobody in between: of a task that completes at once in the pool its caller would
    /// notice nothing, and stay.
    /// </summary>
    public readonly struct Leaving : ICriticalNotifyCompletion
    {
        public bool IsCompleted => Thread.CurrentThread.IsThreadPoolThread;

        public Leaving GetAwaiter() => this;

        public void GetResult()
        {
        }

        public void OnCompleted(Action continuation) => ThreadPool.QueueUserWorkItem(static go => go(), continuation, preferLocal: false);

        public void UnsafeOnCompleted(Action continuation) => ThreadPool.UnsafeQueueUserWorkItem(static go => go(), continuation, preferLocal: false);
    }
}

/// <summary>Listeners whose connections are taken in the pool: a flood of them would never let go of the thread.</summary>
internal sealed class PooledListeners(IConnectionListenerFactory sockets) : IConnectionListenerFactory
{
    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new Listener(await sockets.BindAsync(endpoint, cancellationToken));

    private sealed class Listener(IConnectionListener listener) : IConnectionListener
    {
        public EndPoint EndPoint => listener.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            var connection = await listener.AcceptAsync(cancellationToken);
            await SocketThread.LeaveAsync();
            return connection;
        }

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => listener.UnbindAsync(cancellationToken);

        public ValueTask DisposeAsync() => listener.DisposeAsync();
    }
}

/// <summary>A connection that is read in the pool: TLS and HTTP/2 work on what comes for as long as it comes.</summary>
internal sealed class PooledConnection(IDuplexPipe pipe) : PipeReader, IDuplexPipe
{
    public PipeReader Input => this;

    public PipeWriter Output => pipe.Output;

    public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            return await pipe.Input.ReadAsync(cancellationToken);
        }
        finally
        {
            await SocketThread.LeaveAsync();
        }
    }

    public override bool TryRead(out ReadResult result) => pipe.Input.TryRead(out result);

    public override void AdvanceTo(SequencePosition consumed) => pipe.Input.AdvanceTo(consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined) => pipe.Input.AdvanceTo(consumed, examined);

    public override void CancelPendingRead() => pipe.Input.CancelPendingRead();

    public override void Complete(Exception? exception = null) => pipe.Input.Complete(exception);
}
