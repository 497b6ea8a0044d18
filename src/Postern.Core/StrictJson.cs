using System.Text.Json;

namespace Postern.Core;

/// <summary>How hostile JSON is read: no duplicate members, no comments, little depth, and one list of what bad input can throw.</summary>
public static class StrictJson
{
    /// <summary>Options for every document that comes from outside.</summary>
    public static readonly JsonDocumentOptions Document = new() { AllowDuplicateProperties = false, MaxDepth = 64 };

    /// <summary>Options for headers and claims of tokens, which have no reason to be deep.</summary>
    internal static readonly JsonReaderOptions Claims = new() { MaxDepth = 8 };

    private static readonly JsonDocumentOptions ClaimsOptions = new() { AllowDuplicateProperties = false, MaxDepth = 8 };

    /// <summary>Whether no object inside has a member twice, at any depth; throws on what is no JSON. Allocates: for what has unknown members.</summary>
    internal static bool HasNoDuplicates(ReadOnlySpan<byte> json)
    {
        using var document = JsonDocument.Parse(json.ToArray(), ClaimsOptions);
        return true;
    }

    /// <summary>
    /// Whether every text inside is Unicode. The reader takes invalid UTF-8 and half surrogate pairs for text until it is asked for it:
    /// what is kept to be written later must be asked now.
    /// </summary>
    public static bool IsSound(JsonElement value)
    {
        try
        {
            return Read(value);
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private static bool Read(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString() is not null,
        JsonValueKind.Object => value.EnumerateObject().All(member => member.Name is not null && Read(member.Value)),
        JsonValueKind.Array => value.EnumerateArray().All(Read),
        _ => true,
    };

    /// <summary>
    /// Whether an exception says no more than that the input was bad. The reader throws more than JsonException: invalid UTF-8 and
    /// lone surrogates surface as InvalidOperationException, in GetString and in the duplicate check.
    /// </summary>
    public static bool IsBadInput(Exception e) =>
        e is JsonException or InvalidOperationException or ArgumentException or FormatException or OverflowException;
}
