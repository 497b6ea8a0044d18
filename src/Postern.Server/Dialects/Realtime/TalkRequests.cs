using System.Text.Json;
using System.Text.Json.Nodes;
using Postern.Core;
using Postern.Server.Agents;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Realtime;

/// <summary>What a client asks in a conversation with the agent hosted here, and what it is answered. Nothing it asks ends the session.</summary>
internal sealed class TalkRequests(TalkContext context, Talk talk, IHostedAgent agent, TalkEvents events, SessionConfiguration configuration)
{
    private const string Invalid = "invalid_request_error";
    private const string TextOnly = "This agent reads and writes only: send input_text.";

    private readonly SessionLock locked = configuration.Lock;
    private readonly TalkItems items = new();
    private readonly TimeProvider clock = context.Clock;
    private Hearing hearing = new(configuration.Input, configuration.DetectsTurns, context.Clock);
    private TalkReply? reply;
    private Speech? lastSpeech;
    private string speaking = TalkItems.NewId();
    private Playback playback = new(context.Clock);
    private string cut = "";
    private bool wasTold;
    private string? cause;

    /// <summary>Whether the caller is speaking.</summary>
    public bool IsListening => hearing.IsOpen;

    /// <summary>Hears that a caller has stopped.</summary>
    public async ValueTask HearOutAsync()
    {
        if (hearing.IsOver)
        {
            await EndTurnAsync();
        }
    }

    /// <summary>Says what the agent does.</summary>
    public async ValueTask DoAsync(AgentAct act)
    {
        if (act is AgentAct.Plays played)
        {
            playback.Add(played.Samples.Length, configuration.Output.Rate);
        }
        if (act is AgentAct.Failed failed)
        {
            await SendAsync(Wire.ErrorEvent(events.NextId(), "server_error", Wire.Code(failed.Failure), failed.Sentence));
        }
        if (reply!.Do(act) is { } text)
        {
            await SendAsync(text);
        }
    }

    /// <summary>Says that the answer is over.</summary>
    public async ValueTask AnsweredAsync(bool isCut)
    {
        foreach (var text in isCut ? reply!.Cancel(cut) : reply!.End())
        {
            await SendAsync(text);
        }
        if (items.Find(reply.ItemId) is { } item)
        {
            foreach (var (name, value) in reply.Item)
            {
                item[name] = value?.DeepClone();
            }
        }
        reply = null;
    }

    /// <summary>Takes one message; null is one that could not be read.</summary>
    public async ValueTask TakeAsync(JsonElement? message)
    {
        cause = Text(message, "event_id");
        try
        {
            await (message is not { ValueKind: JsonValueKind.Object } found ? RefuseAsync("invalid_json", "The message is not a JSON object, or a member of it is given twice.")
                : Text(found, "type") is not { } type ? RefuseAsync("invalid_event", "The message has no type.", "type")
                : TakeAsync(type, found));
        }
        catch (Exception e) when (StrictJson.IsBadInput(e) && e is not ObjectDisposedException)
        {
            await RefuseAsync("invalid_value", "A member of the message could not be read.");
        }
    }

    private ValueTask TakeAsync(string type, JsonElement message) => type switch
    {
        "session.update" => UpdateAsync(message),
        "conversation.item.create" => CreateAsync(message),
        "conversation.item.retrieve" => items.Find(Text(message, "item_id")) is { } item ? SendAsync(events.Retrieved(item)) : UnknownItemAsync(message),
        "conversation.item.delete" => items.Remove(Text(message, "item_id")) ? SendAsync(events.Deleted(Text(message, "item_id")!)) : UnknownItemAsync(message),
        "conversation.item.truncate" => TruncateAsync(message),
        "response.create" => RespondAsync(Member(message, "response") is { ValueKind: JsonValueKind.Object } response ? response : null),
        "response.cancel" => reply is null ? RefuseAsync("response_cancel_not_active", "Cancellation failed: no active response found") : CancelAsync("client_cancelled"),
        "input_audio_buffer.append" => HearAsync(message),
        "input_audio_buffer.commit" => CommitAsync(),
        "input_audio_buffer.clear" => ClearAsync(),
        _ => RefuseAsync("invalid_value", $"The type '{(type.Length > 64 ? type[..64] : type)}' is not one that a client sends here.", "type"),
    };

    private async ValueTask UpdateAsync(JsonElement message)
    {
        if (Member(message, "session") is not { ValueKind: JsonValueKind.Object } session)
        {
            await RefuseAsync("missing_required_parameter", "Missing required parameter: 'session'.", "session");
            return;
        }
        foreach (var refusal in configuration.Update(session, context.Options.Sessions.MaxMessageBytes))
        {
            await RefuseAsync(refusal.Code, refusal.Message, refusal.Param);
        }
        if (configuration.Input != hearing.Format || configuration.DetectsTurns != hearing.DetectsTurns)
        {
            hearing = new Hearing(configuration.Input, configuration.DetectsTurns, clock);
        }
        await SendAsync(events.Session("session.updated", configuration));
    }

    private async ValueTask CreateAsync(JsonElement message)
    {
        var given = Member(message, "item") ?? default;
        var previous = Text(message, "previous_item_id");
        if (locked.RefusedOfItem(given) is { } member)
        {
            var refusal = FieldRefusal.Locked(member);
            await RefuseAsync(refusal.Code, refusal.Message, refusal.Param);
        }
        else if (items.Read(given, out var param, out var problem) is not { } item)
        {
            await RefuseAsync("invalid_value", problem, param);
        }
        else if (!agent.HasVoice && TalkItems.IsSpoken(item))
        {
            await RefuseAsync("audio_not_supported", TextOnly, "item.content");
        }
        else if (previous is not null and not "root" && items.Find(previous) is null)
        {
            await RefuseAsync("item_not_found", $"The item '{Cut(previous)}' does not exist.", "previous_item_id");
        }
        else
        {
            Understand(given, item);
            await AddAsync(item, previous);
            if (item["role"]?.ToString() == "user" && TalkItems.Words(item) is { Length: > 0 } words)
            {
                await context.Recorder.AddAsync(TurnRole.User, words);
            }
        }
    }

    // A message may bring its sound along instead of a text.
    private void Understand(JsonElement given, JsonObject item)
    {
        if (item["role"]?.ToString() != "user")
        {
            return;
        }
        var parts = given.GetProperty("content"u8);
        for (var i = 0; i < parts.GetArrayLength(); i++)
        {
            if (Member(parts[i], "audio") is { ValueKind: JsonValueKind.String } audio && audio.TryGetBytesFromBase64(out var sound))
            {
                var samples = configuration.Input.Decode(sound);
                lastSpeech = new Speech(samples, configuration.Input.Rate, TimeSpan.FromSeconds((double)samples.Length / configuration.Input.Rate));
                item["content"]![i]!["transcript"] = lastSpeech.Transcript;
            }
        }
    }

    private async ValueTask TruncateAsync(JsonElement message)
    {
        if (items.Find(Text(message, "item_id")) is null)
        {
            await UnknownItemAsync(message);
            return;
        }
        if (Number(message, "content_index") is not { } content || Number(message, "audio_end_ms") is not { } end || end < 0)
        {
            await RefuseAsync("invalid_value", "Both content_index and audio_end_ms are needed.", "audio_end_ms");
            return;
        }
        playback.Stop();
        await SendAsync(events.Truncated(Text(message, "item_id")!, (int)content, end));
    }

    private async ValueTask RespondAsync(JsonElement? asked)
    {
        if (reply is not null)
        {
            await RefuseAsync("conversation_already_has_active_response", $"Conversation already has an active response in progress: {reply.Id}. Wait until the response is finished before creating a new one.");
            return;
        }
        var fields = asked is { } response ? SessionFields.Leaves(response) : [];
        var refused = locked.RefusedOfResponse(fields).ToList();
        foreach (var field in refused)
        {
            var refusal = FieldRefusal.Locked("response." + field.Name);
            await RefuseAsync(refusal.Code, refusal.Message, refusal.Param);
        }
        fields.RemoveAll(refused.Contains);
        var modalities = fields.Find(field => field.Path == "output_modalities") is { Value.ValueKind: JsonValueKind.Array } list ? JsonArray.Create(list.Value) : null;
        var speaks = modalities is null ? configuration.Speaks : SessionConfiguration.IsSpoken(modalities);
        var isApart = fields.Any(field => field.Path == "conversation" && field.Value.ValueKind == JsonValueKind.String && field.Value.ValueEquals("none"));
        var metadata = asked is { } given && Member(given, "metadata") is { ValueKind: JsonValueKind.Object } found ? JsonObject.Create(found.Clone()) : null;
        var instructions = fields.Find(field => field.Path == "instructions") is { Value.ValueKind: JsonValueKind.String } text ? text.Value.GetString() : null;
        await BeginAsync(speaks, metadata, isApart, instructions ?? configuration.Instructions);
    }

    private async ValueTask BeginAsync(bool speaks, JsonNode? metadata, bool isApart, string instructions)
    {
        var (heard, isSpoken) = items.LastWord ?? ("", false);
        var format = speaks && agent.HasVoice ? configuration.Output : (AudioFormat?)null;
        var turn = new AgentTurn(items.Conversation()) { Heard = isSpoken ? lastSpeech : null, PlayAt = format?.Rate, Instructions = instructions };
        reply = new TalkReply(events, new ReplyPlan(format, metadata, isApart, heard), context.Session.Id, items.Last);
        if (!reply.IsApart)
        {
            items.Add(reply.Item);
        }
        foreach (var text in reply.Begin())
        {
            await SendAsync(text);
        }
        talk.Answer(agent, turn);
    }

    private async ValueTask CancelAsync(string reason)
    {
        playback.Stop();
        cut = reason;
        await talk.CutAsync();
    }

    private ValueTask SendAsync(byte[] text)
    {
        context.Activity.Touch();
        return talk.SendAsync(text);
    }

    private async ValueTask HearAsync(JsonElement message)
    {
        if (!agent.HasVoice)
        {
            // Sound comes many times a second: one word is enough.
            await (wasTold ? ValueTask.CompletedTask : RefuseAsync("audio_not_supported", TextOnly, "audio"));
            wasTold = true;
            return;
        }
        if (Member(message, "audio") is not { ValueKind: JsonValueKind.String } audio || !audio.TryGetBytesFromBase64(out var sound))
        {
            await RefuseAsync("invalid_value", "The audio must be base64.", "audio");
            return;
        }
        if (!hearing.DetectsTurns)
        {
            if (!hearing.Hold(sound))
            {
                await RefuseAsync("input_audio_buffer_full", "The buffer holds half a minute: commit or clear it.", "audio");
            }
            return;
        }
        for (ReadOnlyMemory<short> rest = hearing.Decode(sound); !rest.IsEmpty;)
        {
            switch (hearing.Listen(ref rest, playback.IsPlaying))
            {
                case Listening.Began:
                    await SendAsync(events.Speech("input_audio_buffer.speech_started", "audio_start_ms", hearing.Milliseconds, speaking));
                    if (reply is not null && configuration.YieldsToCaller)
                    {
                        await CancelAsync("turn_detected");
                    }
                    break;
                case Listening.Ended:
                    await EndTurnAsync();
                    break;
            }
        }
    }

    private async ValueTask EndTurnAsync()
    {
        await SendAsync(events.Speech("input_audio_buffer.speech_stopped", "audio_end_ms", hearing.Milliseconds, speaking));
        if (hearing.Take() is { } speech)
        {
            await CommitAsync(speech);
            if (configuration.AnswersTurns && reply is null)
            {
                await BeginAsync(configuration.Speaks, null, isApart: false, configuration.Instructions);
            }
        }
    }

    private ValueTask CommitAsync() => hearing.Take() is { } speech ? CommitAsync(speech)
        : RefuseAsync("input_audio_buffer_commit_empty", "Error committing input audio buffer: the buffer is empty.");

    private async ValueTask CommitAsync(Speech speech)
    {
        lastSpeech = speech;
        var item = TalkItems.Spoken(speaking);
        var id = speaking;
        speaking = TalkItems.NewId();
        await SendAsync(events.Committed(id, items.Last));
        await AddAsync(item, null);
        var transcript = speech.Transcript;
        item["content"]![0]!["transcript"] = transcript;
        await context.Recorder.AddAsync(TurnRole.User, transcript);
        await SendAsync(events.Transcribed(id, transcript, speech.Spoken.TotalSeconds));
    }

    private ValueTask ClearAsync()
    {
        hearing = new Hearing(configuration.Input, configuration.DetectsTurns, clock);
        return SendAsync(events.Event("input_audio_buffer.cleared", static _ => { }));
    }

    private async ValueTask AddAsync(JsonObject item, string? previous)
    {
        var before = items.Add(item, previous);
        await SendAsync(events.Item("conversation.item.added", item, before));
        await SendAsync(events.Item("conversation.item.done", item, before));
    }

    private ValueTask UnknownItemAsync(JsonElement message) =>
        RefuseAsync("item_not_found", $"The item '{Cut(Text(message, "item_id") ?? "")}' does not exist.", "item_id");

    private ValueTask RefuseAsync(string code, string text, string? param = null) => SendAsync(Wire.ErrorEvent(events.NextId(), Invalid, code, text, param, cause));

    private static JsonElement? Member(JsonElement element, string name) => element.TryGetProperty(name, out var member) ? member : null;

    // A lone surrogate in a text makes reading it throw, and counts as no text.
    private static string? Text(JsonElement? element, string name)
    {
        try
        {
            return element is { ValueKind: JsonValueKind.Object } found && Member(found, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    private static long? Number(JsonElement element, string name) => Member(element, name) is { ValueKind: JsonValueKind.Number } number && number.TryGetInt64(out var value) ? value : null;

    private static string Cut(string text) => text.Length > 64 ? text[..64] : text;
}
