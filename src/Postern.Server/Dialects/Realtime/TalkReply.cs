using System.Text.Json.Nodes;
using Postern.Core;
using Postern.Server.Agents;

namespace Postern.Server.Dialects.Realtime;

/// <summary>What one answer of the agent is.</summary>
/// <param name="Format">What its sound is in; null for a written answer.</param>
/// <param name="Metadata">The client's, given back as it came.</param>
/// <param name="IsApart">The answer is none of the conversation's items.</param>
/// <param name="Heard">What it answers.</param>
internal sealed record ReplyPlan(AudioFormat? Format, JsonNode? Metadata, bool IsApart, string Heard);

/// <summary>One answer as it goes out (contract, 4.2 and 4.3): the events for what the agent does.</summary>
internal sealed class TalkReply
{
    private readonly TalkEvents events;
    private readonly ReplyPlan plan;
    private readonly string conversation;
    private readonly string? previous;
    private string said = "";
    private AgentAct.Says? whole;
    private AgentAct.Failed? failed;

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

    /// <summary>The events before the agent does anything.</summary>
    public IEnumerable<byte[]> Begin()
    {
        yield return events.Response("response.created", Response("in_progress", null, []));
        yield return events.Output("response.output_item.added", this, Item);
        if (!IsApart)
        {
            yield return events.Item("conversation.item.added", Item, previous);
        }
        yield return events.Part("response.content_part.added", this, json => WritePart(json, ""));
    }

    /// <summary>The event for what the agent does; null when there is none.</summary>
    public byte[]? Do(AgentAct act)
    {
        switch (act)
        {
            case AgentAct.Piece { Text: var text }:
                said += text;
                return events.Part(plan.Format is null ? "response.output_text.delta" : "response.output_audio_transcript.delta", this, json => json.WriteString("delta"u8, text));
            case AgentAct.Plays { Samples: var samples }:
                return events.Part("response.output_audio.delta", this, json => json.WriteBase64String("delta"u8, plan.Format!.Value.Encode(samples)));
            case AgentAct.Says says:
                whole = says;
                said = says.Text;
                return null;
            case AgentAct.Failed failure:
                failed = failure;
                return null;
            default:
                return null;
        }
    }

    /// <summary>The events behind the last of what the agent did.</summary>
    public IEnumerable<byte[]> End()
    {
        if (failed is not null)
        {
            Item = NewItem("incomplete", [Content(said)]);
            return End("failed", new JsonObject { ["type"] = "failed", ["error"] = new JsonObject { ["type"] = "server_error", ["code"] = Wire.Code(failed.Failure) } });
        }
        Item = NewItem("completed", [Content(said)]);
        return Done().Concat(whole?.End switch
        {
            AnswerEnd.Length => End("incomplete", new JsonObject { ["type"] = "incomplete", ["reason"] = "max_output_tokens" }),
            AnswerEnd.Filtered => End("incomplete", new JsonObject { ["type"] = "incomplete", ["reason"] = "content_filter" }),
            _ => End("completed", null),
        });
    }

    /// <summary>The events that end it before its time.</summary>
    /// <param name="reason">Such as <c>turn_detected</c> or <c>client_cancelled</c>.</param>
    public IEnumerable<byte[]> Cancel(string reason)
    {
        Item = NewItem("incomplete", [Content(said)]);
        return End("cancelled", new JsonObject { ["type"] = "cancelled", ["reason"] = reason });
    }

    private IEnumerable<byte[]> Done()
    {
        if (plan.Format is null)
        {
            yield return events.Part("response.output_text.done", this, json => json.WriteString("text"u8, said));
        }
        else
        {
            yield return events.Part("response.output_audio.done", this, static _ => { });
            yield return events.Part("response.output_audio_transcript.done", this, json => json.WriteString("transcript"u8, said));
        }
        yield return events.Part("response.content_part.done", this, json => WritePart(json, said));
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
        ["output_modalities"] = new JsonArray(plan.Format is null ? "text" : "audio"),
        ["max_output_tokens"] = "inf",
        ["usage"] = status == "in_progress" ? null : Usage(),
        ["metadata"] = plan.Metadata?.DeepClone(),
    };

    // An agent that does not count its tokens: four characters are one, so that a client's sums have something to add.
    private JsonObject Usage()
    {
        var (input, output) = whole?.Tokens is { } tokens ? (tokens.Input, tokens.Output) : ((plan.Heard.Length + 3) / 4, (said.Length + 3) / 4);
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
    private JsonObject Content(string text) => plan.Format is null
        ? new JsonObject { ["type"] = "output_text", ["text"] = text }
        : new JsonObject { ["type"] = "output_audio", ["transcript"] = text };

    private void WritePart(System.Text.Json.Utf8JsonWriter json, string text)
    {
        json.WriteStartObject("part"u8);
        json.WriteString("type"u8, plan.Format is null ? "text" : "audio");
        json.WriteString(plan.Format is null ? "text"u8 : "transcript"u8, text);
        json.WriteEndObject();
    }
}
