using System.Security.Cryptography;
using System.Text;

namespace Postern.Core.Projects;

/// <summary>
/// The text form of our own API keys: <c>pst_</c>, 43 base62 characters (256 bits), 6 base62 characters of CRC-32.
/// The checksum refuses guesses and typing mistakes before any look-up; it is no protection by itself.
/// </summary>
public static class ApiKeyText
{
    /// <summary>What scanners look for.</summary>
    public const string Prefix = "pst_";

    /// <summary>An operator's own key must have at least this many characters.</summary>
    public const int ShortestImport = 32;

    private const int LongestText = 256;
    private const int ChecksumLength = 6;

    /// <summary>A new random key.</summary>
    public static string Create()
    {
        var body = Prefix + RandomText.Base62(RandomText.SecretLength);
        return body + Checksum(body);
    }

    /// <summary>False for texts that can be no key: empty, too long, or ours with a wrong checksum.</summary>
    public static bool IsWellFormed(string text)
    {
        if (text.Length is 0 or > LongestText)
        {
            return false;
        }
        if (!text.StartsWith(Prefix, StringComparison.Ordinal))
        {
            return text.Length >= ShortestImport;
        }
        var body = text.Length - ChecksumLength;
        return text.Length == Prefix.Length + RandomText.SecretLength + ChecksumLength && text.AsSpan(body).Equals(Checksum(text[..body]), StringComparison.Ordinal);
    }

    /// <summary>SHA-256 of the text: what is stored and looked up.</summary>
    public static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));

    /// <summary>The part of a key that may be shown: prefix and four characters.</summary>
    public static string Shown(string text) => text[..Math.Min(8, text.Length / 4)];

    private static string Checksum(string body)
    {
        var crc = Crc32(Encoding.UTF8.GetBytes(body));
        return string.Create(ChecksumLength, crc, static (span, rest) =>
        {
            for (var i = span.Length - 1; i >= 0; i--, rest /= 62)
            {
                span[i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(int)(rest % 62)];
            }
        });
    }

    // CRC-32 (ISO-HDLC), bit by bit: 47 bytes a key, not worth a table or a package.
    private static uint Crc32(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var b in bytes)
        {
            crc ^= b;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
            }
        }
        return ~crc;
    }
}
