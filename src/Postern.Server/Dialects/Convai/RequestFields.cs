using System.Text.Json;
using Postern.Core;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.Convai;

/// <summary>The members of a request, whether it came as JSON or as a form: clients of one call send either.</summary>
internal sealed class RequestFields
{
    private readonly Dictionary<string, JsonElement> members;

    private RequestFields(Dictionary<string, JsonElement> members) => this.members = members;

    /// <summary>Their names.</summary>
    public IEnumerable<string> Names => members.Keys;

    /// <summary>The members; no body at all has none.</summary>
    public static Decision<RequestFields> Read(WireRequest request)
    {
        var members = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        if (request.Form is { } form)
        {
            foreach (var (name, values) in form)
            {
                if (values.Count != 1)
                {
                    return new Denial(DenialReason.RequestInvalid, $"{name} must be given once.");
                }
                members[name] = JsonSerializer.SerializeToElement(values[0], JsonSerializerOptions.Strict);
            }
            return new RequestFields(members);
        }
        if (request.Body.IsEmpty)
        {
            return new RequestFields(members);
        }
        try
        {
            foreach (var member in JsonElement.Parse(request.Body.Span, StrictJson.Document).EnumerateObject())
            {
                members[member.Name] = member.Value;
            }
            _ = members.Values.All(value => value.ValueKind != JsonValueKind.String || value.GetString() is not null);
            return new RequestFields(members);
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return new Denial(DenialReason.RequestInvalid, "The body must be one JSON object.");
        }
    }

    /// <summary>A text; blank counts as absent, as the vendor's clients mean it. A number stands for its digits.</summary>
    public string? Text(string name) => members.TryGetValue(name, out var value) ? value.ValueKind switch
    {
        JsonValueKind.String when !string.IsNullOrWhiteSpace(value.GetString()) => value.GetString(),
        JsonValueKind.Number => value.GetRawText(),
        _ => null,
    } : null;

    /// <summary>The member as it came; null when it is absent or null.</summary>
    public JsonElement? Value(string name) => members.TryGetValue(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
