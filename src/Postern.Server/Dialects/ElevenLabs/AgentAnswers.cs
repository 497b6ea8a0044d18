using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Server.Agents;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>
/// Agents in the vendor's shapes (contract, section 4). The vendor's own reader is strict about what must be there and passes what it
/// does not know; where a document and we name a member alike, ours is shown.
/// </summary>
internal static class AgentAnswers
{
    private static readonly string[] Ours = ["agent_id", "name", "conversation_config", "metadata", "platform_settings", "workflow", "tags"];

    public static HttpAnswer Id(AgentId id) => Wire.Json(200, json => json.WriteString("agent_id"u8, id.Value));

    /// <summary>What the vendor answers to a deletion.</summary>
    public static HttpAnswer Null() => new(200, "null"u8.ToArray());

    public static HttpAnswer Whole(AgentRow row) => Wire.Json(200, json =>
    {
        var document = Document(row);
        json.WriteString("agent_id"u8, row.Id.Value);
        json.WriteString("name"u8, row.Name);
        WriteObject(json, "conversation_config", AgentDocument.Member(document, "conversation_config"));
        json.WriteStartObject("metadata"u8);
        json.WriteNumber("created_at_unix_secs"u8, row.CreatedAt.ToUnixTimeSeconds());
        json.WriteNumber("updated_at_unix_secs"u8, row.UpdatedAt.ToUnixTimeSeconds());
        json.WriteEndObject();
        WriteObject(json, "platform_settings", AgentDocument.Member(document, "platform_settings"));
        WriteWorkflow(json, AgentDocument.Member(document, "workflow"));
        WriteTags(json, document);
        foreach (var member in document.EnumerateObject().Where(member => !Ours.Contains(member.Name, StringComparer.Ordinal)))
        {
            member.WriteTo(json);
        }
    });

    public static HttpAnswer List(IEnumerable<AgentRow> rows, string? next) => Wire.Json(200, json =>
    {
        json.WriteStartArray("agents"u8);
        foreach (var row in rows)
        {
            WriteItem(json, row);
        }
        json.WriteEndArray();
        json.WriteString("next_cursor"u8, next);
        json.WriteBoolean("has_more"u8, next is not null);
    });

    /// <summary>One answer for each id that was asked for, found or not.</summary>
    public static HttpAnswer Summaries(IEnumerable<(string Id, AgentRow? Row)> asked) => Wire.Json(200, json =>
    {
        foreach (var (id, row) in asked)
        {
            json.WriteStartObject(id);
            json.WriteString("status"u8, row is null ? "failure" : "success");
            if (row is not null)
            {
                json.WritePropertyName("data"u8);
                WriteItem(json, row);
            }
            else
            {
                json.WriteNumber("error_code"u8, 404);
                json.WriteString("error_status"u8, "document_not_found");
                json.WriteString("error_message"u8, $"Document with id {id} not found.");
            }
            json.WriteEndObject();
        }
    });

    public static HttpAnswer Link(AgentRow row) => Wire.Json(200, json =>
    {
        json.WriteString("agent_id"u8, row.Id.Value);
        json.WriteNull("token"u8);
    });

    public static HttpAnswer NoBranches() => Wire.Json(200, json =>
    {
        json.WriteStartArray("results"u8);
        json.WriteEndArray();
        json.WriteStartObject("meta"u8);
        json.WriteNumber("total"u8, 0);
        json.WriteNumber("page"u8, 1);
        json.WriteNumber("page_size"u8, 100);
        json.WriteEndObject();
    });

    /// <summary>What the widget shows: the owner's look, the agent's language, and what this server can do.</summary>
    public static HttpAnswer Widget(AgentRow row, Agent agent) => Wire.Json(200, json =>
    {
        string[] ours = ["language", "text_only", "supports_text_only", "use_rtc"];
        json.WriteString("agent_id"u8, row.Id.Value);
        json.WriteStartObject("widget_config"u8);
        json.WriteString("language"u8, Text(AgentDocument.Member(agent.Configuration, "agent", "language")) ?? "en");
        json.WriteBoolean("text_only"u8, AgentDocument.Member(agent.Configuration, "conversation", "text_only") is { ValueKind: JsonValueKind.True });
        json.WriteBoolean("supports_text_only"u8, agent.Access.OverridePermissions.Contains("conversation.text_only"));
        json.WriteBoolean("use_rtc"u8, false);
        if (AgentDocument.Member(Document(row), "platform_settings", "widget") is { ValueKind: JsonValueKind.Object } look)
        {
            foreach (var member in look.EnumerateObject().Where(member => !ours.Contains(member.Name, StringComparer.Ordinal)))
            {
                member.WriteTo(json);
            }
        }
        json.WriteEndObject();
    });

    /// <summary>Whether the owner has put the agent away.</summary>
    public static bool IsArchived(JsonElement document) => AgentDocument.Member(document, "platform_settings", "archived") is { ValueKind: JsonValueKind.True };

    public static IEnumerable<string> Tags(JsonElement document) =>
        AgentDocument.Member(document, "tags") is { ValueKind: JsonValueKind.Array } tags ? tags.EnumerateArray().Select(Text).OfType<string>() : [];

    public static JsonElement Document(AgentRow row) => JsonElement.Parse(row.Document, StrictJson.Document);

    private static void WriteItem(Utf8JsonWriter json, AgentRow row)
    {
        var document = Document(row);
        json.WriteStartObject();
        json.WriteString("agent_id"u8, row.Id.Value);
        json.WriteString("name"u8, row.Name);
        json.WriteString("voice_id"u8, Text(AgentDocument.Member(document, "conversation_config", "tts", "voice_id")) ?? "");
        WriteTags(json, document);
        json.WriteNumber("created_at_unix_secs"u8, row.CreatedAt.ToUnixTimeSeconds());
        json.WriteStartObject("access_info"u8);
        json.WriteBoolean("is_creator"u8, true);
        json.WriteString("creator_name"u8, row.Project.Value);
        json.WriteString("creator_email"u8, "");
        json.WriteString("role"u8, "admin");
        json.WriteEndObject();
        json.WriteNull("last_call_time_unix_secs"u8);
        json.WriteBoolean("archived"u8, IsArchived(document));
        json.WriteEndObject();
    }

    private static void WriteTags(Utf8JsonWriter json, JsonElement document)
    {
        json.WriteStartArray("tags"u8);
        foreach (var tag in Tags(document))
        {
            json.WriteStringValue(tag);
        }
        json.WriteEndArray();
    }

    private static void WriteObject(Utf8JsonWriter json, string name, JsonElement? value)
    {
        json.WritePropertyName(name);
        if (value is { ValueKind: JsonValueKind.Object } given)
        {
            given.WriteTo(json);
            return;
        }
        json.WriteStartObject();
        json.WriteEndObject();
    }

    // Three members that the vendor's own reader insists on; their absence means these defaults.
    private static void WriteWorkflow(Utf8JsonWriter json, JsonElement? value)
    {
        if (value is not { ValueKind: JsonValueKind.Object } workflow)
        {
            json.WriteNull("workflow"u8);
            return;
        }
        json.WriteStartObject("workflow"u8);
        foreach (var member in workflow.EnumerateObject())
        {
            member.WriteTo(json);
        }
        foreach (var name in (string[])["edges", "nodes"])
        {
            if (!workflow.TryGetProperty(name, out _))
            {
                json.WriteStartObject(name);
                json.WriteEndObject();
            }
        }
        if (!workflow.TryGetProperty("prevent_subagent_loops", out _))
        {
            json.WriteBoolean("prevent_subagent_loops"u8, false);
        }
        json.WriteEndObject();
    }

    private static string? Text(JsonElement? value) => value is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static string? Text(JsonElement value) => Text((JsonElement?)value);
}
