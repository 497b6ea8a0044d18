using Postern.Benchmarks.Figures;
using Postern.Benchmarks.Load;
using Postern.Benchmarks.Processes;

namespace Postern.Benchmarks;

/// <summary>
/// Sessions opened with a fresh signed URL each, admitted, written durably, and relayed: the first message has been judged, sent to the
/// upstream and echoed when an opening counts. Against the same clients on the echo server itself.
/// </summary>
internal static class HandshakeBenchmark
{
    private const int Batch = 1000;

    private static readonly Figure Added = new("CPU of a handshake that is admitted and relayed, over the echo server's own", "µs", AtMost: 150);
    private static readonly Figure Opening = new("relayed: CPU of Postern per handshake", "µs");
    private static readonly Figure Closing = new("relayed: CPU of Postern per end of a session", "µs");
    private static readonly Figure OtherOpening = new("other build: CPU per handshake", "µs");
    private static readonly Figure OtherClosing = new("other build: CPU per end of a session", "µs");
    private static readonly Figure DirectOpening = new("direct: CPU of the echo server per handshake", "µs");
    private static readonly Figure DirectClosing = new("direct: CPU of the echo server per close", "µs");
    private static readonly Figure Rate = new("relayed: handshakes/s, 16 at once", "");

    public static async Task RunAsync(Run run)
    {
        await using var peer = await Peer.StartAsync();
        await using var postern = await PosternProcess.StartAsync();
        await postern.RelayToAsync(peer.Address);
        await using var against = run.Against is { } assembly ? await PosternProcess.StartAsync(assembly: assembly) : null;
        await (against?.RelayToAsync(peer.Address) ?? Task.CompletedTask);
        var batches = run.Quick ? 1 : 4;

        await run.RoundsAsync(async round =>
        {
            var (own, relayed) = (TimeSpan.Zero, TimeSpan.Zero);
            await round.InTurnAsync(
                async () =>
                {
                    var (opening, closing, _) = await MeasureAsync(peer, batches, () => Task.FromResult(Enumerable.Repeat(Peer.EchoPath, Batch).ToArray()));
                    round.Add(DirectOpening, opening.TotalMicroseconds);
                    round.Add(DirectClosing, closing.TotalMicroseconds);
                    own = opening;
                },
                async () =>
                {
                    var (opening, closing, perSecond) = await MeasureAsync(postern.Server, batches, () => postern.MintAsync(Batch));
                    round.Add(Opening, opening.TotalMicroseconds);
                    round.Add(Closing, closing.TotalMicroseconds);
                    round.Add(Rate, perSecond);
                    relayed = opening;
                },
                async () =>
                {
                    if (against is not null)
                    {
                        var (opening, closing, _) = await MeasureAsync(against.Server, batches, () => against.MintAsync(Batch));
                        round.Add(OtherOpening, opening.TotalMicroseconds);
                        round.Add(OtherClosing, closing.TotalMicroseconds);
                    }
                });
            round.Add(Added, (relayed - own).TotalMicroseconds);
        }, warmUps: 5);
    }

    // Opened and closed in batches, so that the two can be told apart and descriptors suffice.
    private static async Task<(TimeSpan Opening, TimeSpan Closing, double PerSecond)> MeasureAsync(ServerProcess server, int batches, Func<Task<string[]>> targets)
    {
        var (opening, closing, time) = (TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero);
        for (var i = 0; i < batches; i++)
        {
            var batch = await targets();
            SocketClient[] clients = [];
            var began = TimeProvider.System.GetTimestamp();
            opening += await server.CpuOfAsync(async () => clients = await SocketLoad.OpenAsync(server.Address, batch));
            time += TimeProvider.System.GetElapsedTime(began);
            closing += await server.CpuOfAsync(async () =>
            {
                await SocketLoad.CloseAsync(clients);
                await Task.Delay(200); // rows of the last ends are still being written
            });
        }
        var count = batches * Batch;
        return (opening / count, closing / count, count / time.TotalSeconds);
    }
}
