using System.Buffers;
using System.Buffers.Text;

namespace Postern.Core.Credentials;

/// <summary>Base64url without padding (RFC 4648, 5), strictly: one text for each byte string, nothing else accepted.</summary>
public static class Base64Text
{
    private static readonly SearchValues<byte> Alphabet = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"u8);
    private static readonly SearchValues<char> AlphabetCharacters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    /// <summary>Whether every character is of the alphabet.</summary>
    public static bool IsAlphabet(ReadOnlySpan<char> text) => !text.ContainsAnyExcept(AlphabetCharacters);

    /// <summary>Whether every byte is a character of the alphabet.</summary>
    public static bool IsAlphabet(ReadOnlySpan<byte> text) => !text.ContainsAnyExcept(Alphabet);

    /// <summary>The text of <paramref name="bytes"/>.</summary>
    public static string Encode(ReadOnlySpan<byte> bytes) => Base64Url.EncodeToString(bytes);

    /// <summary>
    /// Decodes the canonical text only. The framework's decoder skips white space, takes <c>=</c> and <c>%</c>, and has read out of
    /// bounds on malformed input: so the alphabet is scanned before it sees a byte, and the unused bits of the tail must be zero.
    /// </summary>
    public static bool TryDecode(ReadOnlySpan<byte> text, Span<byte> destination, out int written)
    {
        written = 0;
        if (text.Length % 4 == 1 || text.ContainsAnyExcept(Alphabet) || destination.Length < text.Length * 3 / 4)
        {
            return false;
        }
        var unused = (text.Length % 4) switch { 2 => 0b1111, 3 => 0b11, _ => 0 };
        return (unused == 0 || (Value(text[^1]) & unused) == 0) && Base64Url.TryDecodeFromUtf8(text, destination, out written);
    }

    private static int Value(byte character) => character switch
    {
        >= (byte)'A' and <= (byte)'Z' => character - 'A',
        >= (byte)'a' and <= (byte)'z' => character - 'a' + 26,
        >= (byte)'0' and <= (byte)'9' => character - '0' + 52,
        (byte)'-' => 62,
        _ => 63,
    };
}
