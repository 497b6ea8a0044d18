using System.Globalization;
using Postern.Benchmarks.Figures;

namespace Postern.Benchmarks;

/// <summary>Reads the command line, runs the benchmarks one after the other and prints what they measured.</summary>
internal static class Harness
{
    private const string Usage =
        """
        usage: dotnet run -c Release --project tests/Postern.Benchmarks [-- NAME … --rounds N --quick --postgres CONNECTION_STRING --against POSTERN_DLL --write FILE]
        NAME is any of: mint, kinds, handshake, round-trip, chat, conversation, memory, refusal, micro, timing; all of them when none is named.
        --against measures another build of Postern beside this one: mint, handshake, round-trip, refusal.
        --write puts the report into a Markdown file, between its two marks.
        """;

    private static readonly IReadOnlyDictionary<string, Func<Run, Task>> Benchmarks = new Dictionary<string, Func<Run, Task>>(StringComparer.Ordinal)
    {
        ["mint"] = MintBenchmark.RunAsync,
        ["kinds"] = KindsBenchmark.RunAsync,
        ["handshake"] = HandshakeBenchmark.RunAsync,
        ["round-trip"] = RoundTripBenchmark.RunAsync,
        ["chat"] = ChatBenchmark.RunAsync,
        ["conversation"] = ConversationBenchmark.RunAsync,
        ["memory"] = MemoryBenchmark.RunAsync,
        ["refusal"] = RefusalBenchmark.RunAsync,
        ["micro"] = MicroBenchmark.RunAsync,
        ["timing"] = TimingBenchmark.RunAsync,
    };

    public static async Task<int> RunAsync(string[] args)
    {
        var names = new List<string>();
        var (rounds, quick, postgres, against, file) = (0, false, (string?)null, (string?)null, (string?)null);
        for (var i = 0; i < args.Length; i++)
        {
            switch (args[i])
            {
                case "--quick":
                    quick = true;
                    break;
                case "--rounds" when i + 1 < args.Length && int.TryParse(args[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out rounds) && rounds is > 0 and <= 100:
                    i++;
                    break;
                case "--postgres" when i + 1 < args.Length:
                    postgres = args[++i];
                    break;
                case "--against" when i + 1 < args.Length:
                    against = Path.GetFullPath(args[++i]);
                    break;
                case "--write" when i + 1 < args.Length:
                    file = args[++i];
                    break;
                case var name when Benchmarks.ContainsKey(name):
                    names.Add(name);
                    break;
                default:
                    await Console.Error.WriteLineAsync(Usage);
                    return 2;
            }
        }
#if DEBUG
        await Console.Error.WriteLineAsync("This is a debug build: its figures mean nothing. Add -c Release.");
#endif
        // Ctrl-C ends this process by its normal way out, on which the servers are stopped.
        Console.CancelKeyPress += (_, press) =>
        {
            press.Cancel = true;
            Environment.Exit(130);
        };
        var run = new Run(rounds > 0 ? rounds : quick ? 2 : 5, quick, postgres, against);
        foreach (var (name, benchmark) in Benchmarks.Where(one => names.Count == 0 || names.Contains(one.Key, StringComparer.Ordinal)))
        {
            run.Benchmark = name;
            await benchmark(run);
        }
        // The password of a database is nothing for a page.
        var shown = string.Join(' ', args.Where((arg, i) => arg is not "--write" && (i == 0 || args[i - 1] is not "--write")).Select(arg => arg == postgres ? "…" : arg));
        var report = Report.Write(run, $"dotnet run -c Release --project tests/Postern.Benchmarks{(shown.Length > 0 ? " -- " + shown : "")}", TimeProvider.System.GetLocalNow());
        Console.WriteLine(report);
        if (file is not null)
        {
            Report.WriteInto(file, report);
        }
        return 0;
    }
}
