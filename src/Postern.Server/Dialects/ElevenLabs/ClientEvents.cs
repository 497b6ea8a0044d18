using System.Collections.Frozen;
using System.Text.Json;
using Postern.Core.Agents;
using Postern.Server.Agents;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>The events that an agent lists in <c>conversation.client_events</c>: no other is sent to its clients. Without a list all are.</summary>
internal sealed class ClientEvents(Agent agent)
{
    private static readonly string[] Always = ["conversation_initiation_metadata", "ping"]; // without them no client holds a conversation

    private readonly FrozenSet<string>? listed = AgentDocument.Member(agent.Configuration, "conversation", "client_events") is { ValueKind: JsonValueKind.Array } list
        ? list.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!).Concat(Always).ToFrozenSet(StringComparer.Ordinal)
        : null;

    /// <summary>Whether an event passes; its type is its first member, as <see cref="TalkEvents"/> writes it.</summary>
    public bool Pass(ReadOnlySpan<byte> text)
    {
        if (listed is null)
        {
            return true;
        }
        var type = text["{\"type\":\"".Length..];
        return listed.Contains(System.Text.Encoding.UTF8.GetString(type[..type.IndexOf((byte)'"')]));
    }
}
