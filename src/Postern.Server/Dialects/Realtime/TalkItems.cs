using System.Text.Json;
using System.Text.Json.Nodes;
using Postern.Core;
using Postern.Server.Agents;

namespace Postern.Server.Dialects.Realtime;

/// <summary>The items of one conversation, in order; the oldest are forgotten where there are too many.</summary>
internal sealed class TalkItems
{
    private const int Most = 500;
    private const int MostBytes = 1024 * 1024;
    private const int LongestId = 64;
    private static readonly string[] Kinds = ["message", "function_call", "function_call_output"];

    private readonly List<JsonObject> items = [];
    private long bytes;

    /// <summary>The id of the last item; null when there is none.</summary>
    public string? Last => items.Count == 0 ? null : Id(items[^1]);

    public JsonObject? Find(string? id) => items.Find(item => Id(item) == id);

    /// <summary>The caller's last word, written or spoken; null when it has not said any.</summary>
    public (string Text, bool IsSpoken)? LastWord =>
        items.FindLast(item => Text(item, "type") == "function_call_output" || Text(item, "role") == "user") is { } item
            ? (Words(item), IsSpoken(item)) : null;

    /// <summary>Whether there is sound among an item's parts.</summary>
    public static bool IsSpoken(JsonObject item) => item["content"] is JsonArray parts && parts.Any(part => Text(part, "type") == "input_audio");

    /// <summary>What the items say, in order.</summary>
    public List<Said> Conversation() => [.. items
        .Select(item => new Said(Text(item, "role") switch { "assistant" => SaidBy.Agent, "system" => SaidBy.Application, _ => SaidBy.User }, Words(item)))
        .Where(said => said.Text.Length > 0)];

    /// <summary>Adds an item behind another; behind the last when <paramref name="previous"/> is null, at the start when it is "root". The id before it is returned.</summary>
    public string? Add(JsonObject item, string? previous = null)
    {
        var size = JsonText.Value(item).Length;
        var at = previous switch { null => items.Count, "root" => 0, _ => items.FindIndex(other => Id(other) == previous) + 1 };
        items.Insert(at, item);
        var before = at == 0 ? null : Id(items[at - 1]);
        bytes += size;
        while (items.Count > Most || (bytes > MostBytes && items.Count > 1))
        {
            RemoveAt(0);
        }
        return before;
    }

    public bool Remove(string? id)
    {
        var at = items.FindIndex(item => Id(item) == id);
        if (at >= 0)
        {
            RemoveAt(at);
        }
        return at >= 0;
    }

    private void RemoveAt(int at)
    {
        bytes -= JsonText.Value(items[at]).Length;
        items.RemoveAt(at);
    }

    /// <summary>An item of the client's as it is kept; null with what is wrong with it.</summary>
    public JsonObject? Read(JsonElement item, out string param, out string problem)
    {
        (param, problem) = ("item", "The item must be an object.");
        if (item.ValueKind != JsonValueKind.Object)
        {
            return null;
        }
        var read = (JsonObject)JsonObject.Create(item.Clone())!.DeepClone();
        (param, problem) = ("item.type", $"The type is one of {string.Join(", ", Kinds)}.");
        if (Text(read, "type") is not { } type || !Kinds.Contains(type))
        {
            return null;
        }
        (param, problem) = ("item.role", "The role is user, assistant or system.");
        if (type == "message" && Text(read, "role") is not ("user" or "assistant" or "system"))
        {
            return null;
        }
        (param, problem) = ("item.content", "The content is a list of parts that have a type.");
        if (type == "message" && (read["content"] is not JsonArray parts || parts.Any(part => Text(part, "type") is null)))
        {
            return null;
        }
        (param, problem) = ("item.id", $"An id has 1 to {LongestId} characters and is given once.");
        if (read.ContainsKey("id") && (Id(read) is not { Length: > 0 and <= LongestId } id || Find(id) is not null))
        {
            return null;
        }
        read.TryAdd("id", NewId());
        read["object"] = "realtime.item";
        read["status"] = "completed";
        Settle(read);
        return read;
    }

    /// <summary>An item that holds what the caller spoke.</summary>
    public static JsonObject Spoken(string id) => new()
    {
        ["id"] = id, ["object"] = "realtime.item", ["type"] = "message", ["role"] = "user", ["status"] = "completed",
        ["content"] = new JsonArray(new JsonObject { ["type"] = "input_audio", ["transcript"] = null }),
    };

    public static string NewId() => "item_" + RandomText.Base62(RandomText.IdLength);

    public static string? Id(JsonObject item) => Text(item, "id");

    /// <summary>What is written in an item, and what was understood of it.</summary>
    public static string Words(JsonNode item) => item["content"] is JsonArray parts
        ? string.Join(' ', parts.Select(part => Text(part, "text") ?? Text(part, "transcript")).OfType<string>())
        : Text(item, "output") ?? "";

    // Sound that was sent is not sent back, and an assistant never has input_text: a client of the contract dies of it.
    private static void Settle(JsonObject item)
    {
        var isAssistant = Text(item, "role") == "assistant";
        foreach (var part in item["content"] as JsonArray ?? [])
        {
            if (part is JsonObject found)
            {
                found.Remove("audio");
                found["type"] = isAssistant && Text(found, "type") is "input_text" or "text" ? "output_text" : Text(found, "type");
            }
        }
    }

    private static string? Text(JsonNode? node, string name) =>
        node is JsonObject found && found[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;
}
