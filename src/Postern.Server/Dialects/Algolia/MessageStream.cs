using System.Text.Json;
using Postern.Server.Agents;

namespace Postern.Server.Dialects.Algolia;

/// <summary>Answers of <c>ai-sdk-5</c> (contract, section 4): a stream of events, or one message.</summary>
internal static class MessageStream
{
    /// <summary>The answer under this id.</summary>
    public static TurnAnswer Answer(string id, bool stream) => stream
        ? new TurnAnswer.Streamed(CompletionAnswers.EventStream, acts => WriteAsync(id, acts))
        {
            Headers = [KeyValuePair.Create("x-vercel-ai-ui-message-stream", "v1"), .. CompletionAnswers.StreamHeaders], KeepAlive = ": keepalive\n\n"u8.ToArray(),
        }
        : new TurnAnswer.Whole(acts => CompletionAnswers.Whole(acts, json => Write(json, id, acts))) { Within = CompletionAnswers.Patience };

    // Without a start that names the message one of the vendor's clients shows nothing; an invented kind of event breaks another.
    private static async IAsyncEnumerable<byte[]> WriteAsync(string id, IAsyncEnumerable<AgentAct> acts)
    {
        var (text, open, end) = (0, false, AnswerEnd.Stop);
        yield return Event("start", json => json.WriteString("messageId"u8, id));
        yield return Event("start-step");
        await foreach (var act in acts)
        {
            if (act is AgentAct.Piece piece)
            {
                if (!open)
                {
                    yield return Text("text-start", text);
                    open = true;
                }
                yield return Text("text-delta", text, piece.Text);
                continue;
            }
            if (open && act is not AgentAct.Plays)
            {
                yield return Text("text-end", text++);
                open = false;
            }
            if (act is AgentAct.Calls calls)
            {
                yield return Event("tool-input-start", json => Tool(json, calls.Id, calls.Tool));
                yield return Event("tool-input-available", json =>
                {
                    Tool(json, calls.Id, calls.Tool);
                    json.WritePropertyName("input"u8);
                    json.WriteRawValue(calls.Arguments);
                });
            }
            else if (act is AgentAct.Returned returned)
            {
                yield return Event(returned.IsError ? "tool-output-error" : "tool-output-available", json => Output(json, returned));
            }
            else if (act is AgentAct.Says says)
            {
                end = says.End;
            }
            else if (act is AgentAct.Failed failed)
            {
                yield return Event("error", json => json.WriteString("errorText"u8, failed.Sentence));
                yield return Done;
                yield break;
            }
        }
        yield return Event("finish-step");
        yield return Event("finish", json => json.WriteString("finishReason"u8, CompletionAnswers.Reason(end)));
        yield return Done;
    }

    // The text is the second part, wherever the tools stood: clients read it there.
    private static void Write(Utf8JsonWriter json, string id, IReadOnlyList<AgentAct> acts)
    {
        json.WriteString("id"u8, id);
        json.WriteString("role"u8, "assistant");
        json.WriteStartArray("parts"u8);
        json.WriteStartObject();
        json.WriteString("type"u8, "step-start");
        json.WriteEndObject();
        json.WriteStartObject();
        json.WriteString("type"u8, "text");
        json.WriteString("text"u8, CompletionAnswers.Text(acts));
        json.WriteEndObject();
        foreach (var calls in acts.OfType<AgentAct.Calls>())
        {
            var returned = acts.OfType<AgentAct.Returned>().FirstOrDefault(returned => returned.Id == calls.Id);
            json.WriteStartObject();
            json.WriteString("type"u8, "tool-" + CompletionAnswers.Tool(calls.Tool));
            json.WriteString("state"u8, returned is null ? "input-available" : returned.IsError ? "output-error" : "output-available");
            json.WritePropertyName("input"u8);
            json.WriteRawValue(calls.Arguments);
            if (returned is null)
            {
                json.WriteString("toolCallId"u8, calls.Id);
            }
            else
            {
                Output(json, returned);
            }
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void Tool(Utf8JsonWriter json, string id, string tool)
    {
        json.WriteString("toolCallId"u8, id);
        json.WriteString("toolName"u8, CompletionAnswers.Tool(tool));
    }

    private static void Output(Utf8JsonWriter json, AgentAct.Returned returned)
    {
        json.WriteString("toolCallId"u8, returned.Id);
        if (returned.IsError)
        {
            json.WriteString("errorText"u8, returned.Result);
            return;
        }
        json.WritePropertyName("output"u8);
        json.WriteRawValue(returned.Result);
    }

    private static byte[] Text(string type, int number, string? delta = null) => Event(type, json =>
    {
        json.WriteString("id"u8, $"{number}");
        if (delta is not null)
        {
            json.WriteString("delta"u8, delta);
        }
    });

    private static byte[] Done => "data: [DONE]\n\n"u8.ToArray();

    private static byte[] Event(string type, Action<Utf8JsonWriter>? members = null) =>
    [
        .. "data: "u8,
        .. JsonText.Object(json =>
        {
            json.WriteString("type"u8, type);
            members?.Invoke(json);
        }),
        .. "\n\n"u8,
    ];
}
