using System.Buffers;
using System.Text;

namespace Postern.Core.Conversations;

/// <summary>The id that a client has chosen for a conversation or a message: opaque, compared byte for byte, and never a credential.</summary>
public static class ClientId
{
    /// <summary>The longest id, in UTF-16 code units.</summary>
    public const int Longest = 128;

    /// <summary>The rule, for refusals.</summary>
    public const string Rule = "an id has 1 to 128 characters and no control characters";

    /// <summary>Whether the text may be such an id.</summary>
    public static bool IsValid(string text)
    {
        if (text.Length is 0 or > Longest)
        {
            return false;
        }
        for (var rest = text.AsSpan(); !rest.IsEmpty;)
        {
            if (Rune.DecodeFromUtf16(rest, out var rune, out var consumed) != OperationStatus.Done || Rune.IsControl(rune))
            {
                return false;
            }
            rest = rest[consumed..];
        }
        return true;
    }
}
