using System.Text.Json;
using Postern.Server.Agents;

namespace Postern.Server.Dialects.Algolia;

/// <summary>Answers of <c>ai-sdk-4</c> (contract, section 4): lines of a code and a value, or one message. Comments between them would throw in its clients.</summary>
internal static class DataStream
{
    /// <summary>The answer under this id.</summary>
    public static TurnAnswer Answer(string id, bool stream) => stream
        ? new TurnAnswer.Streamed(CompletionAnswers.EventStream, acts => WriteAsync(id, acts))
        {
            Headers = [KeyValuePair.Create("x-vercel-ai-data-stream", "v1"), .. CompletionAnswers.StreamHeaders],
        }
        : new TurnAnswer.Whole(acts => CompletionAnswers.Whole(acts, json => Write(json, id, acts))) { Within = CompletionAnswers.Patience };

    private static async IAsyncEnumerable<byte[]> WriteAsync(string id, IAsyncEnumerable<AgentAct> acts)
    {
        AgentAct.Says? said = null;
        yield return Line('f', json => json.WriteString("messageId"u8, id));
        await foreach (var act in acts)
        {
            if (act is AgentAct.Piece piece)
            {
                yield return Value('0', json => json.WriteStringValue(piece.Text));
            }
            else if (act is AgentAct.Calls calls)
            {
                yield return Line('9', json => Call(json, calls));
            }
            else if (act is AgentAct.Returned returned)
            {
                yield return Line('a', json =>
                {
                    json.WriteString("toolCallId"u8, returned.Id);
                    Result(json, returned);
                });
            }
            else if (act is AgentAct.Says says)
            {
                said = says;
            }
            else if (act is AgentAct.Failed failed)
            {
                yield return Value('3', json => json.WriteStringValue(failed.Sentence));
                yield break;
            }
        }
        yield return Line('e', json =>
        {
            Finish(json, said);
            json.WriteBoolean("isContinued"u8, false);
        });
        yield return Line('d', json => Finish(json, said));
    }

    private static void Write(Utf8JsonWriter json, string id, IReadOnlyList<AgentAct> acts)
    {
        json.WriteString("id"u8, id);
        json.WriteString("role"u8, "assistant");
        json.WriteString("content"u8, CompletionAnswers.Text(acts));
        if (!acts.OfType<AgentAct.Calls>().Any())
        {
            return;
        }
        json.WriteStartArray("toolInvocations"u8);
        foreach (var calls in acts.OfType<AgentAct.Calls>())
        {
            var returned = acts.OfType<AgentAct.Returned>().FirstOrDefault(returned => returned.Id == calls.Id);
            json.WriteStartObject();
            json.WriteString("state"u8, returned is null ? "call" : "result");
            Call(json, calls);
            if (returned is not null)
            {
                Result(json, returned);
            }
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void Call(Utf8JsonWriter json, AgentAct.Calls calls)
    {
        json.WriteString("toolCallId"u8, calls.Id);
        json.WriteString("toolName"u8, CompletionAnswers.Tool(calls.Tool));
        json.WritePropertyName("args"u8);
        json.WriteRawValue(calls.Arguments);
    }

    private static void Result(Utf8JsonWriter json, AgentAct.Returned returned)
    {
        if (returned.IsError)
        {
            json.WriteString("result"u8, returned.Result);
            return;
        }
        json.WritePropertyName("result"u8);
        json.WriteRawValue(returned.Result);
    }

    private static void Finish(Utf8JsonWriter json, AgentAct.Says? said)
    {
        json.WriteString("finishReason"u8, CompletionAnswers.Reason(said?.End ?? AnswerEnd.Stop));
        json.WriteStartObject("usage"u8);
        Number(json, "promptTokens", said?.Tokens?.Input);
        Number(json, "completionTokens", said?.Tokens?.Output);
        json.WriteEndObject();
    }

    private static void Number(Utf8JsonWriter json, string name, long? number)
    {
        json.WritePropertyName(name);
        if (number is { } known)
        {
            json.WriteNumberValue(known);
        }
        else
        {
            json.WriteNullValue();
        }
    }

    private static byte[] Line(char code, Action<Utf8JsonWriter> members) => Value(code, json =>
    {
        json.WriteStartObject();
        members(json);
        json.WriteEndObject();
    });

    private static byte[] Value(char code, Action<Utf8JsonWriter> value) => [(byte)code, (byte)':', .. JsonText.Value(value), (byte)'\n'];
}
