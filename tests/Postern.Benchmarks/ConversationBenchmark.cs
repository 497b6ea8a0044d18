using System.Diagnostics;
using System.Security.Cryptography;
using Postern.Benchmarks.Figures;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Conversations;
using Postern.Core.Projects;
using Postern.Server.Storage;

namespace Postern.Benchmarks;

/// <summary>
/// Turns of conversations, question and answer, sealed and durable, against commits of one row by the same writer; and whether the time
/// of an answer tells another user's conversation from none.
/// </summary>
internal static class ConversationBenchmark
{
    private const int Together = 64;
    private const int Looked = 4000;

    private static readonly string Said = new('x', 400);

    // Of this run alone: what an earlier one has left in PostgreSQL was sealed under another key.
    private static readonly ProjectId Project = new("benchmark_" + RandomText.Base62(12));
    private static readonly AgentId Agent = new("agent_echo");

    public static async Task RunAsync(Run run)
    {
        var folder = System.IO.Directory.CreateTempSubdirectory("postern-benchmark-").FullName;
        try
        {
            await using (var database = Database.Sqlite(Path.Combine(folder, "postern.db")))
            {
                await RunAsync(run, "SQLite", database);
            }
            if (run.Postgres is { } text)
            {
                await using var database = Database.Postgres(text);
                await RunAsync(run, "PostgreSQL", database);
            }
        }
        finally
        {
            System.IO.Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task RunAsync(Run run, string engine, Database database)
    {
        database.Migrate(TimeProvider.System.GetUtcNow());
        await using var writer = new GroupedWriter(database);
        var store = new ConversationStore(database, writer, new SecretBox(RandomNumberGenerator.GetBytes(SecretBox.KeyLength)));
        var duration = TimeSpan.FromSeconds(run.Quick ? 1 : 4);
        var name = $"conversation turn, {engine}";
        await run.RoundsAsync(async round =>
        {
            var (commits, turns) = (0d, 0d);
            await round.InTurnAsync(
                async () => commits = await RateAsync(1, duration, (_, _) => writer.RecordAsync(new AuditEvent(TimeProvider.System.GetUtcNow(), "benchmark"))),
                async () =>
                {
                    var began = Process.GetCurrentProcess().TotalProcessorTime;
                    var count = 0L;
                    turns = await RateAsync(Together, duration, (worker, i) =>
                    {
                        Interlocked.Increment(ref count);
                        return SayAsync(store, $"user-{worker}", $"{round.GetHashCode()}-{worker}-{i / 20}", i);
                    });
                    round.Add(new Figure($"{name}: CPU per turn", "µs"), (Process.GetCurrentProcess().TotalProcessorTime - began).TotalMicroseconds / count);
                });
            round.Add(new Figure($"{name}: commits/s of one row at a time", ""), commits);
            round.Add(new Figure($"{name}, {Together} at once: turns/s", ""), turns);
            round.Add(new Figure($"{name}, {Together} at once: turns/s against commits/s of one row at a time", "", AtLeast: 1), turns / commits);
            round.Add(new Figure($"{name}: another user's conversation against none: Welch's t of {Looked} looks each", "", AtMost: 4.5), Math.Abs(Welch(store)));
        });
    }

    private static Task SayAsync(ConversationStore store, string user, string id, int turn)
    {
        var now = TimeProvider.System.GetUtcNow();
        return store.AppendAsync(Of(user), id, [Message.Of($"q{turn}", TurnRole.User, Said, now), Message.Of($"a{turn}", TurnRole.Agent, Said, now) with { FromAgent = true }], now);
    }

    private static Owner Of(string user) => new(Project, Agent, user);

    private static async Task<double> RateAsync(int together, TimeSpan duration, Func<int, int, Task> act)
    {
        var began = Stopwatch.GetTimestamp();
        var counts = await Task.WhenAll(Enumerable.Range(0, together).Select(async worker =>
        {
            var i = 0;
            for (; Stopwatch.GetElapsedTime(began) < duration; i++)
            {
                await act(worker, i);
            }
            return i;
        }));
        return counts.Sum() / Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    // By turns and in random order of ids; the slowest twentieth is the machine's.
    private static double Welch(ConversationStore store)
    {
        var others = store.ListBySeq(new ConversationListing(Project, Agent) { Limit = 500 }, 0).Where(row => row.Owner.Subject != "user-0").Select(row => row.Id).ToList();
        var times = new[] { new List<double>(Looked), new List<double>(Looked) };
        for (var i = 0; i < 2 * Looked; i++)
        {
            var none = i % 2 == 1;
            var id = others[RandomNumberGenerator.GetInt32(others.Count)];
            var began = Stopwatch.GetTimestamp();
            _ = store.Find(Project, Agent, "user-0", none ? id[..^1] + "x" : id);
            times[none ? 1 : 0].Add(Stopwatch.GetElapsedTime(began).TotalMicroseconds);
        }
        var (a, b) = (Trimmed(times[0]), Trimmed(times[1]));
        return (a.Mean - b.Mean) / Math.Sqrt((a.Variance / a.Count) + (b.Variance / b.Count));
    }

    private static (double Mean, double Variance, int Count) Trimmed(List<double> times)
    {
        var kept = times.Order().Take(times.Count * 19 / 20).ToList();
        var mean = kept.Average();
        return (mean, kept.Sum(time => (time - mean) * (time - mean)) / (kept.Count - 1), kept.Count);
    }
}
