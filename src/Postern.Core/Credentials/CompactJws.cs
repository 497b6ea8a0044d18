using System.Text.Json;
using System.Text.Unicode;
using Postern.Core.Keys;

namespace Postern.Core.Credentials;

/// <summary>
/// The one strict reader of compact JWS (RFC 7515, 3.1; RFC 8725): HS256 only, three canonical base64url segments, no critical
/// extension, no key in the header, no duplicate member. Anything else is no JWS. What was read is not verified yet: the payload is
/// to be had from <see cref="TryVerify(HmacKey, Span{byte}, out int)"/> alone.
/// </summary>
public readonly ref struct CompactJws
{
    /// <summary>Longer texts are refused before anything is decoded.</summary>
    public const int LongestText = 8192;

    private const int LongestHeader = 1024;
    private const int EncodedMacLength = 43;

    private readonly ReadOnlySpan<byte> signed;
    private readonly ReadOnlySpan<byte> body;
    private readonly ReadOnlySpan<byte> mac;

    private CompactJws(ReadOnlySpan<byte> signed, ReadOnlySpan<byte> body, ReadOnlySpan<byte> mac, ReadOnlySpan<byte> kid, ReadOnlySpan<byte> type)
    {
        this.signed = signed;
        this.body = body;
        this.mac = mac;
        Kid = kid;
        Type = type;
    }

    /// <summary>The <c>kid</c>, never a hostile one; empty when the header has none.</summary>
    public ReadOnlySpan<byte> Kid { get; }

    /// <summary>The <c>typ</c>, as it is written; empty when the header has none.</summary>
    public ReadOnlySpan<byte> Type { get; }

    /// <summary>Reads a text without trust; false when it is no JWS of our form.</summary>
    /// <param name="text">ASCII.</param>
    /// <param name="buffer">Keeps what is decoded; at least as long as the text.</param>
    /// <param name="jws">Refers to both.</param>
    public static bool TryRead(ReadOnlySpan<byte> text, Span<byte> buffer, out CompactJws jws)
    {
        jws = default;
        if (!TrySplit(text, out var header, out var body, out var mac)
            || !Base64Text.TryDecode(mac, buffer, out var macLength) || macLength != HmacKey.MacLength
            || header.Length > LongestHeader || !Base64Text.TryDecode(header, buffer[macLength..], out var length)
            || !TryReadHeader(buffer.Slice(macLength, length), out var kid, out var type))
        {
            return false;
        }
        jws = new CompactJws(text[..^(mac.Length + 1)], body, buffer[..macLength], kid, type);
        return true;
    }

    /// <summary>The payload, if <paramref name="key"/> has signed the bytes as they were received.</summary>
    internal bool TryVerify(HmacKey key, Span<byte> payload, out int written)
    {
        written = 0;
        return key.Matches(signed, mac) && Base64Text.TryDecode(body, payload, out written);
    }

    /// <summary>For our own credentials: the header must be byte for byte the one that a key of the ring writes, so it is not parsed.</summary>
    internal static bool TryVerify(ReadOnlySpan<byte> text, KeyRing ring, CredentialKind kind, DateTimeOffset now, Span<byte> payload, out int written, out bool wellFormed, out SigningKey? signer)
    {
        written = 0;
        signer = null;
        wellFormed = TrySplit(text, out var header, out var body, out var mac);
        if (!wellFormed)
        {
            return false;
        }
        Span<byte> presented = stackalloc byte[HmacKey.MacLength];
        foreach (var key in ring.Keys)
        {
            if (header.Length == key.Header(kind).Length && header.StartsWith(key.Header(kind)))
            {
                signer = key;
                wellFormed = !key.Verifies(now) || (Base64Text.TryDecode(mac, presented, out var length) && length == HmacKey.MacLength);
                return wellFormed && key.Verifies(now)
                    && new CompactJws(text[..^(mac.Length + 1)], body, presented, default, default).TryVerify(key.Hmac, payload, out written);
            }
        }
        return false;
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

    private static bool TryReadHeader(ReadOnlySpan<byte> json, out ReadOnlySpan<byte> kid, out ReadOnlySpan<byte> type)
    {
        try
        {
            return TryReadStrictly(json, out kid, out type);
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            kid = type = default;
            return false;
        }
    }

    private static bool TryReadStrictly(ReadOnlySpan<byte> json, out ReadOnlySpan<byte> kid, out ReadOnlySpan<byte> type)
    {
        kid = type = default;
        var (hasAlgorithm, known) = (false, true);
        var reader = new Utf8JsonReader(json, StrictJson.Claims);
        if (!Utf8.IsValid(json) || !reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var sound = reader.ValueTextEquals("alg"u8) ? !hasAlgorithm && (hasAlgorithm = IsText(ref reader) && reader.ValueTextEquals("HS256"u8))
                : reader.ValueTextEquals("kid"u8) ? kid.IsEmpty && IsText(ref reader) && SigningKey.IsId(kid = reader.ValueSpan)
                : reader.ValueTextEquals("typ"u8) ? type.IsEmpty && IsText(ref reader) && !(type = reader.ValueSpan).IsEmpty
                : !IsForbidden(ref reader);
            if (!sound)
            {
                return false;
            }
            if (reader.TokenType == JsonTokenType.PropertyName)
            {
                known = false;
                reader.Skip();
            }
        }
        return hasAlgorithm && reader.TokenType == JsonTokenType.EndObject && !reader.Read() && (known || StrictJson.HasNoDuplicates(json));
    }

    private static bool IsText(ref Utf8JsonReader reader) => reader.Read() && reader.TokenType == JsonTokenType.String;

    // What names a key or changes what is signed: not followed, and not passed over either.
    private static bool IsForbidden(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("crit"u8) || reader.ValueTextEquals("b64"u8) || reader.ValueTextEquals("zip"u8) || reader.ValueTextEquals("enc"u8)
        || reader.ValueTextEquals("jwk"u8) || reader.ValueTextEquals("jku"u8) || reader.ValueTextEquals("x5u"u8) || reader.ValueTextEquals("x5c"u8)
        || reader.ValueTextEquals("x5t"u8) || reader.ValueTextEquals("x5t#S256"u8);
}
