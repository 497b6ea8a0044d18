using System.Text.Json;

namespace Postern.Server.Dialects.Realtime;

/// <summary>The events of written answers, which the two vendors name differently (contract, sections 1 and 10): a client takes no other name for them.</summary>
internal static class TextEventNames
{
    private static readonly (string OpenAI, string Xai)[] Names =
        [("response.output_text.delta", "response.text.delta"), ("response.output_text.done", "response.text.done")];

    /// <summary>One vendor's name in the other's message; every other byte stays. Null when there is nothing to rename.</summary>
    public static byte[]? Translate(ReadOnlyMemory<byte> message, bool toXai)
    {
        var reader = new Utf8JsonReader(message.Span);
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType != JsonTokenType.PropertyName || reader.CurrentDepth != 1)
                {
                    continue;
                }
                var isType = reader.ValueTextEquals("type"u8);
                reader.Read();
                if (!isType)
                {
                    reader.Skip();
                    continue;
                }
                foreach (var (openAI, xai) in Names)
                {
                    if (reader.TokenType == JsonTokenType.String && reader.ValueTextEquals(toXai ? openAI : xai))
                    {
                        return [.. message.Span[..(int)reader.TokenStartIndex], .. JsonSerializer.SerializeToUtf8Bytes(toXai ? xai : openAI), .. message.Span[(int)reader.BytesConsumed..]];
                    }
                }
                return null;
            }
        }
        catch (JsonException)
        {
            // Nothing that a client would read.
        }
        return null;
    }
}
