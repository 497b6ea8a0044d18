using System.Text.Json;
using Postern.Core;

namespace Postern.Server.Agents.Chat;

/// <summary>One piece of a streamed answer.</summary>
internal sealed record ChatChunk(string Text, IReadOnlyList<ToolFragment> Calls, string? Finish, TokenCount? Tokens)
{
    /// <summary>Whether the endpoint says anything in it.</summary>
    public bool IsAlive => Text.Length > 0 || Calls.Count > 0 || Finish is not null;

    /// <summary>Reads the data of one event.</summary>
    /// <exception cref="ChatException">It is none, or it tells of an error.</exception>
    public static ChatChunk Read(ReadOnlyMemory<byte> data)
    {
        try
        {
            using var document = JsonDocument.Parse(data, StrictJson.Document);
            return Read(document.RootElement);
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            throw new ChatException(AgentFailure.Broken, "An event of the endpoint is not the JSON that it should be.", e);
        }
    }

    private static ChatChunk Read(JsonElement root)
    {
        if (Member(root, "error") is not null)
        {
            throw new ChatException(AgentFailure.Broken, "The endpoint reported an error within its answer.");
        }
        var choice = Member(root, "choices") is { ValueKind: JsonValueKind.Array } choices && choices.GetArrayLength() > 0 ? choices[0] : (JsonElement?)null;
        var delta = Member(choice, "delta");
        return new ChatChunk(
            String(delta, "content") ?? "",
            Member(delta, "tool_calls") is { ValueKind: JsonValueKind.Array } calls ? [.. calls.EnumerateArray().Select(Fragment)] : [],
            String(choice, "finish_reason"),
            Member(root, "usage") is { ValueKind: JsonValueKind.Object } usage ? new TokenCount(Number(usage, "prompt_tokens"), Number(usage, "completion_tokens")) : null);
    }

    // Some endpoints send whole calls without an index.
    private static ToolFragment Fragment(JsonElement call, int position) => new(
        Member(call, "index") is { ValueKind: JsonValueKind.Number } index ? index.GetInt32() : position,
        String(call, "id"), String(Member(call, "function"), "name"), String(Member(call, "function"), "arguments") ?? "");

    private static JsonElement? Member(JsonElement? element, string name) =>
        element is { ValueKind: JsonValueKind.Object } found && found.TryGetProperty(name, out var member) && member.ValueKind != JsonValueKind.Null ? member : null;

    private static string? String(JsonElement? element, string name) => Member(element, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static long Number(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.Number } number && number.TryGetInt64(out var value) && value >= 0 ? value : 0;
}

/// <summary>A piece of a tool call: the first has the names, all have a part of the arguments.</summary>
internal sealed record ToolFragment(int Index, string? Id, string? Name, string Arguments);
