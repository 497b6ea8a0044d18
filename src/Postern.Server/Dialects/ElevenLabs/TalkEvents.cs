using System.Text.Json;
using Postern.Server.Agents;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>What the server says in a conversation (contract, section 6.3).</summary>
internal static class TalkEvents
{
    public static byte[] Metadata(string conversation, AudioFormat input, AudioFormat output) =>
        Event("conversation_initiation_metadata", "conversation_initiation_metadata_event", json =>
        {
            json.WriteString("conversation_id"u8, conversation);
            json.WriteString("agent_output_audio_format"u8, output.Name);
            json.WriteString("user_input_audio_format"u8, input.Name);
        });

    public static byte[] Response(string text, long id) => Event("agent_response", "agent_response_event", json =>
    {
        json.WriteString("agent_response"u8, text);
        json.WriteNumber("event_id"u8, id);
    });

    /// <summary>A part of an answer: start and stop have no text.</summary>
    public static byte[] Part(string kind, string text, long id) => Event("agent_chat_response_part", "text_response_part", json =>
    {
        json.WriteString("text"u8, text);
        json.WriteString("type"u8, kind);
        json.WriteNumber("event_id"u8, id);
    });

    public static byte[] Transcript(string text, long id) => Event("user_transcript", "user_transcription_event", json =>
    {
        json.WriteString("user_transcript"u8, text);
        json.WriteNumber("event_id"u8, id);
    });

    public static byte[] Audio(byte[] sound, long id) => Event("audio", "audio_event", json =>
    {
        json.WriteBase64String("audio_base_64"u8, sound);
        json.WriteNumber("event_id"u8, id);
    });

    public static byte[] Interruption(long id) => Event("interruption", "interruption_event", json => json.WriteNumber("event_id"u8, id));

    /// <summary>The agent uses a tool.</summary>
    public static byte[] ToolRequest(string tool, string call, long id) => Event("agent_tool_request", "agent_tool_request", json => WriteTool(json, tool, call, id));

    /// <summary>The tool has done it, or not.</summary>
    public static byte[] ToolResponse(string tool, string call, bool isError, long id) => Event("agent_tool_response", "agent_tool_response", json =>
    {
        WriteTool(json, tool, call, id);
        json.WriteBoolean("is_error"u8, isError);
        json.WriteBoolean("is_called"u8, true);
    });

    /// <summary>A ping; one SDK reads <c>ping_ms</c> without asking whether it is there.</summary>
    public static byte[] Ping(long id, int? milliseconds) => Event("ping", "ping_event", json =>
    {
        json.WriteNumber("event_id"u8, id);
        if (milliseconds is { } known)
        {
            json.WriteNumber("ping_ms"u8, known);
        }
        else
        {
            json.WriteNull("ping_ms"u8);
        }
    });

    private static void WriteTool(Utf8JsonWriter json, string tool, string call, long id)
    {
        json.WriteString("tool_name"u8, tool);
        json.WriteString("tool_call_id"u8, call);
        json.WriteString("tool_type"u8, "system");
        json.WriteNumber("event_id"u8, id);
    }

    private static byte[] Event(string type, string member, Action<Utf8JsonWriter> write) => JsonText.Object(json =>
    {
        json.WriteString("type"u8, type);
        json.WriteStartObject(member);
        write(json);
        json.WriteEndObject();
    });
}
