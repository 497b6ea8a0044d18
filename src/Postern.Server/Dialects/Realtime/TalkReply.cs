using System.Text.Json.Nodes;
using Postern.Core;
using Postern.Server.Agents;

namespace Postern.Server.Dialects.Realtime;

/// <summary>What one answer of the agent is.</summary>
/// <param name="Text">What it says.</param>
/// <param name="Sound">What it plays, in the format of <paramref name="Format"/>; null for a written answer.</param>
/// <param name="Metadata">The client's, given back as it came.</param>
/// <param name="IsApart">The answer is none of the conversation's items.</param>
internal sealed record ReplyPlan(string Text, short[]? Sound, AudioFormat Format, JsonNode? Metadata, bool IsApart, string Heard);

/// <summary>One answer as it goes out: event after event, each with the time that passes before the next, so that it can be cut short.</summary>
internal sealed class TalkReply
{
    private static readonly TimeSpan BetweenWords = TimeSpan.FromMilliseconds(5);

    // Faster than it is heard, so that the client never runs dry; slow enough to be interrupted.
    private static readonly TimeSpan BetweenChunks = TimeSpan.FromMilliseconds(1000 / EchoAgent.ChunksPerSecond / 2);

    private readonly TalkEvents events;
    private readonly ReplyPlan plan;
    private readonly string conversation;
    private readonly string? previous;
    private string said = "";

    public TalkReply(TalkEvents events, ReplyPlan plan, string conversation, string? previous)
    {
        (this.events, this.plan, this.conversation, this.previous) = (events, plan, conversation, previous);
        Item = NewItem("in_progress", []);
    }

    public string Id { get; } = "resp_" + RandomText.Base62(RandomText.IdLength);

    public string ItemId { get; } = "item_" + RandomText.Base62(RandomText.IdLength);

    /// <summary>The agent's message as it stands.</summary>
    public JsonObject Item { get; private set; }

    public bool IsApart => plan.IsApart;

    public string Text => plan.Text;

    /// <summary>How long what is played takes to hear.</summary>
    public TimeSpan Playing => TimeSpan.FromSeconds((double)(plan.Sound?.Length ?? 0) / plan.Format.Rate);

    /// <summary>The events in order (contract, 4.2 and 4.3), each with the pause behind it.</summary>
    public IEnumerable<(byte[] Event, TimeSpan Pause)> Steps()
    {
        yield return Now(events.Response("response.created", Response("in_progress", null, [])));
        yield return Now(events.Output("response.output_item.added", this, Item));
        if (!IsApart)
        {
            yield return Now(events.Item("conversation.item.added", Item, previous));
        }
        yield return Now(events.Part("response.content_part.added", this, json => WritePart(json, "")));
        foreach (var step in plan.Sound is { } sound ? Play(sound) : Say())
        {
            yield return step;
        }
        yield return Now(events.Part("response.content_part.done", this, json => WritePart(json, plan.Text)));
        Item = NewItem("completed", [Content(plan.Text)]);
        foreach (var end in End("completed", null))
        {
            yield return Now(end);
        }
    }

    /// <summary>The events that end it before its time.</summary>
    /// <param name="reason">Such as <c>turn_detected</c> or <c>client_cancelled</c>.</param>
    public IEnumerable<byte[]> Cancel(string reason)
    {
        Item = NewItem("incomplete", [Content(said)]);
        return End("cancelled", new JsonObject { ["type"] = "cancelled", ["reason"] = reason });
    }

    private IEnumerable<(byte[], TimeSpan)> Say()
    {
        foreach (var word in Words(plan.Text))
        {
            said += word;
            yield return (events.Part("response.output_text.delta", this, json => json.WriteString("delta"u8, word)), BetweenWords);
        }
        yield return Now(events.Part("response.output_text.done", this, json => json.WriteString("text"u8, plan.Text)));
    }

    private IEnumerable<(byte[], TimeSpan)> Play(short[] sound)
    {
        foreach (var chunk in sound.Chunk(plan.Format.Rate / EchoAgent.ChunksPerSecond))
        {
            yield return (events.Part("response.output_audio.delta", this, json => json.WriteBase64String("delta"u8, plan.Format.Encode(chunk))), BetweenChunks);
            if (said.Length == 0 && plan.Text.Length > 0)
            {
                said = plan.Text;
                yield return Now(events.Part("response.output_audio_transcript.delta", this, json => json.WriteString("delta"u8, plan.Text)));
            }
        }
        yield return Now(events.Part("response.output_audio.done", this, static _ => { }));
        yield return Now(events.Part("response.output_audio_transcript.done", this, json => json.WriteString("transcript"u8, plan.Text)));
    }

    private IEnumerable<byte[]> End(string status, JsonObject? details)
    {
        if (!IsApart)
        {
            yield return events.Item("conversation.item.done", Item, previous);
        }
        yield return events.Output("response.output_item.done", this, Item);
        yield return events.Response("response.done", Response(status, details, [Item.DeepClone()]));
    }

    private JsonObject Response(string status, JsonObject? details, JsonArray output) => new()
    {
        ["object"] = "realtime.response",
        ["id"] = Id,
        ["status"] = status,
        ["status_details"] = details,
        ["output"] = output,
        ["conversation_id"] = IsApart ? null : conversation,
        ["output_modalities"] = new JsonArray(plan.Sound is null ? "text" : "audio"),
        ["max_output_tokens"] = "inf",
        ["usage"] = status == "in_progress" ? null : Usage(),
        ["metadata"] = plan.Metadata?.DeepClone(),
    };

    // The echo agent has no tokens: four characters count as one, so that a client's sums have something to add.
    private JsonObject Usage()
    {
        int input = (plan.Heard.Length + 3) / 4, output = (said.Length + 3) / 4;
        return new JsonObject
        {
            ["total_tokens"] = input + output,
            ["input_tokens"] = input,
            ["output_tokens"] = output,
            ["input_token_details"] = new JsonObject { ["text_tokens"] = input, ["audio_tokens"] = 0, ["cached_tokens"] = 0 },
            ["output_token_details"] = new JsonObject { ["text_tokens"] = output, ["audio_tokens"] = 0 },
        };
    }

    private JsonObject NewItem(string status, JsonArray content) => new()
    {
        ["id"] = ItemId, ["object"] = "realtime.item", ["type"] = "message", ["role"] = "assistant", ["status"] = status, ["content"] = content,
    };

    // Never input_text: a client of the contract dies of an assistant that has it.
    private JsonObject Content(string text) => plan.Sound is null
        ? new JsonObject { ["type"] = "output_text", ["text"] = text }
        : new JsonObject { ["type"] = "output_audio", ["transcript"] = text };

    private void WritePart(System.Text.Json.Utf8JsonWriter json, string text)
    {
        json.WriteStartObject("part"u8);
        json.WriteString("type"u8, plan.Sound is null ? "text" : "audio");
        json.WriteString(plan.Sound is null ? "text"u8 : "transcript"u8, text);
        json.WriteEndObject();
    }

    private static IEnumerable<string> Words(string text)
    {
        for (var at = 0; at < text.Length;)
        {
            var end = text.IndexOf(' ', at + 1);
            end = end < 0 ? text.Length : end;
            yield return text[at..end];
            at = end;
        }
    }

    private static (byte[], TimeSpan) Now(byte[] text) => (text, TimeSpan.Zero);
}
