using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using Postern.Core.Keys;

namespace Postern.Core.Credentials;

/// <summary>Writes a grant as a credential: prefix of the kind, then a compact JWS (HS256), or 256 random bits that only the ledger understands.</summary>
public static class CredentialIssuer
{
    /// <summary>A new credential; <paramref name="key"/> signs it where the kind is signed.</summary>
    public static Credential Issue(SigningKey key, CredentialKind kind, Grant grant, DateTimeOffset now)
    {
        var id = CredentialId.Create(now);
        if (!kind.IsSigned())
        {
            Span<byte> secret = stackalloc byte[32];
            RandomText.Bytes(secret);
            return new Credential(id, kind, grant, new CredentialText(kind.Prefix() + Base64Text.Encode(secret)));
        }
        var buffer = new ArrayBufferWriter<byte>(384);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true }))
        {
            Claims.Write(json, id, grant, now);
        }
        return new Credential(id, kind, grant, new CredentialText(Sign(key, kind, buffer.WrittenSpan)));
    }

    private static string Sign(SigningKey key, CredentialKind kind, ReadOnlySpan<byte> payload)
    {
        var header = key.Header(kind);
        var signed = header.Length + 1 + Base64Url.GetEncodedLength(payload.Length);
        var length = signed + 1 + 43;
        var rented = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            var text = rented.AsSpan(0, length);
            header.CopyTo(text);
            text[header.Length] = (byte)'.';
            Base64Url.EncodeToUtf8(payload, text[(header.Length + 1)..]);
            text[signed] = (byte)'.';
            Span<byte> mac = stackalloc byte[32];
            key.Sign(text[..signed], mac);
            Base64Url.EncodeToUtf8(mac, text[(signed + 1)..]);
            return string.Concat(kind.Prefix(), Encoding.ASCII.GetString(text));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented, clearArray: true);
        }
    }
}
