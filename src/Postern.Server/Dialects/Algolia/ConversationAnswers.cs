using System.Text.Json;
using Postern.Core;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Algolia;

/// <summary>Conversations in the vendor's shapes (contract, section 5).</summary>
internal static class ConversationAnswers
{
    /// <summary>The members of one conversation; with messages it is the full one.</summary>
    /// <param name="agentId">What the vendor's clients call its agent.</param>
    public static void WriteMembers(Utf8JsonWriter json, string agentId, ConversationRow row, IReadOnlyList<Message>? messages, IReadOnlyList<Vote>? votes)
    {
        json.WriteString("id"u8, row.Id);
        json.WriteString("agentId"u8, agentId);
        json.WriteString("title"u8, row.Title);
        json.WriteString("createdAt"u8, Wire.Time(row.StartedAt));
        json.WriteString("updatedAt"u8, Wire.Time(row.ActiveAt));
        json.WriteString("lastActivityAt"u8, Wire.Time(row.ActiveAt));
        json.WriteString("userToken"u8, row.Subject);
        json.WriteBoolean("isFromDashboard"u8, false);
        json.WriteNumber("messageCount"u8, row.MessageCount);
        json.WriteNumber("totalInputTokens"u8, row.InputTokens);
        json.WriteNumber("totalOutputTokens"u8, row.OutputTokens);
        json.WriteNumber("totalTokens"u8, row.InputTokens + row.OutputTokens);
        json.WriteNull("conversationMetadata"u8);
        if (votes is null)
        {
            json.WriteNull("feedback"u8);
        }
        else
        {
            Wire.List(json, "feedback", votes, vote => WriteMembers(json, agentId, vote));
        }
        if (messages is not null)
        {
            Wire.List(json, "messages", messages, message => Write(json, row, message));
        }
    }

    /// <summary>The members of a vote.</summary>
    public static void WriteMembers(Utf8JsonWriter json, string agentId, Vote vote)
    {
        json.WriteString("id"u8, vote.Id);
        json.WriteString("agentId"u8, agentId);
        json.WriteString("messageId"u8, vote.MessageId);
        json.WriteNumber("vote"u8, vote.Value);
        json.WriteStartArray("tags"u8);
        foreach (var tag in vote.Text.Tags)
        {
            json.WriteStringValue(tag);
        }
        json.WriteEndArray();
        json.WriteString("notes"u8, vote.Text.Notes);
        json.WriteString("model"u8, vote.Model);
        json.WriteString("createdAt"u8, Wire.Time(vote.CreatedAt));
        json.WriteString("updatedAt"u8, Wire.Time(vote.UpdatedAt));
    }

    private static void Write(Utf8JsonWriter json, ConversationRow row, Message message)
    {
        json.WriteString("id"u8, message.Id);
        json.WriteString("conversationId"u8, row.Id);
        json.WriteString("role"u8, message.Role == TurnRole.User ? "user" : "assistant");
        json.WritePropertyName("parts"u8);
        WriteParts(json, message.Parts);
        json.WriteString("createdAt"u8, Wire.Time(message.At));
        json.WriteString("updatedAt"u8, Wire.Time(message.At));
        json.WriteString("model"u8, message.Model);
        WriteNumber(json, "inputTokens", message.InputTokens);
        WriteNumber(json, "outputTokens", message.OutputTokens);
        if (message.TurnContext is null)
        {
            json.WriteNull("turnContext"u8);
        }
        else
        {
            json.WriteStartObject("turnContext"u8);
            foreach (var (name, value) in message.TurnContext)
            {
                json.WriteString(name, value);
            }
            json.WriteEndObject();
        }
    }

    // As they are kept, but for the vendor's own name of a tool.
    private static void WriteParts(Utf8JsonWriter json, string parts)
    {
        using var document = JsonDocument.Parse(parts, StrictJson.Document);
        json.WriteStartArray();
        foreach (var part in document.RootElement.EnumerateArray())
        {
            json.WriteStartObject();
            foreach (var member in part.EnumerateObject())
            {
                if (member.NameEquals("toolName"u8))
                {
                    json.WriteString("toolName"u8, CompletionAnswers.Tool(member.Value.GetString()!));
                }
                else
                {
                    member.WriteTo(json);
                }
            }
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteNumber(Utf8JsonWriter json, string name, int? number)
    {
        if (number is { } value)
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
