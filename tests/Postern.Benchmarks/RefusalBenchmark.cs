using Postern.Benchmarks.Figures;
using Postern.Benchmarks.Load;
using Postern.Benchmarks.Processes;

namespace Postern.Benchmarks;

/// <summary>
/// Forged signed URLs, each on a new connection. Accepted, told why and closed, as a browser needs it; and, from an address that has
/// sent too many, answered 429. Against what accepting a connection and closing it costs bare Kestrel.
/// </summary>
internal static class RefusalBenchmark
{
    private static readonly Figure Told = new("CPU of a refused forged signed URL, its connection included", "µs", AtMost: 30);
    private static readonly Figure Added = new("refused after 101: CPU of Postern over that of bare Kestrel", "µs");
    private static readonly Figure Flood = new("refused by 429: CPU of Postern per connection", "µs");
    private static readonly Figure Other = new("other build, refused after 101: CPU per connection", "µs");
    private static readonly Figure Floor = new("bare Kestrel: CPU per connection, 101, close frame, close", "µs");

    public static async Task RunAsync(Run run)
    {
        await using var peer = await Peer.StartAsync();
        await using var postern = await PosternProcess.StartAsync();
        await using var strict = await PosternProcess.StartAsync(refusals: 1);
        await using var against = run.Against is { } assembly ? await PosternProcess.StartAsync(assembly: assembly) : null;
        var count = run.Quick ? 1500 : 8000;
        var forged = await postern.ForgeAsync(count);
        var forgedToo = await strict.ForgeAsync(count);
        var forgedThere = against is null ? [] : await against.ForgeAsync(count);
        var bare = Enumerable.Repeat(Peer.ClosePath, count).ToArray();

        await run.RoundsAsync(async round =>
        {
            var (told, floor) = (0d, 0d);
            await round.InTurnAsync(
                async () => round.Add(Floor, floor = await MeasureAsync(peer, bare, true)),
                async () => round.Add(Told, told = await MeasureAsync(postern.Server, forged, true)),
                async () => round.Add(Flood, await MeasureAsync(strict.Server, forgedToo, null)),
                async () =>
                {
                    if (against is not null)
                    {
                        round.Add(Other, await MeasureAsync(against.Server, forgedThere, true));
                    }
                });
            round.Add(Added, told - floor);
        }, warmUps: 3);
    }

    private static async Task<double> MeasureAsync(ServerProcess server, string[] targets, bool? byFrame) =>
        (await server.CpuOfAsync(() => SocketLoad.BeRefusedAsync(server.Address, targets, byFrame))).TotalMicroseconds / targets.Length;
}
