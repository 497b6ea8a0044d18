using System.Collections.Concurrent;
using System.Net;

namespace Postern.Server.Flow;

/// <summary>
/// Counts refusals by address. It is asked only after a refusal: whoever brings a valid credential is never held up by others behind
/// the same address.
/// </summary>
internal sealed class RefusalLimiter(int perMinute, TimeProvider clock)
{
    private const int MostAddresses = 100_000;
    private readonly ConcurrentDictionary<IPAddress, int> counts = new();
    private long minute;

    /// <summary>Counts one refusal; true when the address has had more than its share this minute.</summary>
    public bool Exceeds(IPAddress? address)
    {
        var now = clock.GetUtcNow().ToUnixTimeSeconds() / 60;
        if (Interlocked.Exchange(ref minute, now) != now || counts.Count > MostAddresses)
        {
            counts.Clear();
        }
        return counts.AddOrUpdate(address ?? IPAddress.None, 1, static (_, count) => count + 1) > perMinute;
    }

    /// <summary>Seconds until the count starts anew.</summary>
    public int RetryAfter => 60 - (int)(clock.GetUtcNow().ToUnixTimeSeconds() % 60);
}
