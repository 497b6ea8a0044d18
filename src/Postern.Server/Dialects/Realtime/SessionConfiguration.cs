using System.Text.Json;
using System.Text.Json.Nodes;
using Postern.Core;
using Postern.Core.Credentials;
using Postern.Server.Agents;

namespace Postern.Server.Dialects.Realtime;

/// <summary>Why one field of the client's was not taken.</summary>
/// <param name="Param">Its dotted path as it was written.</param>
internal sealed record FieldRefusal(string Code, string Param, string Message)
{
    /// <summary>The mint fixed it.</summary>
    public static FieldRefusal Locked(string param) => new("session_field_locked", param, $"'{param}' was fixed when this session was minted and cannot be changed.");
}

/// <summary>The effective configuration of one session: the defaults, under what the mint and then the client said, under what the mint fixed.</summary>
internal sealed class SessionConfiguration
{
    private const string Template = """
        {"type":"realtime","object":"realtime.session","id":"","model":"","output_modalities":["audio"],"instructions":"","tools":[],"tool_choice":"auto",
        "max_output_tokens":"inf","tracing":null,"truncation":"auto","prompt":null,"expires_at":0,
        "audio":{"input":{"format":{"type":"audio/pcm","rate":24000},"transcription":null,"noise_reduction":null,
        "turn_detection":{"type":"server_vad","threshold":0.5,"prefix_padding_ms":300,"silence_duration_ms":500,"create_response":true,"interrupt_response":true}},
        "output":{"format":{"type":"audio/pcm","rate":24000},"voice":"echo","speed":1}},"include":null}
        """;

    private static readonly JsonElement Defaults = JsonElement.Parse(Template, StrictJson.Document);
    private const string Voice = "audio.output.voice";
    private static readonly string[] Containers = ["audio", "audio.input", "audio.output"];
    private static readonly string[] Own = ["id", "object", "model", "type", "expires_at"];

    private readonly SessionLock locked;
    private readonly bool hasVoice;
    private JsonObject effective;

    public SessionConfiguration(FixedValues values, bool hasVoice, string id, string model, long expiresAt)
    {
        locked = new SessionLock(values);
        this.hasVoice = hasVoice;
        effective = JsonObject.Create(Defaults)!;
        effective["id"] = id;
        effective["model"] = model;
        effective["expires_at"] = expiresAt;
        foreach (var (path, value) in locked.Defaults.Concat(locked.Fields))
        {
            Set(effective, path, value);
        }
        Silence(effective);
    }

    /// <summary>What is known of the configuration that an upstream keeps.</summary>
    public static SessionConfiguration OfUpstream(FixedValues values, string id, string model)
    {
        var known = new SessionConfiguration(values, true, id, model, 0);
        if (!known.locked.Defaults.Concat(known.locked.Fields).Any(leaf => leaf.Key == Voice))
        {
            known.effective["audio"]!["output"]!["voice"] = null; // the upstream's own
        }
        return known;
    }

    /// <summary>Takes what was judged elsewhere.</summary>
    public void Take(IEnumerable<SessionField> fields)
    {
        foreach (var field in fields)
        {
            Set(effective, field.Path, field.Value);
        }
    }

    /// <summary>What of it is fixed.</summary>
    public SessionLock Lock => locked;

    /// <summary>The caller's sound.</summary>
    public AudioFormat Input => Format("input");

    /// <summary>The agent's sound.</summary>
    public AudioFormat Output => Format("output");

    /// <summary>Whether the server tells when the caller has spoken.</summary>
    public bool DetectsTurns => effective["audio"]?["input"]?["turn_detection"] is JsonObject;

    /// <summary>Whether a turn that the server found is answered without being asked.</summary>
    public bool AnswersTurns => TurnDetection("create_response");

    /// <summary>Whether a caller who begins to speak cuts an answer short.</summary>
    public bool YieldsToCaller => TurnDetection("interrupt_response");

    /// <summary>Whether answers are spoken.</summary>
    public bool Speaks => IsSpoken(effective["output_modalities"]);

    /// <summary>What the session adds to the agent's prompt.</summary>
    public string Instructions => effective["instructions"] is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";

    /// <summary>Whether these modalities have sound among them.</summary>
    public static bool IsSpoken(JsonNode? modalities) =>
        modalities is JsonArray list && list.Any(item => item is JsonValue value && value.TryGetValue<string>(out var text) && text == "audio");

    /// <summary>Takes what may be taken of a <c>session.update</c>; returns what may not.</summary>
    public List<FieldRefusal> Update(JsonElement session, int longestBytes)
    {
        var refusals = new List<FieldRefusal>();
        var changed = (JsonObject)effective.DeepClone();
        var leaves = SessionFields.Leaves(session);
        var refused = locked.Refused(leaves).Select(field => field.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var field in leaves)
        {
            if (refused.Contains(field.Name))
            {
                refusals.Add(FieldRefusal.Locked("session." + field.Name));
            }
            else if (Problem(field) is { } problem)
            {
                refusals.Add(new FieldRefusal("invalid_value", "session." + field.Name, problem));
            }
            else if (!Own.Contains(field.Path.Split('.')[0]))
            {
                Set(changed, field.Path, field.Value);
            }
        }
        Silence(changed);
        if (JsonText.Value(changed).Length > longestBytes)
        {
            return [new FieldRefusal("invalid_value", "session", $"The session's configuration may have {longestBytes} bytes at most.")];
        }
        effective = changed;
        return refusals;
    }

    /// <summary>Writes the whole of it as one object; xAI's clients read some members flat.</summary>
    public void Write(Utf8JsonWriter json, bool flat)
    {
        json.WriteStartObject();
        WriteMembers(json);
        if (flat)
        {
            WriteFlat(json, "voice"u8, effective["audio"]?["output"]?["voice"]);
            WriteFlat(json, "turn_detection"u8, effective["audio"]?["input"]?["turn_detection"]);
            WriteFlat(json, "modalities"u8, effective["output_modalities"]);
        }
        json.WriteEndObject();
    }

    /// <summary>Writes the members alone.</summary>
    public void WriteMembers(Utf8JsonWriter json)
    {
        foreach (var (name, value) in effective)
        {
            WriteFlat(json, System.Text.Encoding.UTF8.GetBytes(name), value);
        }
    }

    /// <summary>Writes the members that a session has of which the mint said nothing, without making it.</summary>
    public static void WriteDefaults(Utf8JsonWriter json, bool hasVoice, string id, string model)
    {
        foreach (var member in Defaults.EnumerateObject())
        {
            if (member.NameEquals("id"u8))
            {
                json.WriteString("id"u8, id);
            }
            else if (member.NameEquals("model"u8))
            {
                json.WriteString("model"u8, model);
            }
            else if (!hasVoice && member.NameEquals("output_modalities"u8))
            {
                json.WriteStartArray("output_modalities"u8);
                json.WriteStringValue("text"u8);
                json.WriteEndArray();
            }
            else
            {
                member.WriteTo(json);
            }
        }
    }

    /// <summary>Sets a leaf, with the objects above it.</summary>
    public static void Set(JsonObject root, string path, JsonElement value)
    {
        var names = path.Split('.');
        foreach (var name in names[..^1])
        {
            if (root[name] is not JsonObject below)
            {
                root[name] = below = [];
            }
            root = below;
        }
        root[names[^1]] = Node(value);
    }

    // An agent without a voice writes whatever was asked for, and says so: clients ask for sound without being told to.
    private void Silence(JsonObject configuration)
    {
        if (!hasVoice)
        {
            configuration["output_modalities"] = new JsonArray("text");
        }
    }

    private static JsonNode? Node(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.Array => JsonArray.Create(value.Clone()),
        JsonValueKind.Object => JsonObject.Create(value.Clone()),
        _ => JsonValue.Create(value.Clone()),
    };

    private static string? Problem(SessionField field) => field.Path switch
    {
        "output_modalities" when field.Value.ValueKind != JsonValueKind.Array || field.Value.GetArrayLength() == 0 => "The modalities are a list of text and audio.",
        "instructions" when field.Value.ValueKind != JsonValueKind.String => "The instructions are a text.",
        "tools" when field.Value.ValueKind != JsonValueKind.Array => "The tools are a list.",
        "audio.input.format.type" or "audio.output.format.type" when !IsFormat(field.Value) => "This agent hears and speaks audio/pcm and audio/pcmu.",
        "audio.input.format.rate" or "audio.output.format.rate" when !field.Value.TryGetInt32(out var rate) || rate is < 8000 or > 48000 => "The rate lies between 8000 and 48000.",
        "audio.input.format" or "audio.output.format" => "This agent hears and speaks audio/pcm and audio/pcmu.",
        var path when Containers.Contains(path) => "This is an object.",
        _ => null,
    };

    private static bool IsFormat(JsonElement type) => type.ValueKind == JsonValueKind.String && (type.ValueEquals("audio/pcm") || type.ValueEquals("audio/pcmu"));

    private AudioFormat Format(string side)
    {
        var format = effective["audio"]?[side]?["format"];
        return format?["type"]?.ToString() == "audio/pcmu" ? new AudioFormat(true, 8000)
            : new AudioFormat(false, format?["rate"] is JsonValue value && value.TryGetValue<int>(out var rate) && rate is >= 8000 and <= 48000 ? rate : 24000);
    }

    private bool TurnDetection(string name) =>
        effective["audio"]?["input"]?["turn_detection"] is JsonObject detection && !(detection[name] is JsonValue value && value.TryGetValue<bool>(out var flag) && !flag);

    private static void WriteFlat(Utf8JsonWriter json, ReadOnlySpan<byte> name, JsonNode? value)
    {
        json.WritePropertyName(name);
        if (value is null)
        {
            json.WriteNullValue();
        }
        else
        {
            value.WriteTo(json);
        }
    }
}
