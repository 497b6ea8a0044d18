using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Postern.Server;

/// <summary>Writes JSON as UTF-8: answers, WebSocket texts, claims. Never what stands inside a page: <c>&amp;</c> and <c>'</c> stay readable.</summary>
internal static class JsonText
{
    private const int LargestKept = 4096;
    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    [ThreadStatic]
    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Json)? kept;

    /// <summary>One object.</summary>
    public static byte[] Object(Action<Utf8JsonWriter> members) => Value(json =>
    {
        json.WriteStartObject();
        members(json);
        json.WriteEndObject();
    });

    /// <summary>One value.</summary>
    public static byte[] Value(JsonNode value) => Value(json => value.WriteTo(json));

    /// <summary>As above.</summary>
    public static byte[] Value(Action<Utf8JsonWriter> value)
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

    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Json) Writer()
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        return (buffer, new Utf8JsonWriter(buffer, Plain));
    }
}
