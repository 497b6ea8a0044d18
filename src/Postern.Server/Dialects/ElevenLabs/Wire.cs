using System.Globalization;
using System.Text.Json;
using Postern.Core;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>The vendor's shapes.</summary>
internal static class Wire
{
    /// <summary>A 422 lists no more.</summary>
    public const int MostProblems = 20;

    /// <summary>An answer whose body is one object.</summary>
    public static HttpAnswer Json(int status, Action<Utf8JsonWriter> members) => new(status, JsonText.Object(members));

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
    public static byte[] ErrorEvent(int code, string type, string message) => JsonText.Object(json =>
    {
        json.WriteString("type"u8, "error");
        json.WriteStartObject("error_event"u8);
        json.WriteNumber("code"u8, code);
        json.WriteString("error_type"u8, type);
        json.WriteString("message"u8, message);
        json.WriteEndObject();
    });

    private static object PlaceOf(string part) => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : part;
}
