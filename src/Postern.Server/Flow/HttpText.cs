using System.Buffers;

namespace Postern.Server.Flow;

/// <summary>The characters that HTTP allows in names and values (RFC 9110, 5.6.2 and 5.5).</summary>
internal static class HttpText
{
    private static readonly SearchValues<char> TokenChars =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    public static bool IsToken(ReadOnlySpan<char> text) => !text.IsEmpty && !text.ContainsAnyExcept(TokenChars);

    /// <summary>Visible ASCII, space and tab: no CR, LF or NUL that could end the line or the header.</summary>
    public static bool IsValue(ReadOnlySpan<char> text) => !text.ContainsAnyExceptInRange(' ', '~') || IsValueWithTabs(text);

    private static bool IsValueWithTabs(ReadOnlySpan<char> text)
    {
        foreach (var c in text)
        {
            if (c is not (>= ' ' and <= '~' or '\t')) return false;
        }
        return true;
    }
}
