using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Postern.Core;
using Postern.Core.Credentials;

namespace Postern.Server.Flow;

/// <summary>
/// Counts refusals by address and, of genuine credentials, by credential, from wherever it comes. It is asked only after a refusal:
/// whoever brings a valid credential is never held up by others behind the same address.
/// </summary>
internal sealed class RefusalLimiter(int perMinute, TimeProvider clock)
{
    private const int MostCounted = 100_000;
    private readonly ConcurrentDictionary<IPAddress, int> addresses = new();
    private readonly ConcurrentDictionary<CredentialId, int> credentials = new();
    private long minute;

    /// <summary>
    /// Counts one refusal; true when the address or the credential has had more than its share this minute. That the server stops, or
    /// cannot, is nobody's fault and counts against nobody.
    /// </summary>
    public bool Exceeds(IPAddress? address, Denial? denial = null)
    {
        if (denial is { Reason: DenialReason.ShuttingDown or DenialReason.Unavailable })
        {
            return false;
        }
        var now = clock.GetUtcNow().ToUnixTimeSeconds() / 60;
        if (Interlocked.Exchange(ref minute, now) != now)
        {
            addresses.Clear();
            credentials.Clear();
        }
        var ofCredential = denial?.Credential is { } credential && Count(credentials, credential) > perMinute;
        return Count(addresses, Network(address ?? IPAddress.None)) > perMinute || ofCredential;
    }

    /// <summary>Seconds until the count starts anew.</summary>
    public int RetryAfter => 60 - (int)(clock.GetUtcNow().ToUnixTimeSeconds() % 60);

    private static int Count<T>(ConcurrentDictionary<T, int> counts, T key) where T : notnull
    {
        if (counts.Count > MostCounted)
        {
            counts.Clear();
        }
        return counts.AddOrUpdate(key, 1, static (_, count) => count + 1);
    }

    // One subscriber has 2^64 addresses of IPv6 and may take another for every request.
    private static IPAddress Network(IPAddress address)
    {
        if (address.AddressFamily != AddressFamily.InterNetworkV6)
        {
            return address;
        }
        if (address.IsIPv4MappedToIPv6)
        {
            return address.MapToIPv4();
        }
        var bytes = address.GetAddressBytes();
        Array.Clear(bytes, 8, 8);
        return new IPAddress(bytes);
    }
}
