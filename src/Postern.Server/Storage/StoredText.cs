using System.Text;

namespace Postern.Server.Storage;

/// <summary>
/// Text for a record that must be written whatever it says. Details hold what clients name: a NUL or half a surrogate pair, which
/// PostgreSQL refuses, would let a client decide that its refusal or its session's end has no row.
/// </summary>
internal static class StoredText
{
    /// <summary>Longer text is cut.</summary>
    public const int Longest = 4096;

    /// <summary>The text without control characters and broken pairs, which become U+FFFD.</summary>
    public static string? Clean(string? text)
    {
        if (text is null || (text.Length <= Longest && !text.AsSpan().ContainsAnyInRange('\0', '\u001f')
            && !text.AsSpan().ContainsAnyInRange('\u007f', '\u009f') && !text.AsSpan().ContainsAnyInRange('\ud800', '\udfff')))
        {
            return text;
        }
        var clean = new StringBuilder(Math.Min(text.Length, Longest));
        foreach (var rune in text.EnumerateRunes())
        {
            if (clean.Length + rune.Utf16SequenceLength > Longest)
            {
                break;
            }
            clean.Append((Rune.IsControl(rune) ? Rune.ReplacementChar : rune).ToString());
        }
        return clean.ToString();
    }
}
