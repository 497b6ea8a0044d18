using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using static Postern.Tests.Credentials.UserTokenForge;

namespace Postern.Tests.Credentials;

/// <summary>
/// A million generated tokens through our verifier and through npm's jsonwebtoken and jose. Where they differ, one of the reasons in
/// docs/user-tokens.md must hold of that token, judged without our verifier; a difference without one fails.
/// </summary>
public sealed partial class DifferentialTests
{
    private const int Processes = 2;
    private const int Batch = 1000;
    private const int Batches = 20; // on their way at once
    private const string Document = "docs/user-tokens.md";

    private static readonly string Program = Path.Combine(SourceTree.Root, "tests/e2e/clients/verify-tokens.mjs");
    private static readonly int Tokens = int.TryParse(Environment.GetEnvironmentVariable("POSTERN_DIFFERENTIAL_TOKENS"), out var wanted) ? wanted : 1_000_000;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("attack", "A1")]
    [Trait("attack", "A2")]
    [Trait("attack", "A10")]
    [Trait("attack", "A11")]
    [Trait("attack", "A12")]
    [Trait("attack", "A13")]
    public async Task Verdicts_OfAMillionTokens_DifferFromOtherPackagesForTheDocumentedReasonsAlone()
    {
        Assert.SkipWhen(!System.IO.Directory.Exists(Path.Combine(SourceTree.Root, "tests/e2e/node_modules/jsonwebtoken")), "The npm packages are absent: run npm ci in tests/e2e.");
        var seen = new ConcurrentDictionary<string, int>(StringComparer.Ordinal);
        var unexplained = new ConcurrentQueue<string>();
        var counts = await Task.WhenAll(Enumerable.Range(0, Processes).Select(i => RunAsync((ulong)i + 1, Tokens / Processes, seen, unexplained)));

        SourceTree.AssertNone(unexplained.Take(20));
        Assert.Equal(Tokens / Processes * Processes, counts.Sum(count => count.All));
        Assert.InRange(counts.Sum(count => count.Accepted), Tokens / 20, Tokens / 2);
        Assert.Equal(TokenDifferences.Reasons.Select(reason => reason.Name), Documented().Order(StringComparer.Ordinal));
        if (Tokens >= 100_000)
        {
            Assert.Empty(TokenDifferences.Reasons.Select(reason => reason.Name).Except(seen.Keys)); // what never happens explains nothing
        }
    }

    private static async Task<(int All, int Accepted)> RunAsync(ulong seed, int number, ConcurrentDictionary<string, int> seen, ConcurrentQueue<string> unexplained)
    {
        using var node = Start();
        var waiting = new ConcurrentQueue<string>();
        using var room = new SemaphoreSlim(Batches);
        var generator = new TokenGenerator(new Dice(seed));
        // On threads of their own: they wait for most of the time, and in the pool they would keep everybody else's work waiting.
        var writing = Task.Factory.StartNew(() =>
        {
            using var input = new StreamWriter(node.StandardInput.BaseStream, new UTF8Encoding(false)) { NewLine = "\n" };
            for (var i = 0; i < number; i++)
            {
                if (i % Batch == 0)
                {
                    room.Wait(Cancel);
                }
                var token = generator.Next();
                waiting.Enqueue(token);
                input.WriteLine(token);
            }
        }, Cancel, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        var (all, accepted, directory) = (0, 0, TokenGenerator.Directory());
        await Task.Factory.StartNew(() =>
        {
            while (node.StandardOutput.ReadLine() is { } line)
            {
                Assert.True(waiting.TryDequeue(out var token));
                if (++all % Batch == 0)
                {
                    room.Release();
                }
                var ours = Subject(token, directory);
                accepted += ours is null ? 0 : 1;
                if (line == (ours is null ? "[null,null]" : $"[\"{ours}\",\"{ours}\"]"))
                {
                    continue;
                }
                var others = JsonSerializer.Deserialize<string?[]>(line, JsonSerializerOptions.Strict)!;
                if (others.Any(other => other != ours) && TokenDifferences.Explain(token, ours, others, seen, every: all % 8 == 0) is { } problem)
                {
                    unexplained.Enqueue($"jsonwebtoken reads {others[0] ?? "nothing"}, jose {others[1] ?? "nothing"}, we {ours ?? "nothing"}: {problem}: {token}");
                }
            }
        }, Cancel, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await writing;
        await node.WaitForExitAsync(Cancel);
        Assert.True(node.ExitCode == 0, await node.StandardError.ReadToEndAsync(Cancel));
        return (all, accepted);
    }

    private static Process Start()
    {
        var start = new ProcessStartInfo("node") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, StandardOutputEncoding = Encoding.UTF8 };
        start.ArgumentList.Add(Program);
        start.ArgumentList.Add($"{Now.ToUnixTimeSeconds()}");
        start.ArgumentList.Add($"{Kid}={Secret}");
        start.ArgumentList.Add($"{TokenGenerator.EncodingKid}={Secret}");
        return Process.Start(start)!;
    }

    /// <summary>The first column of the table under "Where other packages differ".</summary>
    private static IEnumerable<string> Documented() =>
        from line in SourceTree.Read(Document).Split('\n').SkipWhile(line => !line.StartsWith("## Where other packages differ", StringComparison.Ordinal)).Skip(1).TakeWhile(line => !line.StartsWith("## ", StringComparison.Ordinal))
        let match = Row.Match(line)
        where match.Success && match.Groups["name"].Value != "reason"
        select match.Groups["name"].Value;

    [GeneratedRegex(@"^\| (?<name>[a-z][^|]*?) \|")]
    private static partial Regex Row { get; }
}
