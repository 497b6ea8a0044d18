using System.Text;
using System.Text.Json;
using Postern.Server.Agents;

namespace Postern.Server.Storage;

/// <summary>Builds the parts of a message as they are kept (contract <c>algolia.md</c>, section 5): texts and uses of tools, in order.</summary>
internal sealed class MessageParts
{
    private readonly MemoryStream buffer = new();
    private readonly Utf8JsonWriter json;
    private bool any;

    public MessageParts()
    {
        json = new Utf8JsonWriter(buffer);
        json.WriteStartArray();
    }

    /// <summary>Something said or, of kind <c>reasoning</c>, thought; nothing when it is empty.</summary>
    public void Text(string text, string kind = "text")
    {
        if (text.Length > 0)
        {
            Part(kind, () => json.WriteString("text"u8, text));
        }
    }

    /// <summary>A new step of an answer.</summary>
    public void Step() => Part("start-step", static () => { });

    /// <summary>A tool is used.</summary>
    /// <param name="arguments">JSON.</param>
    public void Call(string id, string tool, string arguments) => Part("tool-call", () =>
    {
        json.WriteString("toolCallId"u8, id);
        json.WriteString("toolName"u8, tool);
        json.WritePropertyName("args"u8);
        json.WriteRawValue(arguments);
    });

    /// <summary>What the tool gave.</summary>
    /// <param name="result">JSON; for an error the sentence.</param>
    public void Result(string id, string tool, string result, bool isError) => Part("tool-result", () =>
    {
        json.WriteString("toolCallId"u8, id);
        json.WriteString("toolName"u8, tool);
        json.WriteStartObject("output"u8);
        json.WriteString("type"u8, isError ? "error-text" : "json");
        if (isError)
        {
            json.WriteString("value"u8, result);
        }
        else
        {
            json.WritePropertyName("value"u8);
            json.WriteRawValue(result);
        }
        json.WriteEndObject();
    });

    /// <summary>The parts as a JSON array; null when there are none.</summary>
    public string? Take()
    {
        json.WriteEndArray();
        json.Flush();
        return any ? Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length) : null;
    }

    /// <summary>What an agent did; null when it said and did nothing.</summary>
    public static string? Of(IReadOnlyList<AgentAct> acts)
    {
        var (parts, said) = (new MessageParts(), new StringBuilder());
        foreach (var act in acts)
        {
            if (act is AgentAct.Piece piece)
            {
                said.Append(piece.Text);
            }
            else if (act is AgentAct.Calls calls)
            {
                parts.Text(Said());
                parts.Call(calls.Id, calls.Tool, calls.Arguments);
            }
            else if (act is AgentAct.Returned returned)
            {
                parts.Result(returned.Id, returned.Tool, returned.Result, returned.IsError);
            }
        }
        parts.Text(Said());
        return parts.Take();

        string Said()
        {
            var text = said.ToString();
            said.Clear();
            return text;
        }
    }

    private void Part(string kind, Action members)
    {
        any = true;
        json.WriteStartObject();
        json.WriteString("type"u8, kind);
        members();
        json.WriteEndObject();
    }
}
