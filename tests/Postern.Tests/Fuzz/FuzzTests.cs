using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace Postern.Tests.Fuzz;

/// <summary>
/// Ten million hostile inputs in every run, always the same ones. POSTERN_FUZZ_INPUTS takes more of them by hand, POSTERN_FUZZ_SEED
/// others.
/// </summary>
public sealed class FuzzTests(ITestOutputHelper output)
{
    private const long Inputs = 10_000_000;
    private const int Threads = 2;

    [Fact]
    [Trait("attack", "A12")]
    [Trait("attack", "B1")]
    [Trait("attack", "B14")]
    [Trait("attack", "C5")]
    public void HostileInputs_TenMillion_NeitherEscapeNorPass()
    {
        var inputs = Math.Max(Inputs, Number("POSTERN_FUZZ_INPUTS", Inputs));
        var seed = (ulong)Number("POSTERN_FUZZ_SEED", 1);
        var counts = new ConcurrentDictionary<string, long>();
        var findings = new ConcurrentQueue<string>();
        var time = Stopwatch.StartNew();

        var threads = Enumerable.Range(0, Threads)
            .Select(thread => new Thread(() => Run(inputs / Threads, new Dice(seed + (ulong)thread), counts, findings)))
            .ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());

        output.WriteLine($"{counts.Values.Sum():N0} inputs in {time.Elapsed.TotalSeconds:0.0} s: {string.Join(", ", counts.Select(pair => $"{pair.Key} {pair.Value:N0}"))}");
        SourceTree.AssertNone(findings);
        Assert.True(counts.Values.Sum() >= inputs, $"only {counts.Values.Sum():N0} inputs ran");
        Assert.Equal(12, counts.Count);
    }

    private static void Run(long inputs, Dice dice, ConcurrentDictionary<string, long> counts, ConcurrentQueue<string> findings)
    {
        Target[] targets = [new ForgedCredentials(), new ForgedJws(), new SignedNonsense(), new Origins(), new Protocols(), new Queries(), new FirstMessages(), new AgentDocuments(), new AgentBodies(), new MintBodies(), new VendorSockets(), new CompletionBodies()];
        var shares = targets.Sum(target => target.Share);
        var done = 0L;
        foreach (var target in targets)
        {
            var mutator = new Mutator(target.Seeds, dice);
            var share = target == targets[^1] ? inputs - done : inputs * target.Share / shares;
            for (var i = 0L; i < share && findings.Count < 20; i++)
            {
                Try(target, mutator.Next(), dice, findings);
                done++;
            }
            counts.AddOrUpdate(target.GetType().Name, share, (_, present) => present + share);
        }
    }

    private static void Try(Target target, ReadOnlySpan<byte> input, Dice dice, ConcurrentQueue<string> findings)
    {
        try
        {
            target.Try(input, dice);
        }
        catch (Exception e)
        {
            findings.Enqueue($"{target.GetType().Name}: {(e is FuzzFinding ? e.Message : e.ToString())}\n  input {Convert.ToHexString(input)}");
        }
    }

    private static long Number(string variable, long otherwise) =>
        long.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : otherwise;
}
