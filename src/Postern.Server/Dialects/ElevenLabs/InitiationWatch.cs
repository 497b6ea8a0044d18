using System.Text.Json;
using Postern.Core;
using Postern.Core.Sessions;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>
/// What the client of a relayed session says after the opening that was judged: everything passes but a second say in how the agent is
/// to be, which nobody judged. One session's, told its messages in order.
/// </summary>
internal sealed class InitiationWatch
{
    private const string Enclave = "enclave_setup_config";

    private static readonly SessionEnd Refused = new(SessionEndReason.FirstMessageRefused, 1008, InitiationData.NotReadable);

    private bool opened;

    /// <summary>The rule of the session.</summary>
    public RelayRule Rule => new(Judge) { Answers = false };

    /// <summary>What an on-premise client sends before its initiation data: never to be trusted, never to reach an upstream.</summary>
    public static bool IsEnclave(ReadOnlyMemory<byte> message) => MayChange(message.Span) && Type(message) == Enclave;

    private Passage Judge(bool isText, ReadOnlyMemory<byte> message)
    {
        var isFirst = !opened;
        opened = true;
        if (!MayChange(message.Span))
        {
            return Passage.AsItCame;
        }
        return Type(message) switch
        {
            InitiationData.MessageType when !isFirst => Passage.Ending(Refused),
            Enclave => Passage.Ending(Refused),
            // Two readers could read it differently: as text it would be refused by an agent hosted here, too.
            null when isText => Passage.Ending(Refused),
            _ => Passage.AsItCame,
        };
    }

    // Most messages are sound in base64. A name that is neither there to the letter nor by an escape is not there.
    private static bool MayChange(ReadOnlySpan<byte> message) =>
        message.IndexOf("conversation_initiation_client_data"u8) >= 0 || message.IndexOf("enclave_setup_config"u8) >= 0 || message.IndexOf("\\u"u8) >= 0;

    // Null when it is not JSON as a strict reader takes it.
    private static string? Type(ReadOnlyMemory<byte> message)
    {
        try
        {
            using var document = JsonDocument.Parse(message, StrictJson.Document);
            return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("type"u8, out var type)
                && type.ValueKind == JsonValueKind.String ? type.GetString() : "";
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return null;
        }
    }
}
