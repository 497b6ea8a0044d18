using System.Security.Cryptography;

namespace Postern.Core;

/// <summary>Random identifiers and secrets over <c>[0-9A-Za-z]</c>, from the system's generator.</summary>
public static class RandomText
{
    private const string Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private const int PoolSize = 1024;
    private const int TimeLength = 8;

    /// <summary>22 characters hold more than 128 bits.</summary>
    public const int IdLength = 22;

    /// <summary>43 characters hold more than 256 bits.</summary>
    public const int SecretLength = 43;

    // One system call yields many ids: a mint draws two of them. Bytes are overwritten as they are handed out.
    [ThreadStatic] private static byte[]? pool;
    [ThreadStatic] private static int left;

    /// <summary><paramref name="length"/> uniformly random base62 characters.</summary>
    public static string Base62(int length) => string.Create(length, 0, static (span, _) => Fill(span));

    /// <summary>A random UUID (RFC 9562, version 4), for clients that demand that form of an id.</summary>
    public static string Uuid()
    {
        Span<byte> bytes = stackalloc byte[16];
        Bytes(bytes);
        bytes[6] = (byte)((bytes[6] & 0x0f) | 0x40);
        bytes[8] = (byte)((bytes[8] & 0x3f) | 0x80);
        return new Guid(bytes, bigEndian: true).ToString();
    }

    /// <summary>A time in milliseconds as eight characters of the same alphabet, which sort as the times do.</summary>
    public static string Time(DateTimeOffset time) => string.Create(TimeLength, time.ToUnixTimeMilliseconds(), static (span, rest) =>
    {
        for (var i = span.Length - 1; i >= 0; i--, rest /= Alphabet.Length)
        {
            span[i] = Alphabet[(int)(rest % Alphabet.Length)];
        }
    });

    /// <summary>Fills <paramref name="destination"/> with random bytes.</summary>
    public static void Bytes(Span<byte> destination)
    {
        for (var i = 0; i < destination.Length; i++)
        {
            destination[i] = Next();
        }
    }

    private static void Fill(Span<char> span)
    {
        for (var i = 0; i < span.Length;)
        {
            var value = Next() & 63;
            if (value < Alphabet.Length)
            {
                span[i++] = Alphabet[value];
            }
        }
    }

    private static byte Next()
    {
        var bytes = pool ??= new byte[PoolSize];
        if (left == 0)
        {
            RandomNumberGenerator.Fill(bytes);
            left = PoolSize;
        }
        var value = bytes[--left];
        bytes[left] = 0;
        return value;
    }
}
