using System.Globalization;
using System.Text.Json;
using Postern.Core;
using Postern.Server.Agents;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>Conversations in the shapes of both vendors (contracts, section 8 and XUNA's 5). The strict SDK reads every answer.</summary>
internal static class ConversationAnswers
{
    /// <summary>Where a conversation stands.</summary>
    public static ConversationState State(ConversationRow row) => row.EndedAt is null ? ConversationState.InProgress
        : ConversationQuery.Failures.Contains(row.EndReason) ? ConversationState.Failed : ConversationState.Done;

    public static string Status(ConversationState state) => state switch
    {
        ConversationState.InProgress => "in-progress",
        ConversationState.Done => "done",
        ConversationState.Failed => "failed",
        _ => throw new ArgumentOutOfRangeException(nameof(state)),
    };

    /// <summary>Nothing is evaluated: an orderly end counts as success.</summary>
    public static string Success(ConversationState state) => state switch
    {
        ConversationState.InProgress => "unknown",
        ConversationState.Done => "success",
        ConversationState.Failed => "failure",
        _ => throw new ArgumentOutOfRangeException(nameof(state)),
    };

    public static HttpAnswer List(IReadOnlyList<ConversationRow> rows, string? next, Func<ConversationRow, string?> agentName, DateTimeOffset now) => Wire.Json(200, json =>
    {
        json.WriteStartArray("conversations"u8);
        foreach (var row in rows)
        {
            json.WriteStartObject();
            WriteHead(json, row, agentName(row));
            json.WriteNumber("start_time_unix_secs"u8, row.StartedAt.ToUnixTimeSeconds());
            json.WriteNumber("call_duration_secs"u8, Duration(row, now));
            json.WriteNumber("message_count"u8, row.MessageCount);
            json.WriteString("call_successful"u8, Success(State(row)));
            WriteText(json, "termination_reason", Termination(row));
            WriteNumber(json, "rating", row.Rating);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        WriteText(json, "next_cursor", next);
        json.WriteBoolean("has_more"u8, next is not null);
    });

    public static HttpAnswer Whole(ConversationRow row, IReadOnlyList<Turn> turns, string? agentName, string origin, DateTimeOffset now) => Wire.Json(200, json =>
    {
        WriteHead(json, row, agentName);
        foreach (var flag in new[] { "has_audio", "has_user_audio", "has_response_audio", "has_auxiliary_audio" })
        {
            json.WriteBoolean(flag, false);
        }
        json.WriteStartArray("transcript"u8);
        foreach (var turn in turns)
        {
            json.WriteStartObject();
            json.WriteString("role"u8, turn.Role == TurnRole.User ? "user" : "agent");
            json.WriteString("message"u8, turn.Message);
            json.WriteNumber("time_in_call_secs"u8, Math.Max(0, (long)(turn.At - row.StartedAt).TotalSeconds));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        WriteMetadata(json, row, now);
        WriteInitiation(json, row);
        // XUNA's names.
        json.WriteString("audio"u8, $"{origin}/v1/convai/conversations/{row.Id}/audio");
        json.WriteStartObject("evaluation_results"u8);
        json.WriteEndObject();
        json.WriteStartObject("collected_data"u8);
        json.WriteEndObject();
    });

    public static HttpAnswer Users(IReadOnlyList<ConversationUser> users, string? next, Func<ConversationUser, string?> agentName) => Wire.Json(200, json =>
    {
        json.WriteStartArray("users"u8);
        foreach (var user in users)
        {
            json.WriteStartObject();
            WriteUser(json, user.Id, user.IsBound);
            json.WriteNumber("first_contact_unix_secs"u8, user.First.ToUnixTimeSeconds());
            json.WriteNumber("last_contact_unix_secs"u8, user.Last.ToUnixTimeSeconds());
            json.WriteNumber("conversation_count"u8, user.Conversations);
            json.WriteString("last_contact_agent_id"u8, user.LastAgent.Value);
            WriteText(json, "last_contact_agent_name", agentName(user));
            json.WriteString("last_contact_conversation_id"u8, user.LastConversation);
            WriteNoSentiment(json);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        WriteText(json, "next_cursor", next);
        json.WriteBoolean("has_more"u8, next is not null);
    });

    private static void WriteHead(Utf8JsonWriter json, ConversationRow row, string? agentName)
    {
        json.WriteString("agent_id"u8, row.Owner.Agent.Value);
        WriteText(json, "agent_name", agentName);
        json.WriteString("conversation_id"u8, row.Id);
        json.WriteString("status"u8, Status(State(row)));
        WriteUser(json, row.User, isBound: row.Subject is not null);
    }

    // The second is Postern's own: whether the application vouched for the user, or the client only said so.
    private static void WriteUser(Utf8JsonWriter json, string? id, bool isBound)
    {
        WriteText(json, "user_id", id);
        WriteText(json, "user_id_source", id is null ? null : isBound ? "credential" : "client");
    }

    private static void WriteMetadata(Utf8JsonWriter json, ConversationRow row, DateTimeOffset now)
    {
        json.WriteStartObject("metadata"u8);
        json.WriteNumber("start_time_unix_secs"u8, row.StartedAt.ToUnixTimeSeconds());
        json.WriteNumber("call_duration_secs"u8, Duration(row, now));
        json.WriteNull("cost_fiat"u8);
        json.WriteString("authorization_method"u8, row.AuthorizationMethod);
        WriteText(json, "termination_reason", Termination(row));
        json.WriteBoolean("text_only"u8, row.TextOnly);
        json.WriteStartObject("feedback"u8);
        WriteText(json, "type", row.Rating is not null ? "rating" : row.Feedback is not null ? "thumbs" : null);
        WriteText(json, "overall_score", row.Feedback);
        json.WriteNumber("likes"u8, row.Likes);
        json.WriteNumber("dislikes"u8, row.Dislikes);
        WriteNumber(json, "rating", row.Rating);
        WriteText(json, "comment", row.Comment);
        json.WriteEndObject();
        if (State(row) == ConversationState.Failed)
        {
            json.WriteStartObject("error"u8);
            json.WriteNumber("code"u8, row.CloseCode ?? 1006);
            json.WriteString("reason"u8, Termination(row));
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("error"u8);
        }
        json.WriteEndObject();
    }

    // As it was sent, but for members of a type that the strict SDK would break on: the client must not make a record unreadable.
    private static void WriteInitiation(Utf8JsonWriter json, ConversationRow row)
    {
        json.WriteStartObject("conversation_initiation_client_data"u8);
        if (row.Initiation.Length > 0)
        {
            using var document = JsonDocument.Parse(row.Initiation, StrictJson.Document);
            foreach (var (name, kind) in new[]
            {
                ("conversation_config_override", JsonValueKind.Object), ("custom_llm_extra_body", JsonValueKind.Object), ("dynamic_variables", JsonValueKind.Object),
                ("user_id", JsonValueKind.String), ("branch_id", JsonValueKind.String), ("environment", JsonValueKind.String), ("starting_workflow_node_id", JsonValueKind.String),
            })
            {
                if (AgentDocument.Member(document.RootElement, name) is { } member && member.ValueKind == kind)
                {
                    json.WritePropertyName(name);
                    member.WriteTo(json);
                }
            }
        }
        json.WriteEndObject();
    }

    private static void WriteNoSentiment(Utf8JsonWriter json)
    {
        json.WriteStartObject("sentiment"u8);
        foreach (var count in new[]
        {
            "scored_conversation_count", "positive_count", "neutral_count", "negative_count",
            "recent_scored_conversation_count", "recent_positive_count", "recent_neutral_count", "recent_negative_count",
        })
        {
            json.WriteNumber(count, 0);
        }
        json.WriteEndObject();
    }

    private static string? Termination(ConversationRow row) => row switch
    {
        { EndReason: null } => null,
        { Detail: { Length: > 0 } detail } => detail,
        { EndReason: "ClientClosed" } => string.Create(CultureInfo.InvariantCulture, $"Client disconnected: {row.CloseCode}"),
        { EndReason: "MaxDuration" } => "Max conversation duration reached",
        { EndReason: var reason } => reason,
    };

    private static long Duration(ConversationRow row, DateTimeOffset now) => Math.Max(0, (long)((row.EndedAt ?? now) - row.StartedAt).TotalSeconds);

    private static void WriteText(Utf8JsonWriter json, string name, string? text)
    {
        if (text is null)
        {
            json.WriteNull(name);
        }
        else
        {
            json.WriteString(name, text);
        }
    }

    private static void WriteNumber(Utf8JsonWriter json, string name, int? number)
    {
        if (number is null)
        {
            json.WriteNull(name);
        }
        else
        {
            json.WriteNumber(name, number.Value);
        }
    }
}
