using System.Diagnostics;
using Postern.Benchmarks.Figures;
using Postern.Benchmarks.Load;
using Postern.Benchmarks.Processes;

namespace Postern.Benchmarks;

/// <summary>A text message of 1 KiB to the echo server and back, with and without Postern between, one at a time.</summary>
internal static class RoundTripBenchmark
{
    private const int Block = 250;

    private static readonly Figure Added = new("round trip of 1 KiB through the relay: added at p50", "µs", AtMost: 40);
    private static readonly Figure AddedCpu = new("CPU of Postern per round trip", "µs");

    public static async Task RunAsync(Run run)
    {
        await using var peer = await Peer.StartAsync();
        await using var postern = await PosternProcess.StartAsync();
        await postern.RelayToAsync(peer.Address);
        await using var against = run.Against is { } assembly ? await PosternProcess.StartAsync(assembly: assembly) : null;
        await (against?.RelayToAsync(peer.Address) ?? Task.CompletedTask);
        var blocks = run.Quick ? 8 : 40;
        var message = SocketClient.Frame(SocketClient.Text, Enumerable.Repeat((byte)'a', 1024).ToArray());

        await run.RoundsAsync(async round =>
        {
            using var direct = (await SocketLoad.OpenAsync(peer.Address, [Peer.EchoPath]))[0];
            using var relayed = (await SocketLoad.OpenAsync(postern.Server.Address, await postern.MintAsync(1)))[0];
            using var there = against is null ? null : (await SocketLoad.OpenAsync(against.Server.Address, await against.MintAsync(1)))[0];
            var (own, through, other) = (new List<double>(), new List<double>(), new List<double>());
            var (cpu, otherCpu) = (TimeSpan.Zero, TimeSpan.Zero);
            // In short blocks by turns: a neighbour that wakes up slows both.
            for (var i = 0; i < blocks; i++)
            {
                await round.InTurnAsync(
                    () => Task.Run(() => Measure(direct, message, own)),
                    async () => cpu += await postern.Server.CpuOfAsync(() => Task.Run(() => Measure(relayed, message, through))),
                    async () => otherCpu += there is null ? default : await against!.Server.CpuOfAsync(() => Task.Run(() => Measure(there, message, other))));
            }
            await SocketLoad.CloseAsync([direct, relayed]);
            round.Add(Added, Percentile(through, 0.5) - Percentile(own, 0.5));
            round.Add(new Figure("direct: p50", "µs"), Percentile(own, 0.5));
            round.Add(new Figure("direct: p99", "µs"), Percentile(own, 0.99));
            round.Add(new Figure("relayed: p50", "µs"), Percentile(through, 0.5));
            round.Add(new Figure("relayed: p99", "µs"), Percentile(through, 0.99));
            round.Add(AddedCpu, cpu.TotalMicroseconds / through.Count);
            if (there is not null)
            {
                await SocketLoad.CloseAsync([there]);
                round.Add(new Figure("other build: added at p50", "µs"), Percentile(other, 0.5) - Percentile(own, 0.5));
                round.Add(new Figure("other build: CPU per round trip", "µs"), otherCpu.TotalMicroseconds / other.Count);
            }
        });
    }

    private static void Measure(SocketClient client, byte[] message, List<double> microseconds)
    {
        for (var i = 0; i < Block; i++)
        {
            var began = Stopwatch.GetTimestamp();
            client.Echo(message);
            microseconds.Add(Stopwatch.GetElapsedTime(began).TotalMicroseconds);
        }
    }

    private static double Percentile(List<double> values, double part) => values.Order().ElementAt((int)(part * (values.Count - 1)));
}
