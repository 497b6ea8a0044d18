using System.Globalization;
using System.Text.Json;

namespace Postern.Server.Dialects.Algolia;

/// <summary>The vendor's shapes of answers: an error always has a message, never a member "error", which makes another kind of error in its clients.</summary>
internal static class Wire
{
    /// <summary>An answer whose body is one object.</summary>
    public static HttpAnswer Json(int status, Action<Utf8JsonWriter> members) => new(status, JsonText.Object(members));

    /// <summary>A member that is a list of objects.</summary>
    public static void List<T>(Utf8JsonWriter json, string name, IEnumerable<T> rows, Action<T> members)
    {
        json.WriteStartArray(name);
        foreach (var row in rows)
        {
            json.WriteStartObject();
            members(row);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    /// <summary>An error with its message, and what helps a developer beside it.</summary>
    public static HttpAnswer Error(int status, string message, string? detail = null) => Json(status, json =>
    {
        json.WriteString("message"u8, message);
        if (detail is not null)
        {
            json.WriteString("detail"u8, detail);
        }
    });

    /// <summary>What is wrong with an agent's id of another form.</summary>
    public const string NoUuid = "Input should be a valid UUID";

    /// <summary>A 422 that names the place, such as <c>path agent_id</c>, and what is wrong there.</summary>
    public static HttpAnswer Invalid(string place, string problem) => Json(422, json =>
    {
        json.WriteString("message"u8, "Input is invalid, see detail/body:");
        json.WriteStartArray("detail"u8);
        json.WriteStartObject();
        json.WriteStartArray("loc"u8);
        foreach (var part in place.Split(' '))
        {
            if (int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var index))
            {
                json.WriteNumberValue(index);
            }
            else
            {
                json.WriteStringValue(part);
            }
        }
        json.WriteEndArray();
        json.WriteString("msg"u8, problem);
        json.WriteString("type"u8, problem == NoUuid ? "uuid_parsing" : "value_error");
        json.WriteEndObject();
        json.WriteEndArray();
    });

    /// <summary>The 422 for an agent's id that is no UUID.</summary>
    public static HttpAnswer InvalidAgentId => Invalid("path agent_id", NoUuid);

    /// <summary>A time as the vendor writes it: ISO 8601, UTC.</summary>
    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
}
