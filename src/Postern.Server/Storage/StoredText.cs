using System.Text;
using Postern.Core.Agents;
using Postern.Core.Audit;

namespace Postern.Server.Storage;

/// <summary>
/// Text for a record that must be written whatever it says. Details hold what clients name: a NUL or half a surrogate pair, which
/// PostgreSQL refuses, would let a client decide that its refusal or its session's end has no row.
/// </summary>
internal static class StoredText
{
    /// <summary>Longer text is cut.</summary>
    public const int Longest = 4096;

    /// <summary>The event with every text clean.</summary>
    public static AuditEvent Clean(AuditEvent entry) =>
        IsClean(entry.Agent?.Value) && IsClean(entry.Key) && IsClean(entry.Credential) && IsClean(entry.Session) && IsClean(entry.Subject)
            && IsClean(entry.Reason) && IsClean(entry.Detail) && IsClean(entry.Address)
        ? entry
        : entry with
        {
            Agent = entry.Agent is { } agent ? new AgentId(Clean(agent.Value)!) : null,
            Key = Clean(entry.Key),
            Credential = Clean(entry.Credential),
            Session = Clean(entry.Session),
            Subject = Clean(entry.Subject),
            Reason = Clean(entry.Reason),
            Detail = Clean(entry.Detail),
            Address = Clean(entry.Address),
        };

    /// <summary>The text without control characters and broken pairs, which become U+FFFD.</summary>
    public static string? Clean(string? text)
    {
        if (text is null || IsClean(text))
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

    // Whole pairs are taken for dirty too: they are rare, and cleaning leaves them as they are.
    private static bool IsClean(string? text) => text is null || (text.Length <= Longest && !text.AsSpan().ContainsAnyInRange('\0', '\u001f')
        && !text.AsSpan().ContainsAnyInRange('\u007f', '\u009f') && !text.AsSpan().ContainsAnyInRange('\ud800', '\udfff'));
}
