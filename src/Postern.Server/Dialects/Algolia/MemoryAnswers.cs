using System.Text.Json;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Algolia;

/// <summary>What is remembered, in the vendor's shape (contract, section 5).</summary>
internal static class MemoryAnswers
{
    /// <summary>The members of one record.</summary>
    /// <param name="agentId">What the vendor's clients call its agent.</param>
    public static void WriteMembers(Utf8JsonWriter json, string agentId, MemoryRecord record)
    {
        var content = record.Content;
        json.WriteString("text"u8, content.Text);
        json.WriteString("rawExtract"u8, content.RawExtract);
        json.WriteString("memoryType"u8, record.Kind);
        if (content.Episode is { } episode)
        {
            json.WriteStartObject("episode"u8);
            json.WriteString("observation"u8, episode.Observation);
            json.WriteString("thoughts"u8, episode.Thoughts);
            json.WriteString("action"u8, episode.Action);
            json.WriteString("result"u8, episode.Result);
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("episode"u8);
        }
        WriteTexts(json, "keywords", content.Keywords);
        WriteTexts(json, "topics", content.Topics);
        WriteTexts(json, "_tags", content.Tags);
        WriteTexts(json, "recallTriggers", content.RecallTriggers);
        json.WriteString("objectID"u8, record.Id);
        json.WriteString("appId"u8, record.Owner.Project.Value);
        WriteTexts(json, "agentIDs", [agentId]);
        json.WriteString("userID"u8, record.Owner.Subject);
        json.WriteNumber("createdAt"u8, record.CreatedAt.ToUnixTimeSeconds());
        json.WriteNumber("updatedAt"u8, record.UpdatedAt.ToUnixTimeSeconds());
    }

    private static void WriteTexts(Utf8JsonWriter json, string name, IReadOnlyList<string> texts)
    {
        json.WriteStartArray(name);
        foreach (var text in texts)
        {
            json.WriteStringValue(text);
        }
        json.WriteEndArray();
    }
}
