using System.Text.Json;
using Postern.Core;

namespace Postern.Server.Dialects.Algolia;

/// <summary>The JSON object of a request, whatever content type it came with. Unknown members are ignored; the first thing wrong is kept.</summary>
internal sealed class JsonForm
{
    private readonly JsonElement root;

    private JsonForm(JsonElement root) => this.root = root;

    /// <summary>RequestInvalid for the first member that does not fit.</summary>
    public Denial? Problem { get; private set; }

    /// <summary>The object in these bytes.</summary>
    public static Decision<JsonForm> Read(byte[] body) => Document(body).IsDenied(out var denial, out var document) ? denial : new JsonForm(document.RootElement);

    /// <summary>The same, for forms with members inside of members.</summary>
    public static Decision<JsonDocument> Document(ReadOnlyMemory<byte> body)
    {
        try
        {
            var document = JsonDocument.Parse(body, StrictJson.Document);
            return document.RootElement.ValueKind == JsonValueKind.Object && StrictJson.IsSound(document.RootElement) ? document : Denied("body", "Input should be a valid object");
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return Denied("body", "JSON decode error: one UTF-8 JSON object without repeated names");
        }
    }

    /// <summary>Whether a member is there and not null.</summary>
    public bool Has(string name) => Given(name) is not null;

    /// <summary>A text of 1 to <paramref name="longest"/> characters; empty and noted as a problem when it is needed and absent.</summary>
    public string Needed(string name, int longest)
    {
        if (Given(name) is null)
        {
            Refuse(name, "Field required");
            return "";
        }
        return Text(name, longest) ?? "";
    }

    /// <summary>A text of 1 to <paramref name="longest"/> characters, null when absent.</summary>
    public string? Text(string name, int longest)
    {
        if (Given(name) is not { } value)
        {
            return null;
        }
        if (value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text && text.Length <= longest)
        {
            return text;
        }
        Refuse(name, $"Input should be a string of 1 to {longest} characters");
        return null;
    }

    /// <summary>A list of texts, null when absent.</summary>
    public IReadOnlyList<string>? Texts(string name, int most, int longest)
    {
        if (Given(name) is not { } value)
        {
            return null;
        }
        if (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() <= most
            && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String && item.GetString()!.Length <= longest))
        {
            return [.. value.EnumerateArray().Select(item => item.GetString()!)];
        }
        Refuse(name, $"Input should be a list of at most {most} strings of at most {longest} characters");
        return null;
    }

    /// <summary>A whole number out of a closed list, null when absent.</summary>
    public int? Number(string name, params IReadOnlyList<int> allowed)
    {
        if (Given(name) is not { } value)
        {
            return null;
        }
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && allowed.Contains(number))
        {
            return number;
        }
        Refuse(name, $"Input should be {string.Join(", ", allowed)}");
        return null;
    }

    /// <summary>A whole number within a range, null when absent.</summary>
    public int? Within(string name, int least, int most)
    {
        if (Given(name) is not { } value)
        {
            return null;
        }
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= least && number <= most)
        {
            return number;
        }
        Refuse(name, $"Input should be an integer from {least} to {most}");
        return null;
    }

    /// <summary>Notes what is wrong with a member, unless something was before.</summary>
    public void Refuse(string name, string problem) => Problem ??= Denied("body " + name, problem);

    private JsonElement? Given(string name) => root.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static Denial Denied(string place, string problem) => new(DenialReason.RequestInvalid, $"{place}: {problem}");
}
