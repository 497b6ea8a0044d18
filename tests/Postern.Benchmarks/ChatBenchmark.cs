using System.Diagnostics;
using System.Globalization;
using System.Text;
using Postern.Benchmarks.Figures;
using Postern.Benchmarks.Processes;

namespace Postern.Benchmarks;

/// <summary>
/// From a chat endpoint's write to the client's receipt, with and without Postern between: the endpoint's tokens are the time at which it
/// wrote them, by the machine's one monotonic clock.
/// </summary>
internal static class ChatBenchmark
{
    private static readonly Figure Added = new("first token of a chat endpoint: added at p50", "ms", AtMost: 1);

    public static async Task RunAsync(Run run)
    {
        await using var peer = await Peer.StartAsync();
        await using var postern = await PosternProcess.StartAsync();
        await postern.AskAsync(peer.Address);
        using var http = new HttpClient();
        var answers = run.Quick ? 20 : 100;

        await run.RoundsAsync(async round =>
        {
            var (direct, through) = (new Latencies(), new Latencies());
            // One answer each by turns: a neighbour that wakes up slows both.
            for (var i = 0; i < answers; i++)
            {
                await round.InTurnAsync(
                    () => ReadAsync(http, new HttpRequestMessage(HttpMethod.Post, $"http://{peer.Address}{Peer.ChatPath}/chat/completions") { Content = new StringContent("{}") }, direct),
                    () => ReadAsync(http, postern.Say("hello"), through));
            }
            round.Add(Added, through.First(0.5) - direct.First(0.5));
            round.Add(new Figure("first token: added at p99", "ms"), through.First(0.99) - direct.First(0.99));
            round.Add(new Figure("first token, direct: p50", "ms"), direct.First(0.5));
            round.Add(new Figure("first token, direct: p99", "ms"), direct.First(0.99));
            round.Add(new Figure("first token, through Postern: p50", "ms"), through.First(0.5));
            round.Add(new Figure("first token, through Postern: p99", "ms"), through.First(0.99));
            round.Add(new Figure("later tokens: added at p50", "ms"), through.Later(0.5) - direct.Later(0.5));
            round.Add(new Figure("later tokens: added at p99", "ms"), through.Later(0.99) - direct.Later(0.99));
        });
    }

    private static async Task ReadAsync(HttpClient http, HttpRequestMessage request, Latencies latencies)
    {
        using var asked = request;
        using var answer = await http.SendAsync(asked, HttpCompletionOption.ResponseHeadersRead);
        answer.EnsureSuccessStatusCode();
        await using var stream = await answer.Content.ReadAsStreamAsync();
        var (buffer, end, at) = (new byte[64 * 1024], 0, 0);
        for (var tokens = 0; ;)
        {
            var count = await stream.ReadAsync(buffer.AsMemory(end));
            var now = Stopwatch.GetTimestamp();
            if (count == 0)
            {
                return;
            }
            end += count;
            while (tokens < Peer.ChatTokens && Token(buffer.AsSpan(at, end - at), out var written) is > 0 and var length)
            {
                at += length;
                latencies.Add(Stopwatch.GetElapsedTime(written, now).TotalMilliseconds, isFirst: tokens++ == 0);
            }
        }
    }

    // A token is «digits»; how far it reaches, or 0 when none is there yet.
    private static int Token(ReadOnlySpan<byte> bytes, out long written)
    {
        written = 0;
        var open = bytes.IndexOf("<"u8);
        var close = open < 0 ? -1 : bytes[open..].IndexOf(">"u8);
        if (close < 0)
        {
            return 0;
        }
        written = long.Parse(Encoding.ASCII.GetString(bytes.Slice(open + 1, close - 1)), CultureInfo.InvariantCulture);
        return open + close + 1;
    }

    private sealed class Latencies
    {
        private readonly List<double> first = [], later = [];

        public void Add(double milliseconds, bool isFirst) => (isFirst ? first : later).Add(milliseconds);

        public double First(double part) => Percentile(first, part);

        public double Later(double part) => Percentile(later, part);

        private static double Percentile(List<double> values, double part) => values.Order().ElementAt((int)(part * (values.Count - 1)));
    }
}
