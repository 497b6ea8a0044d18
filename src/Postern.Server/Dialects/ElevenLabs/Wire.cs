using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Postern.Core;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>The vendor's shapes.</summary>
internal static class Wire
{
    /// <summary>A 422 lists no more.</summary>
    public const int MostProblems = 20;

    // What is written is application/json or a WebSocket text, never inside a page: & and ' stay readable.
    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private const int LargestKept = 4096;

    [ThreadStatic]
    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Json)? kept;

    /// <summary>An answer whose body is one object.</summary>
    public static HttpAnswer Json(int status, Action<Utf8JsonWriter> members) => new(status, Object(members));

    /// <summary>One object as UTF-8.</summary>
    public static byte[] Object(Action<Utf8JsonWriter> members) => Written(json =>
    {
        json.WriteStartObject();
        members(json);
        json.WriteEndObject();
    });

    /// <summary>One value as UTF-8.</summary>
    public static byte[] Written(Action<Utf8JsonWriter> value)
    {
        // Taken away while in use: a value may be written inside of a value.
        var (buffer, json) = kept ?? Writer();
        kept = null;
        json.Reset(buffer);
        value(json);
        json.Flush();
        var written = buffer.WrittenSpan.ToArray();
        buffer.Clear(); // it held a credential
        if (buffer.Capacity <= LargestKept)
        {
            kept = (buffer, json);
        }
        return written;
    }

    /// <summary>The error shape of REST: <c>{"detail":{type, code, message, status, request_id}}</c>, the id in x-trace-id too.</summary>
    public static HttpAnswer Error(int httpStatus, string type, string code, string status, string message)
    {
        Span<byte> bytes = stackalloc byte[16];
        RandomText.Bytes(bytes);
        var request = Convert.ToHexStringLower(bytes);
        return Json(httpStatus, json =>
        {
            json.WriteStartObject("detail"u8);
            json.WriteString("type"u8, type);
            json.WriteString("code"u8, code);
            json.WriteString("message"u8, message);
            json.WriteString("status"u8, status);
            json.WriteString("request_id"u8, request);
            json.WriteEndObject();
        }) with
        { Headers = [KeyValuePair.Create("x-trace-id", request)] };
    }

    /// <summary>A 422 from «place … : message», such as <c>query agent_id: Field required</c>.</summary>
    public static HttpAnswer Invalid(string problem)
    {
        var colon = problem.IndexOf(": ", StringComparison.Ordinal);
        string[] place = colon < 0 ? ["body"] : problem[..colon].Split(' ');
        var message = colon < 0 ? problem : problem[(colon + 2)..];
        return Invalid([new FieldProblem(message == "Field required" ? "missing" : "value_error", [.. place.Select(PlaceOf)], message)]);
    }

    /// <summary>A 422 that lists what is wrong, the first of it when it is much.</summary>
    public static HttpAnswer Invalid(IReadOnlyList<FieldProblem> problems) => Json(422, json =>
    {
        json.WriteStartArray("detail"u8);
        foreach (var problem in problems.Take(MostProblems))
        {
            json.WriteStartObject();
            json.WriteString("type"u8, problem.Type);
            json.WriteStartArray("loc"u8);
            foreach (var part in problem.Place)
            {
                if (part is int index)
                {
                    json.WriteNumberValue(index);
                }
                else
                {
                    json.WriteStringValue((string)part);
                }
            }
            json.WriteEndArray();
            json.WriteString("msg"u8, problem.Message);
            json.WriteNull("input"u8);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });

    /// <summary>The event before a forced end.</summary>
    public static byte[] ErrorEvent(int code, string type, string message) => Object(json =>
    {
        json.WriteString("type"u8, "error");
        json.WriteStartObject("error_event"u8);
        json.WriteNumber("code"u8, code);
        json.WriteString("error_type"u8, type);
        json.WriteString("message"u8, message);
        json.WriteEndObject();
    });

    private static object PlaceOf(string part) => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : part;

    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Json) Writer()
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        return (buffer, new Utf8JsonWriter(buffer, Plain));
    }
}
