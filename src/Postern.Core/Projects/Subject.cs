using System.Text;

namespace Postern.Core.Projects;

/// <summary>The end user: an opaque, byte-exact id (RFC 7519, sub), never normalised or folded.</summary>
public static class Subject
{
    /// <summary>The longest id, in bytes of UTF-8.</summary>
    public const int LongestBytes = 256;

    /// <summary>The rule, for refusals.</summary>
    public const string Rule = "a user id has 1 to 256 bytes of UTF-8 without control characters";

    /// <summary>Whether the text may name a user.</summary>
    public static bool IsValid(ReadOnlySpan<char> text)
    {
        if (text.Length is 0 or > LongestBytes)
        {
            return false;
        }
        for (var rest = text; !rest.IsEmpty;)
        {
            if (Rune.DecodeFromUtf16(rest, out var rune, out var consumed) != System.Buffers.OperationStatus.Done || Rune.IsControl(rune))
            {
                return false;
            }
            rest = rest[consumed..];
        }
        return Encoding.UTF8.GetByteCount(text) <= LongestBytes;
    }
}
