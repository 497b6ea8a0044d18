using System.Collections.Frozen;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Sessions;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>The leaves of <c>conversation_config_override</c>: a value counts only where the agent's settings let the client set it.</summary>
internal static class OverrideLeaves
{
    private const string TextOnly = "conversation.text_only";

    private static readonly FrozenDictionary<string, JsonValueKind[]> Types = new Dictionary<string, JsonValueKind[]>
    {
        ["agent.first_message"] = [JsonValueKind.String],
        ["agent.language"] = [JsonValueKind.String],
        ["agent.max_conversation_duration_message"] = [JsonValueKind.String],
        ["agent.prompt.prompt"] = [JsonValueKind.String],
        ["agent.prompt.llm"] = [JsonValueKind.String],
        ["agent.prompt.tool_ids"] = [JsonValueKind.Array],
        ["agent.prompt.native_mcp_server_ids"] = [JsonValueKind.Array],
        ["agent.prompt.knowledge_base"] = [JsonValueKind.Array],
        ["tts.model_id"] = [JsonValueKind.String],
        ["tts.voice_id"] = [JsonValueKind.String],
        ["tts.supported_voices"] = [JsonValueKind.Array],
        ["tts.stability"] = [JsonValueKind.Number],
        ["tts.speed"] = [JsonValueKind.Number],
        ["tts.similarity_boost"] = [JsonValueKind.Number],
        ["tts.pronunciation_dictionary_locators"] = [JsonValueKind.Array],
        [TextOnly] = [JsonValueKind.True, JsonValueKind.False],
        ["conversation.max_duration_seconds"] = [JsonValueKind.Number],
        ["asr.keywords"] = [JsonValueKind.Array],
        ["turn.soft_timeout_config.message"] = [JsonValueKind.String],
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>Path to value for every leaf that is set, or the first one that is not permitted.</summary>
    public static Decision<Dictionary<string, JsonElement>> Judge(Session session, JsonElement? wanted)
    {
        var set = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        if (wanted is not { } element)
        {
            return set;
        }
        foreach (var (path, name, value) in Leaves(element, "", "conversation_config_override"))
        {
            if (path is null || !IsPermitted(session, path, value))
            {
                return new Denial(DenialReason.OverrideRefused, name);
            }
            // Two spellings of one leaf with two values could be read one way here and another way further on.
            if ((Types.TryGetValue(path, out var types) && !types.Contains(value.ValueKind))
                || (set.TryGetValue(path, out var other) && !JsonElement.DeepEquals(other, value)))
            {
                return new Denial(DenialReason.RequestInvalid, InitiationData.NotReadable);
            }
            set[path] = value;
        }
        return set;
    }

    /// <summary>Path to value for every leaf that a mint is to fix; the holder of the key decides, so no permission is asked.</summary>
    public static Decision<Dictionary<string, JsonElement>> Fix(JsonElement? wanted)
    {
        var set = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var (path, name, value) in wanted is { } element ? Leaves(element, "", "conversation_config_override") : [])
        {
            if (path is null || !Types.TryGetValue(path, out var types))
            {
                return new Denial(DenialReason.RequestInvalid, $"body conversation_config_override {name}: There is no such override");
            }
            if (!types.Contains(value.ValueKind))
            {
                return new Denial(DenialReason.RequestInvalid, $"body conversation_config_override {name}: Input is of a wrong type");
            }
            set[path] = value;
        }
        return set;
    }

    // What the mint has fixed stands, whatever the agent would let a client change; a value equal to what holds anyway is no override.
    private static bool IsPermitted(Session session, string path, JsonElement value) =>
        session.Terms.Fixed.Fields.TryGetValue(path, out var kept) ? JsonElement.DeepEquals(kept, value)
        : session.Agent.Access.OverridePermissions.Contains(path) || EqualsConfigured(session.Agent.Configuration, path, value);

    // Only a leaf with a value is an override: clients send empty objects and nulls always. Path is null for what can be no leaf at all:
    // a name with a dot would pass for the path of another leaf.
    private static IEnumerable<(string? Path, string Name, JsonElement Value)> Leaves(JsonElement element, string? path, string name) => element.ValueKind switch
    {
        JsonValueKind.Null => [],
        JsonValueKind.Object => element.EnumerateObject().SelectMany(member => Leaves(member.Value, Join(path, member.Name), member.Name)),
        _ => [(path is "" ? null : path, name, element)],
    };

    private static string? Join(string? path, string name) =>
        path is null || name.Contains('.', StringComparison.Ordinal) ? null
        : path.Length > 0 ? $"{path}.{name}"
        : name == "text_only" ? TextOnly // where the Python SDK without an audio interface puts it
        : name;

    private static bool EqualsConfigured(JsonElement configuration, string path, JsonElement value)
    {
        foreach (var name in path.Split('.'))
        {
            if (configuration.ValueKind != JsonValueKind.Object || !configuration.TryGetProperty(name, out configuration))
            {
                return false;
            }
        }
        return JsonElement.DeepEquals(configuration, value);
    }
}
