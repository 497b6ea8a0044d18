using System.Diagnostics;
using System.Security.Cryptography;
using Postern.Benchmarks.Figures;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Keys;
using Postern.Core.Projects;

namespace Postern.Benchmarks;

/// <summary>
/// Whether the time of a refusal tells where a forged MAC is wrong (attack B10): two classes of samples in random order on one thread,
/// the slowest tenth of both left out, Welch's t of what remains. Beyond 4.5 the two can be told apart.
/// </summary>
internal static class TimingBenchmark
{
    private const int Quick = 100_000, Whole = 1_000_000;
    private const double Kept = 0.9;

    public static Task RunAsync(Run run)
    {
        var now = TimeProvider.System.GetUtcNow();
        var ring = new KeyRing([new SigningKey("k1", RandomNumberGenerator.GetBytes(32), SigningKeyState.Active, null)]);
        var grant = new Grant(ProjectId.Default, new AgentId("agent_01jqz5v8k2f3g4h5j6k7m8n9p0"), null, now.AddMinutes(15), null, null, [], null);
        var text = CredentialIssuer.Issue(ring.Active, CredentialKind.SignedUrl, grant, now).Text.Value;
        var mac = text.LastIndexOf('.') + 1;
        foreach (var (name, other) in new[]
        {
            ("wrong at byte 0 against wrong at byte 31", Wrong(text, mac + 41)), ("wrong at byte 0 against wrong at byte 15", Wrong(text, mac + 21)),
            // What the machine and the method add by themselves: beyond 4.5 here, the others say nothing.
            ("wrong at byte 0 against the same", Wrong(text, mac)),
        })
        {
            var t = Compare(run.Quick ? Quick : Whole, Wrong(text, mac), other, forged => CredentialVerifier.Verify(ring, forged, CredentialKind.SignedUrl, now).IsDenied(out _, out _));
            run.Add(new Figure($"MAC {name}: Welch's t over {(run.Quick ? Quick : Whole):#,0} samples a class", "", AtMost: 4.5), t);
        }
        return Task.CompletedTask;
    }

    private static CredentialText Wrong(string text, int at) => new(text[..at] + (text[at] == 'A' ? 'B' : 'A') + text[(at + 1)..]);

    private static double Compare(int samples, CredentialText one, CredentialText other, Action<CredentialText> act)
    {
        // Where a text lies in memory shows in its time, too: many copies of each, by turns.
        var classes = Enumerable.Range(0, 128).Select(i => new CredentialText(new string(((i & 1) == 0 ? one : other).Value.AsSpan()))).ToArray();
        var times = new[] { new long[samples], new long[samples] };
        var (counts, order) = (new int[2], new byte[8192]);
        for (var i = 0; i < 40_000; i++)
        {
            act(classes[i & 127]);
        }
        while (counts[0] < samples || counts[1] < samples)
        {
            RandomNumberGenerator.Fill(order);
            foreach (var bits in order)
            {
                var text = classes[bits & 127];
                var began = Stopwatch.GetTimestamp();
                act(text);
                var took = Stopwatch.GetTimestamp() - began;
                if (counts[bits & 1] < samples)
                {
                    times[bits & 1][counts[bits & 1]++] = took;
                }
            }
        }
        // What the machine did meanwhile stands in the slowest ones; both classes are cut at the same time.
        var longest = times[0].Concat(times[1]).Order().ElementAt((int)(2 * samples * Kept));
        var (a, b) = (Moments(times[0], longest), Moments(times[1], longest));
        return Math.Abs(a.Mean - b.Mean) / Math.Sqrt((a.Variance / a.Count) + (b.Variance / b.Count));
    }

    private static (double Mean, double Variance, int Count) Moments(long[] times, long longest)
    {
        var kept = times.Where(time => time <= longest).Select(time => (double)time).ToArray();
        var mean = kept.Average();
        return (mean, kept.Sum(time => (time - mean) * (time - mean)) / (kept.Length - 1), kept.Length);
    }
}
