using Postern.Benchmarks.Figures;
using Postern.Benchmarks.Load;
using Postern.Benchmarks.Processes;

namespace Postern.Benchmarks;

/// <summary>Durable mints against a bare Kestrel endpoint that answers the same request with as many bytes.</summary>
internal static class MintBenchmark
{
    private const int Connections = 64;

    private static readonly Figure Ratio = new("mint, durable in SQLite, 64 connections: requests/s against a bare Kestrel JSON endpoint", "", AtLeast: 0.7);
    private static readonly Figure PostgresRatio = new("mint, durable in PostgreSQL, 64 connections: requests/s against a bare Kestrel JSON endpoint", "");

    public static async Task RunAsync(Run run)
    {
        await using var postern = await PosternProcess.StartAsync();
        await using var postgres = run.Postgres is { } database ? await PosternProcess.StartAsync(database) : null;
        await using var against = run.Against is { } assembly ? await PosternProcess.StartAsync(assembly: assembly) : null;
        var size = HttpLoad.Collect(postern.Server.Address, PosternProcess.MintRequest, 1, body => body.Length)[0];
        await using var peer = await Peer.StartAsync(size);
        var duration = TimeSpan.FromSeconds(run.Quick ? 1 : 4);

        async Task<double> MeasureAsync(Round round, string name, ServerProcess server)
        {
            LoadResult? result = null;
            var cpu = await server.CpuOfAsync(() => Task.Run(() => result = HttpLoad.Run(server.Address, PosternProcess.MintRequest, Connections, duration)));
            round.Add(new Figure($"{name}: requests/s", ""), result!.PerSecond);
            round.Add(new Figure($"{name}: CPU per request", "µs"), cpu.TotalMicroseconds / result.Count);
            round.Add(new Figure($"{name}: p50", "ms"), result.Percentile(0.5));
            round.Add(new Figure($"{name}: p99", "ms"), result.Percentile(0.99));
            return result.PerSecond;
        }

        await run.RoundsAsync(async round =>
        {
            var (bare, sqlite, other) = (0d, 0d, 0d);
            await round.InTurnAsync(
                async () => bare = await MeasureAsync(round, "bare Kestrel", peer),
                async () => sqlite = await MeasureAsync(round, "mint, SQLite", postern.Server),
                async () => other = postgres is null ? 0 : await MeasureAsync(round, "mint, PostgreSQL", postgres.Server),
                async () => _ = against is null ? 0 : await MeasureAsync(round, "mint, other build", against.Server));
            round.Add(Ratio, sqlite / bare);
            if (postgres is not null)
            {
                round.Add(PostgresRatio, other / bare);
            }
        });
    }
}
