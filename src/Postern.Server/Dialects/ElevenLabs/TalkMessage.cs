using System.Text.Json;
using Postern.Core;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>What a client says after its opening (contract, section 6.2), and what it says instead of one.</summary>
internal abstract record TalkMessage
{
    private TalkMessage() { }

    /// <summary>A piece of the caller's sound.</summary>
    public sealed record Audio(byte[] Sound) : TalkMessage;

    /// <summary>A written message; empty when it holds no text.</summary>
    public sealed record Written(string Text) : TalkMessage;

    /// <summary>What the agent is to know, without an answer; empty when it holds no text.</summary>
    public sealed record Context(string Text) : TalkMessage;

    /// <summary>The answer to a ping.</summary>
    public sealed record Pong(long EventId) : TalkMessage;

    /// <summary>What the user thinks of an answer: true, false, or no longer anything.</summary>
    public sealed record Feedback(long EventId, bool? Likes) : TalkMessage;

    /// <summary>The opening.</summary>
    public sealed record Opening : TalkMessage;

    /// <summary>An on-premise client's own agent configuration, which nobody may bring along.</summary>
    public sealed record Enclave : TalkMessage;

    /// <summary>Taken and of no consequence here: activity, results of tools, types of a later day.</summary>
    public sealed record Other : TalkMessage;

    /// <summary>Not of the protocol.</summary>
    public sealed record Unreadable : TalkMessage;

    /// <summary>Reads one text message.</summary>
    public static TalkMessage Read(ReadOnlyMemory<byte> text)
    {
        try
        {
            using var document = JsonDocument.Parse(text, StrictJson.Document);
            return document.RootElement.ValueKind == JsonValueKind.Object ? Read(document.RootElement) : new Unreadable();
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return new Unreadable();
        }
    }

    private static TalkMessage Read(JsonElement root)
    {
        if (!root.TryGetProperty("type", out var type))
        {
            return root.TryGetProperty("user_audio_chunk", out var chunk) ? ReadAudio(chunk) : new Unreadable();
        }
        return type.GetString() switch
        {
            "audio" => ReadAudio(Need(Need(root, "audio_event"), "audio_base_64")),
            "user_message" => ReadText(root),
            "contextual_update" => new Context(ReadText(root).Text),
            "multimodal_message" => root.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.Object ? ReadText(text) : new Other(),
            "pong" => new Pong(Need(root, "event_id").GetInt64()),
            "feedback" => ReadFeedback(root),
            InitiationData.MessageType => new Opening(),
            "enclave_setup_config" => new Enclave(),
            null => new Unreadable(),
            _ => new Other(),
        };
    }

    private static TalkMessage ReadAudio(JsonElement base64) => base64.TryGetBytesFromBase64(out var sound) ? new Audio(sound) : new Unreadable();

    private static Written ReadText(JsonElement root) => new(root.TryGetProperty("text", out var text) ? text.GetString() ?? "" : "");

    private static Feedback ReadFeedback(JsonElement root)
    {
        var score = Need(root, "score");
        return new Feedback(Need(root, "event_id").GetInt64(), score.ValueKind == JsonValueKind.Null ? null : score.GetString() switch
        {
            "like" => true,
            "dislike" => false,
            _ => throw new FormatException("score"),
        });
    }

    private static JsonElement Need(JsonElement root, string name) =>
        root.TryGetProperty(name, out var member) ? member : throw new FormatException(name);
}
