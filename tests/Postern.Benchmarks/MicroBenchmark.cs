using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Postern.Benchmarks.Figures;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Keys;
using Postern.Core.Projects;

namespace Postern.Benchmarks;

/// <summary>Credentials alone, on one thread: 15 runs of at least 80 ms, the best of them and the median.</summary>
internal static class MicroBenchmark
{
    private const int Runs = 15;
    private const double MostNanoseconds = 1500;
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(80);

    public static Task RunAsync(Run run)
    {
        var now = TimeProvider.System.GetUtcNow();
        var ring = new KeyRing([new SigningKey("k1", RandomNumberGenerator.GetBytes(32), SigningKeyState.Active, null)]);
        var grant = new Grant(ProjectId.Default, new AgentId("agent_01jqz5v8k2f3g4h5j6k7m8n9p0"), null, now.AddMinutes(15), null, null, [], null);
        var valid = CredentialIssuer.Issue(ring.Active, CredentialKind.SignedUrl, grant, now).Text;
        var forged = new CredentialText(valid.Value[..^2] + (valid.Value[^2] == 'A' ? 'B' : 'A') + valid.Value[^1]);

        Measure(run, "verify a signed URL", () => CredentialVerifier.Verify(ring, valid, CredentialKind.SignedUrl, now).IsDenied(out _, out _));
        Measure(run, "refuse a forged signed URL", () => CredentialVerifier.Verify(ring, forged, CredentialKind.SignedUrl, now).IsDenied(out _, out _));
        MeasureUserTokens(run, ring, now);
        Measure(run, "issue a signed URL", () => _ = CredentialIssuer.Issue(ring.Active, CredentialKind.SignedUrl, grant, now).Text);
        return Task.CompletedTask;
    }

    // As the vendor's own function makes them. What is allocated is the answer: a token with its key and the user's id.
    private static void MeasureUserTokens(Run run, KeyRing ring, DateTimeOffset now)
    {
        var directory = new Core.Directory(ring);
        var key = new UserTokenKey("11111111-2222-4333-8444-555555555555", ProjectId.Default, "bench", Encoding.UTF8.GetBytes(UserTokenSecret.Create("")), []);
        directory.Put(key);
        var signed = Base64Text.Encode(Encoding.UTF8.GetBytes($$"""{"alg":"HS256","typ":"JWT","kid":"{{key.Id}}"}""")) + "."
            + Base64Text.Encode(Encoding.UTF8.GetBytes($$"""{"sub":"user-1234567","exp":{{now.ToUnixTimeSeconds() + 3600}}}"""));
        var mac = new byte[32];
        key.Hmac.Sign(Encoding.UTF8.GetBytes(signed), mac);
        var valid = $"{signed}.{Base64Text.Encode(mac)}";
        var forged = valid[..^2] + (valid[^2] == 'A' ? 'B' : 'A') + valid[^1];
        var longest = TimeSpan.FromHours(24);

        Measure(run, "verify a user token", () => UserTokenVerifier.Verify(directory, ProjectId.Default, valid, null, longest, now).IsDenied(out _, out _), MostNanoseconds, 0);
        Measure(run, "refuse a forged user token", () => UserTokenVerifier.Verify(directory, ProjectId.Default, forged, null, longest, now).IsDenied(out _, out _));
    }

    private static void Measure(Run run, string name, Action act, double? mostNanoseconds = null, double? mostBytes = null)
    {
        var nanoseconds = new double[Runs];
        var allocated = 0d;
        for (var i = -1; i < Runs; i++) // the first warms up
        {
            var (count, bytes, began) = (0L, GC.GetAllocatedBytesForCurrentThread(), Stopwatch.GetTimestamp());
            TimeSpan time;
            do
            {
                for (var j = 0; j < 100; j++)
                {
                    act();
                }
                count += 100;
                time = Stopwatch.GetElapsedTime(began);
            }
            while (time < Shortest);
            if (i >= 0)
            {
                nanoseconds[i] = time.TotalNanoseconds / count;
                allocated = (double)(GC.GetAllocatedBytesForCurrentThread() - bytes) / count;
            }
        }
        run.Add(new Figure($"{name}: best of {Runs}", "ns", AtMost: mostNanoseconds), nanoseconds.Min());
        run.Add(new Figure($"{name}: median of {Runs}", "ns"), Figure.Median(nanoseconds));
        run.Add(new Figure($"{name}: allocated", "bytes", AtMost: mostBytes), Math.Round(allocated));
    }
}
