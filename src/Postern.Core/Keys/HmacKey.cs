using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Postern.Core.Keys;

/// <summary>An HMAC-SHA256 secret (RFC 7518, 3.2), for many threads at once.</summary>
internal sealed class HmacKey(byte[] secret)
{
    /// <summary>The length of a MAC in bytes.</summary>
    public const int MacLength = 32;

    private readonly ConcurrentBag<IncrementalHash> hashes = []; // an IncrementalHash costs half of the static call but is not thread-safe

    /// <summary>Writes the MAC of <paramref name="data"/>.</summary>
    public void Sign(ReadOnlySpan<byte> data, Span<byte> mac)
    {
        if (!hashes.TryTake(out var hash))
        {
            hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, secret);
        }
        hash.AppendData(data);
        hash.GetHashAndReset(mac);
        hashes.Add(hash);
    }

    /// <summary>Whether <paramref name="mac"/> is the MAC of <paramref name="data"/>, in time that does not depend on either's content.</summary>
    public bool Matches(ReadOnlySpan<byte> data, ReadOnlySpan<byte> mac)
    {
        Span<byte> expected = stackalloc byte[MacLength];
        Sign(data, expected);
        return CryptographicOperations.FixedTimeEquals(expected, mac);
    }
}
