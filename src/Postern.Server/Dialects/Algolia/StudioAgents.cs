using System.Text.Json;
using System.Text.Json.Nodes;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Projects;
using Postern.Server.Agents;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Algolia;

/// <summary>
/// Agents in the vendor's shape (contract, section 5) over the one document that all dialects share: the instructions are the agent's
/// prompt, what only this vendor knows stands in the member <c>algolia</c> as it was sent.
/// </summary>
internal static class StudioAgents
{
    private const string Own = "algolia";
    private const string Draft = "draft";
    private static readonly string[] Kept = ["description", "providerId", "model", "systemPrompt", "config", "tools", "templateType"];

    /// <summary>The body of a request: null with RequestInvalid when a member does not fit.</summary>
    public static Denial? Check(JsonElement body, bool create)
    {
        foreach (var (name, longest) in new[] { ("name", AgentForm.LongestName), ("instructions", int.MaxValue) })
        {
            var value = Given(body, name);
            if (value is null && create)
            {
                return Invalid(name, "Field required");
            }
            if (value is { } given && (given.ValueKind != JsonValueKind.String || given.GetString()!.Length is 0 || given.GetString()!.Length > longest
                || (name == "name" && given.GetString()!.Any(char.IsControl))))
            {
                return Invalid(name, longest == int.MaxValue ? "Input should be a string that is not empty" : $"Input should be a string of 1 to {longest} characters");
            }
        }
        foreach (var name in Kept)
        {
            var kind = name switch { "config" => JsonValueKind.Object, "tools" => JsonValueKind.Array, _ => JsonValueKind.String };
            if (Given(body, name) is { } given && given.ValueKind != kind)
            {
                return Invalid(name, kind == JsonValueKind.Object ? "Input should be a valid dictionary" : kind == JsonValueKind.Array ? "Input should be a valid list" : "Input should be a valid string");
            }
        }
        return null;
    }

    /// <summary>A new agent: a draft, until it is published.</summary>
    public static AgentRow Create(AgentId id, ProjectId project, string dialect, bool openByDefault, JsonElement body, DateTimeOffset now)
    {
        var document = new JsonObject { [Own] = new JsonObject { ["status"] = Draft } };
        Put(document, body);
        return AgentDraft.Create(id, project, dialect, openByDefault, Element(document), now);
    }

    /// <summary>A changed agent: a member that is there replaces the former one.</summary>
    public static AgentRow Change(AgentRow row, JsonElement body) => Edited(row, document => Put(document, body));

    /// <summary>An agent with which one may converse, or not.</summary>
    public static AgentRow Publish(AgentRow row, bool isPublished) => Edited(row, document => Inside(document, Own)["status"] = isPublished ? "published" : Draft);

    /// <summary>The provider that the agent is said to be of.</summary>
    public static string? Provider(AgentRow row) => Text(AgentDocument.Member(JsonElement.Parse(row.Document, StrictJson.Document), Own, "providerId"));

    /// <summary>The members of an answer.</summary>
    public static void Write(Utf8JsonWriter json, AgentRow row)
    {
        var document = JsonElement.Parse(row.Document, StrictJson.Document);
        var own = AgentDocument.Member(document, Own);
        json.WriteString("id"u8, row.Uuid);
        json.WriteString("name"u8, row.Name);
        json.WriteString("description"u8, Text(AgentDocument.Member(own, "description")));
        json.WriteString("status"u8, Text(AgentDocument.Member(own, "status")) == Draft ? Draft : "published");
        json.WriteString("providerId"u8, Text(AgentDocument.Member(own, "providerId")));
        json.WriteString("model"u8, Text(AgentDocument.Member(own, "model")));
        json.WriteString("instructions"u8, Text(AgentDocument.Member(document, "conversation_config", "agent", "prompt", "prompt")) ?? "");
        json.WriteString("systemPrompt"u8, Text(AgentDocument.Member(own, "systemPrompt")));
        WriteValue(json, "config", AgentDocument.Member(own, "config"), "{}"u8);
        WriteValue(json, "tools", AgentDocument.Member(own, "tools"), "[]"u8);
        json.WriteString("templateType"u8, Text(AgentDocument.Member(own, "templateType")));
        json.WriteString("createdAt"u8, Wire.Time(row.CreatedAt));
        json.WriteString("updatedAt"u8, Wire.Time(row.UpdatedAt));
        json.WriteNull("lastUsedAt"u8);
    }

    private static AgentRow Edited(AgentRow row, Action<JsonObject> edit)
    {
        var document = JsonObject.Create(JsonElement.Parse(row.Document, StrictJson.Document))!;
        edit(document);
        return AgentDraft.Change(row with { Document = Element(document).GetRawText() }, Empty, openByDefault: !row.PrivateByDefault);
    }

    private static void Put(JsonObject document, JsonElement body)
    {
        if (Given(body, "name") is { } name)
        {
            document["name"] = name.GetString();
        }
        if (Given(body, "instructions") is { } instructions)
        {
            Inside(Inside(Inside(document, "conversation_config"), "agent"), "prompt")["prompt"] = instructions.GetString();
        }
        foreach (var member in Kept.Where(member => body.TryGetProperty(member, out _)))
        {
            Inside(document, Own)[member] = JsonNode.Parse(body.GetProperty(member).GetRawText(), documentOptions: StrictJson.Document);
        }
    }

    private static JsonObject Inside(JsonObject parent, string name)
    {
        if (parent[name] is not JsonObject found)
        {
            parent[name] = found = [];
        }
        return found;
    }

    private static JsonElement Empty => JsonElement.Parse("{}", StrictJson.Document);

    private static JsonElement Element(JsonObject document) => JsonElement.Parse(JsonText.Value(document), StrictJson.Document);

    private static JsonElement? Given(JsonElement body, string name) => body.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static string? Text(JsonElement? value) => value is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static void WriteValue(Utf8JsonWriter json, string name, JsonElement? value, ReadOnlySpan<byte> absent)
    {
        json.WritePropertyName(name);
        if (value is { ValueKind: JsonValueKind.Object or JsonValueKind.Array } given)
        {
            given.WriteTo(json);
        }
        else
        {
            json.WriteRawValue(absent);
        }
    }

    private static Denial Invalid(string member, string problem) => new(DenialReason.RequestInvalid, $"body {member}: {problem}");
}
