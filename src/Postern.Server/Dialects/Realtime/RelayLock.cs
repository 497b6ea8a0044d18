using System.Text.Json;
using System.Text.Json.Nodes;
using Postern.Core;
using Postern.Core.Sessions;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.Realtime;

/// <summary>
/// Holds a relayed session to what its mint fixed: looks at each message of the client, lets it pass as it came, takes out what may not
/// be set, or refuses it. What some reader upstream could take differently than it is read here does not pass.
/// </summary>
internal sealed class RelayLock
{
    private static readonly string[] Containers = ["", "audio", "audio.input", "audio.output"];

    // With fixed fields nothing passes that is not known to leave them alone.
    private static readonly string[] Harmless =
    [
        "input_audio_buffer.append", "input_audio_buffer.commit", "input_audio_buffer.clear", "output_audio_buffer.clear", "response.cancel",
        "conversation.item.truncate", "conversation.item.delete", "conversation.item.retrieve",
    ];

    // xAI does not always answer a session.update, and clients wait for it.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private static readonly byte[] Answer = "session.updated"u8.ToArray();

    private readonly SessionLock locked;
    private readonly SessionConfiguration? known;
    private readonly bool toXai;
    private long answers;

    private RelayLock(Session session, bool toXai)
    {
        known = toXai ? SessionConfiguration.OfUpstream(session.Terms.Fixed, "sess_" + session.Id, session.Agent.Id.Value) : null;
        (locked, this.toXai) = (known?.Lock ?? new SessionLock(session.Terms.Fixed), toXai);
    }

    /// <summary>The rule of one session; <paramref name="toXai"/> when the upstream reads xAI's flat fields.</summary>
    public static RelayRule For(Session session, bool toXai, DateTimeOffset now)
    {
        var held = new RelayLock(session, toXai);
        return new RelayRule(held.Judge)
        {
            Greeting = held.Greeting(),
            Warning = Expiry.Of(session) is var (at, left) && at > now ? (at - now, Expiry.Event("event_expiring", left)) : null,
        };
    }

    private byte[]? Greeting()
    {
        var leaves = locked.Defaults.Concat(locked.Fields).ToList();
        if (leaves.Count == 0)
        {
            return null;
        }
        var session = Blank();
        leaves.ForEach(leaf => SessionConfiguration.Set(session, Place(leaf.Key), leaf.Value));
        return JsonText.Value(new JsonObject { ["type"] = "session.update", ["session"] = session });
    }

    private Passage Judge(bool isText, ReadOnlyMemory<byte> message)
    {
        if (!isText)
        {
            // Sound, where the vendor takes it so; a reader that is not particular would take text for text.
            return toXai && !CouldBeJson(message.Span) ? Passage.AsItCame : Refuse("invalid_event", "Text messages only.", null, null);
        }
        try
        {
            return Judge(JsonElement.Parse(message.Span, StrictJson.Document));
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return Refuse("invalid_json", "The message is not a JSON object, or a member of it is given twice.", null, null);
        }
    }

    private Passage Judge(JsonElement message)
    {
        if (!message.TryGetProperty("type", out var kind) || kind.ValueKind != JsonValueKind.String)
        {
            return Refuse("invalid_event", "The message has no type.", "type", null);
        }
        var cause = message.TryGetProperty("event_id", out var id) && id.ValueKind == JsonValueKind.String ? id.GetString() : null;
        if (message.EnumerateObject().Any(member => SessionLock.IsLookAlike(member.Name, "type", "session", "response", "item")))
        {
            return Refuse("invalid_event", "A member's name differs from a known one in case only.", null, cause);
        }
        return kind.GetString() switch
        {
            "session.update" => Member(message, "session") is { } session ? JudgeUpdate(message, session, cause) with { Unless = known is null ? null : Updated(known) } : Passage.AsItCame,
            "response.create" => Member(message, "response") is { } response ? JudgeResponse(message, response, cause) : Passage.AsItCame,
            "conversation.item.create" => locked.RefusedOfItem(Member(message, "item") ?? default) is { } member ? Refuse([FieldRefusal.Locked(member)], cause) : Passage.AsItCame,
            var type when locked.IsOpen || Harmless.Contains(type) => Passage.AsItCame,
            var type => Refuse("session_field_locked", $"Events of type '{type}' do not pass while fields of the session are fixed.", "type", cause),
        };
    }

    private Passage JudgeUpdate(JsonElement message, JsonElement session, string? cause)
    {
        var leaves = SessionFields.Leaves(session);
        var refused = locked.Refused(leaves).ToList();
        var touched = locked.Fields.Where(leaf => Parent(leaf.Key) is var parent && !Containers.Contains(parent) && leaves.Any(field => SessionFields.IsWithin(field.Path, parent))).ToList();
        var removed = leaves.Where(SessionLock.IsModel).Concat(refused).ToList();
        known?.Take(leaves.Except(removed));
        if (removed.Count == 0 && touched.Count == 0)
        {
            return Passage.AsItCame;
        }
        var changed = Without(message, "session", removed);
        // What is left of an object replaces it at some upstreams: its fixed members go along.
        touched.ForEach(leaf => SessionConfiguration.Set((JsonObject)changed["session"]!, Place(leaf.Key), leaf.Value));
        foreach (var (name, value) in Blank())
        {
            ((JsonObject)changed["session"]!).TryAdd(name, value?.DeepClone());
        }
        return new Passage(JsonText.Value(changed), Errors(refused.Select(field => FieldRefusal.Locked("session." + field.Name)), cause));
    }

    private Unanswered Updated(SessionConfiguration configuration) => new(Answer, Patience, JsonText.Object(json =>
    {
        json.WriteString("type"u8, "session.updated");
        json.WriteString("event_id"u8, NextId());
        json.WritePropertyName("session"u8);
        configuration.Write(json, flat: true);
    }));

    private Passage JudgeResponse(JsonElement message, JsonElement response, string? cause)
    {
        var refused = locked.RefusedOfResponse(SessionFields.Leaves(response)).ToList();
        return refused.Count == 0 ? Passage.AsItCame
            : new Passage(JsonText.Value(Without(message, "response", refused)), Errors(refused.Select(field => FieldRefusal.Locked("response." + field.Name)), cause));
    }

    private static JsonObject Without(JsonElement message, string member, IEnumerable<SessionField> fields)
    {
        var changed = JsonObject.Create(message)!;
        foreach (var field in fields)
        {
            var above = changed[member] as JsonObject;
            foreach (var name in field.Written.SkipLast(1))
            {
                above = above?[name] as JsonObject;
            }
            above?.Remove(field.Written[^1]);
        }
        return changed;
    }

    private Passage Refuse(string code, string text, string? param, string? cause) =>
        Passage.Refused(Wire.ErrorEvent(NextId(), "invalid_request_error", code, text, param, cause));

    private Passage Refuse(IEnumerable<FieldRefusal> refusals, string? cause) => Passage.Refused(Errors(refusals, cause));

    private List<byte[]> Errors(IEnumerable<FieldRefusal> refusals, string? cause) =>
        [.. refusals.Select(refusal => Wire.ErrorEvent(NextId(), "invalid_request_error", refusal.Code, refusal.Message, refusal.Param, cause))];

    private string NextId() => $"event_postern_{++answers}";

    private JsonObject Blank() => toXai ? [] : new JsonObject { ["type"] = "realtime" };

    private string Place(string path) => !toXai ? path
        : SessionFields.IsWithin(path, "audio.input.turn_detection") ? path["audio.input.".Length..]
        : path == "audio.output.voice" ? "voice"
        : path == "output_modalities" ? "modalities"
        : path;

    private static string Parent(string path) => path.LastIndexOf('.') is var dot and >= 0 ? path[..dot] : "";

    private static JsonElement? Member(JsonElement element, string name) => element.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.Object ? member : null;

    private static bool CouldBeJson(ReadOnlySpan<byte> message)
    {
        message = message.StartsWith("\uFEFF"u8) ? message[3..] : message;
        try
        {
            var reader = new Utf8JsonReader(message, new JsonReaderOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            while (reader.Read())
            {
            }
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
