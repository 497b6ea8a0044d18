using Postern.Benchmarks.Figures;
using Postern.Benchmarks.Load;
using Postern.Benchmarks.Processes;

namespace Postern.Benchmarks;

/// <summary>
/// How much the server's resident memory grows for each idle session, in fresh processes every round, after a warm-up that fills its
/// pools, before any full garbage collection. Some of the sessions must still echo afterwards.
/// </summary>
internal static class MemoryBenchmark
{
    private const int WarmUp = 1000;
    private const int WarmUps = 10;
    private const int Sampled = 50;
    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(3);

    private static readonly Figure Growth = new("resident memory per idle relayed session, 5,000 sessions", "KiB", AtMost: 16);
    private static readonly Figure DirectGrowth = new("direct: resident memory of the echo server per idle connection", "KiB");
    private static readonly Figure Base = new("resident memory of Postern before the sessions", "MiB");

    public static async Task RunAsync(Run run)
    {
        var sessions = run.Quick ? 1000 : 5000;
        await run.RoundsAsync(round => round.InTurnAsync(
            async () =>
            {
                await using var peer = await Peer.StartAsync();
                var (growth, _) = await MeasureAsync(peer, sessions, count => Task.FromResult(Enumerable.Repeat(Peer.EchoPath, count).ToArray()));
                round.Add(DirectGrowth, growth / 1024);
            },
            async () =>
            {
                await using var peer = await Peer.StartAsync();
                await using var postern = await PosternProcess.StartAsync();
                await postern.RelayToAsync(peer.Address);
                var (growth, before) = await MeasureAsync(postern.Server, sessions, postern.MintAsync);
                round.Add(Growth, growth / 1024);
                round.Add(Base, before / 1024 / 1024);
            }));
    }

    private static async Task<(double Growth, double Before)> MeasureAsync(ServerProcess server, int sessions, Func<int, Task<string[]>> targets)
    {
        // Until the runtime has compiled what is measured, with no more sessions at a time than leave the heap small.
        for (var i = 0; i < WarmUps; i++)
        {
            await SocketLoad.CloseAsync(await SocketLoad.OpenAsync(server.Address, await targets(WarmUp)));
        }
        var batch = await targets(sessions); // what minting them takes belongs to the time before
        await Task.Delay(Settle);
        double before = server.ResidentBytes;
        var clients = await SocketLoad.OpenAsync(server.Address, batch);
        await Task.Delay(Settle);
        var growth = (server.ResidentBytes - before) / sessions;
        await SocketLoad.EchoAsync([.. clients.Where((_, i) => i % (sessions / Sampled) == 0)]);
        Array.ForEach(clients, client => client.Dispose());
        return (growth, before);
    }
}
