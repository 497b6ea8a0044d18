using System.Text.Json;
using Postern.Core;

namespace Postern.Server.Agents.Chat;

/// <summary>The tool by which a chat endpoint remembers something of the user.</summary>
internal static class MemorizeTool
{
    public const string Name = "memorize";

    /// <summary>What it gives when it is done.</summary>
    public const string Done = """{"status":"remembered"}""";

    /// <summary>The <c>tools</c> of a request.</summary>
    public const string Offer = """
        [{"type":"function","function":{"name":"memorize","description":"Remember something about this user for later conversations. Use it when the user asks you to remember something, or tells a lasting fact or preference.","parameters":{"type":"object","properties":{"text":{"type":"string","description":"What to remember: one short sentence."}},"required":["text"],"additionalProperties":false}}}]
        """;

    /// <summary>Uses the tool that was called; what it gives is for the endpoint.</summary>
    public static async ValueTask<(string Result, bool IsError)> UseAsync(AgentMemory? memory, ToolCall call)
    {
        var problem = memory is null || call.Name != Name ? "There is no such tool."
            : Text(call.Arguments) is not { Length: > 0 } text ? "The arguments must be a JSON object with a text."
            : await memory.MemorizeAsync(text);
        return problem is null ? (Done, false) : (problem, true);
    }

    private static string? Text(string arguments)
    {
        try
        {
            var root = JsonElement.Parse(arguments, StrictJson.Document);
            return root.ValueKind == JsonValueKind.Object && root.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.String ? text.GetString()!.Trim() : null;
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return null;
        }
    }
}
