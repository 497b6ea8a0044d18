using System.Text.Json;
using System.Text.Json.Nodes;

namespace Postern.Server.Dialects.Realtime;

/// <summary>The server's events of one conversation (contract, section 4): numbered, since clients drop one without an id and say nothing.</summary>
internal sealed class TalkEvents(bool isXai)
{
    private long last;

    public byte[] Event(string type, Action<Utf8JsonWriter> members) => JsonText.Object(json =>
    {
        json.WriteString("type"u8, type);
        json.WriteString("event_id"u8, NextId());
        members(json);
    });

    public string NextId() => $"event_{++last}";

    public byte[] Session(string type, SessionConfiguration configuration) => Event(type, json =>
    {
        json.WritePropertyName("session"u8);
        configuration.Write(json, isXai);
    });

    public byte[] Conversation(string id) => Event("conversation.created", json =>
    {
        json.WriteStartObject("conversation"u8);
        json.WriteString("id"u8, id);
        json.WriteString("object"u8, "realtime.conversation");
        json.WriteEndObject();
    });

    public byte[] Item(string type, JsonObject item, string? previous) => Event(type, json =>
    {
        json.WriteString("previous_item_id"u8, previous);
        json.WritePropertyName("item"u8);
        item.WriteTo(json);
    });

    public byte[] Retrieved(JsonObject item) => Event("conversation.item.retrieved", json =>
    {
        json.WritePropertyName("item"u8);
        item.WriteTo(json);
    });

    public byte[] Deleted(string item) => Event("conversation.item.deleted", json => json.WriteString("item_id"u8, item));

    public byte[] Truncated(string item, int content, long milliseconds) => Event("conversation.item.truncated", json =>
    {
        json.WriteString("item_id"u8, item);
        json.WriteNumber("content_index"u8, content);
        json.WriteNumber("audio_end_ms"u8, milliseconds);
    });

    public byte[] Speech(string type, string member, long milliseconds, string item) => Event(type, json =>
    {
        json.WriteNumber(member, milliseconds);
        json.WriteString("item_id"u8, item);
    });

    public byte[] Committed(string item, string? previous) => Event("input_audio_buffer.committed", json =>
    {
        json.WriteString("previous_item_id"u8, previous);
        json.WriteString("item_id"u8, item);
    });

    public byte[] Transcribed(string item, string transcript, double seconds) => Event("conversation.item.input_audio_transcription.completed", json =>
    {
        json.WriteString("item_id"u8, item);
        json.WriteNumber("content_index"u8, 0);
        json.WriteString("transcript"u8, transcript);
        json.WriteStartObject("usage"u8);
        json.WriteString("type"u8, "duration");
        json.WriteNumber("seconds"u8, Math.Round(seconds, 1));
        json.WriteEndObject();
    });

    /// <summary>An event about a part of an answer; xAI has other names for written ones.</summary>
    public byte[] Part(string type, TalkReply reply, Action<Utf8JsonWriter> members) => Event(isXai ? type.Replace("output_text", "text", StringComparison.Ordinal) : type, json =>
    {
        json.WriteString("response_id"u8, reply.Id);
        json.WriteString("item_id"u8, reply.ItemId);
        json.WriteNumber("output_index"u8, 0);
        json.WriteNumber("content_index"u8, 0);
        members(json);
    });

    public byte[] Output(string type, TalkReply reply, JsonObject item) => Event(type, json =>
    {
        json.WriteString("response_id"u8, reply.Id);
        json.WriteNumber("output_index"u8, 0);
        json.WritePropertyName("item"u8);
        item.WriteTo(json);
    });

    public byte[] Response(string type, JsonObject response) => Event(type, json =>
    {
        json.WritePropertyName("response"u8);
        response.WriteTo(json);
    });
}
