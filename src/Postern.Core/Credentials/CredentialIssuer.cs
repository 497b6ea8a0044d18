using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using Postern.Core.Keys;

namespace Postern.Core.Credentials;

/// <summary>Writes a grant as a credential: prefix of the kind, then a compact JWS (HS256), or its id and 256 random bits that only the ledger understands.</summary>
public static class CredentialIssuer
{
    [ThreadStatic]
    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Json)? kept;

    /// <summary>A new credential; <paramref name="key"/> signs it where the kind is signed.</summary>
    public static Credential Issue(SigningKey key, CredentialKind kind, Grant grant, DateTimeOffset now)
    {
        var id = CredentialId.Create(now);
        if (kind.IsSigned())
        {
            return new Credential(id, kind, grant, () => new CredentialText(Sign(key, kind, id, grant, now)));
        }
        Span<byte> secret = stackalloc byte[32];
        RandomText.Bytes(secret);
        var text = new CredentialText(kind.Prefix() + id.Value + Base64Text.Encode(secret));
        return new Credential(id, kind, grant, () => text);
    }

    private static string Sign(SigningKey key, CredentialKind kind, CredentialId id, Grant grant, DateTimeOffset now)
    {
        var (buffer, json) = kept ??= Writer();
        buffer.ResetWrittenCount();
        json.Reset(buffer);
        Claims.Write(json, id, grant, now);
        json.Flush();
        return Sign(key, kind, buffer.WrittenSpan);
    }

    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Json) Writer()
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        return (buffer, new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true }));
    }

    private static string Sign(SigningKey key, CredentialKind kind, ReadOnlySpan<byte> payload)
    {
        var header = key.Header(kind);
        var prefix = kind.Prefix();
        var signed = header.Length + 1 + Base64Url.GetEncodedLength(payload.Length);
        var length = prefix.Length + signed + 1 + 43;
        var rented = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            Encoding.ASCII.GetBytes(prefix, rented);
            var text = rented.AsSpan(prefix.Length, length - prefix.Length);
            header.CopyTo(text);
            text[header.Length] = (byte)'.';
            Base64Url.EncodeToUtf8(payload, text[(header.Length + 1)..]);
            text[signed] = (byte)'.';
            Span<byte> mac = stackalloc byte[32];
            key.Hmac.Sign(text[..signed], mac);
            Base64Url.EncodeToUtf8(mac, text[(signed + 1)..]);
            return Encoding.ASCII.GetString(rented.AsSpan(0, length));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented, clearArray: true);
        }
    }
}
