using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using Postern.Core.Keys;

namespace Postern.Core.Credentials;

/// <summary>Writes a grant as a signed, self-contained credential: prefix of the kind, then a compact JWS (HS256).</summary>
public static class CredentialIssuer
{
    /// <summary>A new credential signed by <paramref name="key"/>.</summary>
    public static Credential Issue(SigningKey key, CredentialKind kind, Grant grant, DateTimeOffset now)
    {
        var id = CredentialId.Create(now);
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
