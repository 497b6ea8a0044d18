using System.Text;

namespace Postern.Server.Hosting;

/// <summary>Reads digits as digits and every other byte as a letter: what is read with it is a number without sign, or none.</summary>
/// <remarks>
/// Kestrel parses a Content-Length itself, takes <c>+1</c> and <c>-0</c>, and keeps the number alone: no middleware ever sees what
/// was written. But it asks which encoding the header has (attack D1).
/// </remarks>
internal sealed class DigitsEncoding : Encoding
{
    public static readonly DigitsEncoding Instance = new();

    private DigitsEncoding()
    {
    }

    public override int GetByteCount(char[] chars, int index, int count) => count;

    public override int GetBytes(char[] chars, int charIndex, int charCount, byte[] bytes, int byteIndex) =>
        ASCII.GetBytes(chars, charIndex, charCount, bytes, byteIndex);

    public override int GetCharCount(byte[] bytes, int index, int count) => count;

    public override int GetCharCount(ReadOnlySpan<byte> bytes) => bytes.Length;

    public override int GetChars(byte[] bytes, int byteIndex, int byteCount, char[] chars, int charIndex) =>
        GetChars(bytes.AsSpan(byteIndex, byteCount), chars.AsSpan(charIndex));

    public override int GetChars(ReadOnlySpan<byte> bytes, Span<char> chars)
    {
        for (var i = 0; i < bytes.Length; i++) chars[i] = bytes[i] is >= (byte)'0' and <= (byte)'9' ? (char)bytes[i] : 'x';
        return bytes.Length;
    }

    public override int GetMaxByteCount(int charCount) => charCount;

    public override int GetMaxCharCount(int byteCount) => byteCount;
}
