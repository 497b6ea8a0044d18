using System.Runtime.CompilerServices;

namespace Postern.Server.Hosting;

/// <summary>
/// The threads on which the kernel's word comes that a socket is ready. What waits for it is called there and then: a change of threads
/// costs a relayed frame more than all that is done with it. But while it runs, every other socket of that thread waits. So only what
/// cannot block stays: the web server's reading and writing, the relay, and the routes marked so; all else goes on in the pool
/// (decision 0016).
/// </summary>
internal sealed class SocketThread
{
    private const string InPlace = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";
    private const string Name = ".NET Sockets"; // the runtime's

    /// <summary>Marks a route that begins where its request was read: its own code never blocks, the ledger's reads leave by themselves.</summary>
    public static readonly SocketThread Stays = new();

    private SocketThread()
    {
    }

    /// <summary>What follows goes on in the pool.</summary>
    public static Leaving LeaveAsync() => default;

    /// <summary>Has the runtime call what waits for a socket at once. Before the process has its first one; an environment that says otherwise is obeyed.</summary>
    public static void HandleInPlace() => Environment.SetEnvironmentVariable(InPlace, Environment.GetEnvironmentVariable(InPlace) ?? "1");

    /// <summary>Has every route that is not marked begin in the pool. Behind the routing.</summary>
    public static void Use(IApplicationBuilder app) => app.Use((context, next) =>
        context.GetEndpoint()?.Metadata.GetMetadata<SocketThread>() is null ? LeaveAsync(context, next) : next(context));

    // Set for the servers that tests start: what would block such a thread then fails instead.
    private static readonly bool Watched = Environment.GetEnvironmentVariable("POSTERN_WATCH_SOCKET_THREADS") == "1";

    /// <summary>Said by what may block, before it does.</summary>
    public static void MustNotBe()
    {
        if (Watched && Thread.CurrentThread.Name == Name)
        {
            throw new InvalidOperationException("This may block, and would stop other sockets: leave their thread first.");
        }
    }

    private static async Task LeaveAsync(HttpContext context, RequestDelegate next)
    {
        await LeaveAsync();
        await next(context);
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
