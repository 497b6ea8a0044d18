using System.Text.Json;
using Postern.Core.Keys;

namespace Postern.Core.Credentials;

/// <summary>
/// The one strict reader of compact JWS (RFC 7515, 3.1; RFC 8725): HS256 only, three canonical base64url segments, no critical
/// extension, no key in the header, no duplicate member. Anything else is no JWS.
/// </summary>
public static class CompactJws
{
    /// <summary>Longer texts are refused before anything is decoded.</summary>
    public const int LongestText = 8192;

    private const int MacLength = 32;
    private const int EncodedMacLength = 43;

    /// <summary>
    /// The payload of a JWS that <paramref name="findKey"/>'s key has signed; false otherwise. <paramref name="wellFormed"/> tells a
    /// text that is no JWS from one whose key or signature is wrong.
    /// </summary>
    /// <param name="text">ASCII.</param>
    /// <param name="findKey">The key for a <c>kid</c> (null when the header has none); never sees a hostile id.</param>
    /// <param name="payload">Receives the decoded payload; at least <see cref="LongestText"/> bytes.</param>
    /// <param name="written">The payload's length.</param>
    /// <param name="wellFormed">Whether it was a JWS at all.</param>
    public static bool TryVerify(ReadOnlySpan<byte> text, Func<string?, string?, SigningKey?> findKey, Span<byte> payload, out int written, out bool wellFormed)
    {
        written = 0;
        wellFormed = TrySplit(text, out var header, out var body, out var mac);
        if (!wellFormed || !TryReadHeader(header, out var kid, out var type))
        {
            wellFormed = false;
            return false;
        }
        return findKey(kid, type) is { } key && TryVerify(text, key, body, mac, payload, out written, out wellFormed);
    }

    /// <summary>As above, for our own credentials: the header must be byte for byte the one that a key of the ring writes, so it is not parsed.</summary>
    internal static bool TryVerify(ReadOnlySpan<byte> text, KeyRing ring, CredentialKind kind, DateTimeOffset now, Span<byte> payload, out int written, out bool wellFormed, out SigningKey? signer)
    {
        written = 0;
        signer = null;
        wellFormed = TrySplit(text, out var header, out var body, out var mac);
        if (!wellFormed)
        {
            return false;
        }
        foreach (var key in ring.Keys)
        {
            if (header.Length == key.Header(kind).Length && header.StartsWith(key.Header(kind)))
            {
                signer = key;
                return key.Verifies(now) && TryVerify(text, key, body, mac, payload, out written, out wellFormed);
            }
        }
        return false;
    }

    private static bool TryVerify(ReadOnlySpan<byte> text, SigningKey key, ReadOnlySpan<byte> body, ReadOnlySpan<byte> mac, Span<byte> payload, out int written, out bool wellFormed)
    {
        Span<byte> presented = stackalloc byte[MacLength];
        written = 0;
        wellFormed = Base64Text.TryDecode(mac, presented, out var length) && length == MacLength;
        return wellFormed
            && key.Matches(text[..^(mac.Length + 1)], presented)
            && Base64Text.TryDecode(body, payload, out written);
    }

    private static bool TrySplit(ReadOnlySpan<byte> text, out ReadOnlySpan<byte> header, out ReadOnlySpan<byte> body, out ReadOnlySpan<byte> mac)
    {
        header = body = mac = default;
        if (text.Length > LongestText)
        {
            return false;
        }
        var first = text.IndexOf((byte)'.');
        var last = text.LastIndexOf((byte)'.');
        if (first <= 0 || last == first || text.Length - last - 1 != EncodedMacLength)
        {
            return false;
        }
        header = text[..first];
        body = text[(first + 1)..last];
        mac = text[(last + 1)..];
        return !body.Contains((byte)'.');
    }

    private static bool TryReadHeader(ReadOnlySpan<byte> encoded, out string? kid, out string? type)
    {
        (kid, type) = (null, null);
        Span<byte> json = stackalloc byte[1024];
        if (encoded.Length > 1024 || !Base64Text.TryDecode(encoded, json, out var length))
        {
            return false;
        }
        try
        {
            using var document = JsonDocument.Parse(json[..length].ToArray(), StrictJson.Document);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("alg", out var alg)
                || alg.ValueKind != JsonValueKind.String || !alg.ValueEquals("HS256"u8))
            {
                return false;
            }
            foreach (var member in root.EnumerateObject())
            {
                switch (member.Name)
                {
                    case "crit" or "b64" or "zip" or "jwk" or "jku" or "x5u" or "x5c" or "x5t" or "x5t#S256" or "enc":
                        return false;
                    case "kid":
                        kid = member.Value.GetString();
                        if (kid is null || !SigningKey.IsId(kid))
                        {
                            return false;
                        }
                        break;
                    case "typ":
                        type = member.Value.GetString();
                        break;
                }
            }
            return true;
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return false;
        }
    }
}
