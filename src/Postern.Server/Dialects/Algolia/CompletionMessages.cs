using System.Globalization;
using System.Text;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Conversations;
using Postern.Server.Agents;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Algolia;

/// <summary>The messages of a request: what the agent hears of them, and what is kept of those that bear an id.</summary>
internal sealed class CompletionMessages
{
    private const int MostMessages = 1000;
    private const string ToolPrefix = "tool-";

    private readonly List<Said> conversation = [];
    private readonly List<Message> toKeep = [];

    private CompletionMessages() { }

    /// <summary>What was said, oldest first; nothing where the request has no messages, so that there is nothing to answer.</summary>
    public IReadOnlyList<Said> Conversation => conversation;

    /// <summary>Those that bear an id.</summary>
    public IReadOnlyList<Message> ToKeep => toKeep;

    /// <summary>Whether the message that is to be answered bears one.</summary>
    public bool LastHasId { get; private set; }

    /// <summary>RequestInvalid names the first member that does not fit.</summary>
    public static Decision<CompletionMessages> Read(JsonElement? given)
    {
        var read = new CompletionMessages();
        if (given is not { } list)
        {
            return read;
        }
        if (list.ValueKind != JsonValueKind.Array)
        {
            return Invalid("", "Input should be a valid list");
        }
        if (list.GetArrayLength() > MostMessages)
        {
            return Invalid("", $"Input should be a list of at most {MostMessages} messages");
        }
        foreach (var (i, message) in list.EnumerateArray().Index())
        {
            if (read.Add(message) is var (place, problem))
            {
                return Invalid(string.Create(CultureInfo.InvariantCulture, $" {i}{place}"), problem);
            }
        }
        return read.conversation.Count == 0 || read.conversation.Exists(said => said.By == SaidBy.User) ? read : Invalid("", "A message of the user should be there to be answered");
    }

    private (string Place, string Problem)? Add(JsonElement message)
    {
        if (message.ValueKind != JsonValueKind.Object)
        {
            return ("", "Input should be a valid object");
        }
        if (Text(message, "role", out var role) is not null || role is not ("user" or "assistant"))
        {
            return (" role", "Input should be 'user' or 'assistant'");
        }
        if (Text(message, "id", out var id) is not null || (id is not null && !CompletionForm.IsId(id)))
        {
            return (" id", ClientId.Rule);
        }
        if (Text(message, "content", out var content) is { } wrong)
        {
            return wrong;
        }
        var (kept, said) = (new MessageParts(), new StringBuilder());
        if (message.TryGetProperty("parts", out var parts) && parts.ValueKind != JsonValueKind.Null)
        {
            if (parts.ValueKind != JsonValueKind.Array)
            {
                return (" parts", "Input should be a valid list");
            }
            foreach (var (i, part) in parts.EnumerateArray().Index())
            {
                if (Part(part, kept, said) is var (place, problem))
                {
                    return (string.Create(CultureInfo.InvariantCulture, $" parts {i}{place}"), problem);
                }
            }
        }
        if (said.Length == 0 && content is not null)
        {
            // Version 4 says it twice, or only here.
            said.Append(content);
            kept.Text(content);
        }
        conversation.Add(new Said(role == "user" ? SaidBy.User : SaidBy.Agent, said.ToString()));
        LastHasId = !string.IsNullOrEmpty(id);
        if (LastHasId)
        {
            toKeep.Add(new Message(id!, role == "user" ? TurnRole.User : TurnRole.Agent, kept.Take() ?? "[]", default) { TurnContext = TurnContext(message) });
        }
        return null;
    }

    // A part without a type is a text: the vendor's C# client sends it so. Whatever is neither text nor tool tells the agent nothing.
    private static (string Place, string Problem)? Part(JsonElement part, MessageParts kept, StringBuilder said)
    {
        if (part.ValueKind != JsonValueKind.Object)
        {
            return ("", "Input should be a valid object");
        }
        if (Text(part, "type", out var type) is { } wrong)
        {
            return wrong;
        }
        switch (type ?? "text")
        {
            case "text":
                if (Text(part, "text", out var text) is not null || text is null)
                {
                    return (" text", "Input should be a valid string");
                }
                said.Append(text);
                kept.Text(text);
                break;
            case "reasoning":
                kept.Text(String(part, "text") ?? String(part, "reasoning") ?? "", "reasoning");
                break;
            case "step-start":
                kept.Step();
                break;
            case "tool-invocation" when part.TryGetProperty("toolInvocation", out var invocation) && invocation.ValueKind == JsonValueKind.Object:
                Tool(kept, String(invocation, "toolName"), invocation, "args", String(invocation, "state") == "result" ? "result" : null, null);
                break;
            case { } name when name.StartsWith(ToolPrefix, StringComparison.Ordinal):
                var state = String(part, "state");
                Tool(kept, name[ToolPrefix.Length..], part, "input", state == "output-available" ? "output" : null, state == "output-error" ? "errorText" : null);
                break;
        }
        return null;
    }

    private static void Tool(MessageParts kept, string? tool, JsonElement part, string arguments, string? result, string? error)
    {
        if (tool is null || String(part, "toolCallId") is not { } call)
        {
            return;
        }
        kept.Call(call, tool, Raw(part, arguments));
        if (error is not null)
        {
            kept.Result(call, tool, String(part, error) ?? "", isError: true);
        }
        else if (result is not null)
        {
            kept.Result(call, tool, Raw(part, result), isError: false);
        }
    }

    private static Dictionary<string, string>? TurnContext(JsonElement message) =>
        AgentDocument.Member(message, "metadata", "turnContext") is { ValueKind: JsonValueKind.Object } context
            ? context.EnumerateObject().Where(member => member.Value.ValueKind == JsonValueKind.String).ToDictionary(member => member.Name, member => member.Value.GetString()!, StringComparer.Ordinal)
            : null;

    private static (string Place, string Problem)? Text(JsonElement element, string name, out string? text)
    {
        text = null;
        if (!element.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }
        if (value.ValueKind != JsonValueKind.String)
        {
            return (" " + name, "Input should be a valid string");
        }
        text = value.GetString();
        return null;
    }

    private static string? String(JsonElement element, string name) => Text(element, name, out var text) is null ? text : null;

    private static string Raw(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? value.GetRawText() : "null";

    private static Denial Invalid(string place, string problem) => new(DenialReason.RequestInvalid, $"body messages{place}: {problem}");
}
