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

    /// <summary>What a call asks to be remembered; null with what is wrong with it.</summary>
    public static string? Read(ToolCall call, out string problem)
    {
        problem = call.Name != Name ? "There is no such tool." : "The arguments must be a JSON object with a text.";
        return call.Name == Name && Text(call.Arguments) is { Length: > 0 } text ? text : null;
    }

    /// <summary>The arguments of a call.</summary>
    public static string Arguments(string text) => JsonSerializer.Serialize(new { text }, JsonSerializerOptions.Strict);

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
