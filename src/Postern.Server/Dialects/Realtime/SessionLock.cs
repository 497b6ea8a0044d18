using System.Text.Json;
using Postern.Core.Credentials;

namespace Postern.Server.Dialects.Realtime;

/// <summary>What the mint has fixed of a session's configuration, and what a client may therefore not say (contract, section 10).</summary>
internal sealed class SessionLock
{
    // What brings other instructions, tools or voices along under another name.
    private static readonly string[] SideDoors = ["prompt", "input", "conversation"];
    private static readonly string[] Speakers = ["user", "assistant"];

    public SessionLock(FixedValues values) => (Fields, Defaults) = (Canonical(values.Fields), Canonical(values.Defaults));

    /// <summary>Whether nothing is fixed.</summary>
    public bool IsOpen => Fields.Count == 0;

    /// <summary>The fixed leaves by path.</summary>
    public IReadOnlyDictionary<string, JsonElement> Fields { get; }

    /// <summary>What a session begins with and its client may change.</summary>
    public IReadOnlyDictionary<string, JsonElement> Defaults { get; }

    /// <summary>The model is the agent's: never changeable, and clients name their own without being asked.</summary>
    public static bool IsModel(SessionField field) => SessionFields.IsWithin(field.Path, "model");

    /// <summary>The leaves of a session.update that may not be set. Equal is no change.</summary>
    public IEnumerable<SessionField> Refused(IEnumerable<SessionField> session) => session.Where(field => !IsModel(field) && Forbids(field));

    /// <summary>The leaves of a response.create that may not be set.</summary>
    public IEnumerable<SessionField> RefusedOfResponse(IEnumerable<SessionField> response) => response.Where(field => !IsModel(field) && (Forbids(field) || IsSideDoor(field)));

    /// <summary>The member of an item that may not be created; null when it may be.</summary>
    public string? RefusedOfItem(JsonElement item)
    {
        if (IsOpen || item.ValueKind != JsonValueKind.Object)
        {
            return null;
        }
        foreach (var member in item.EnumerateObject())
        {
            var text = member.Value.ValueKind == JsonValueKind.String ? member.Value.GetString()! : "";
            if (member.NameEquals("role") ? !Speakers.Contains(text) : member.NameEquals("type") ? text == "force_message" : IsLookAlike(member.Name, "role", "type"))
            {
                return "item." + member.Name;
            }
        }
        return null;
    }

    /// <summary>A name that some readers take for one of these and others do not.</summary>
    public static bool IsLookAlike(string name, params ReadOnlySpan<string> names)
    {
        foreach (var one in names)
        {
            if (name != one && name.Equals(one, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }
        return false;
    }

    // Another of our routes may have minted, in whatever form.
    private static Dictionary<string, JsonElement> Canonical(IReadOnlyDictionary<string, JsonElement> leaves)
    {
        var canonical = new Dictionary<string, JsonElement>(leaves.Count, StringComparer.Ordinal);
        foreach (var (path, value) in leaves)
        {
            canonical[SessionFields.Canonical(path)] = value;
        }
        return canonical;
    }

    private bool Forbids(SessionField field)
    {
        foreach (var (path, value) in Fields)
        {
            if (SessionFields.Touch(field.Path, path) && (field.Path.Length != path.Length || !JsonElement.DeepEquals(field.Value, value)))
            {
                return true;
            }
        }
        return !IsOpen && SessionFields.IsWithin(field.Path, "prompt") && field.Value.ValueKind != JsonValueKind.Null && !Fields.ContainsKey(field.Path);
    }

    private bool IsSideDoor(SessionField field) =>
        !IsOpen && field.Value.ValueKind != JsonValueKind.Null && SideDoors.Any(door => SessionFields.IsWithin(field.Path, door))
        && !(field.Path == "conversation" && field.Value.ValueKind == JsonValueKind.String && field.Value.ValueEquals("auto"));
}
