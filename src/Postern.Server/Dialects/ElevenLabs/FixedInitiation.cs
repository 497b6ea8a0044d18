using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Postern.Core;
using Postern.Core.Credentials;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>The initiation data that an upstream hears when the mint has fixed values: the client's, and over it what is fixed.</summary>
internal static class FixedInitiation
{
    /// <summary>One message. <paramref name="client"/> is the client's initiation data as it came, judged; empty when it sent none.</summary>
    public static byte[] Write(string client, FixedValues values)
    {
        var root = client.Length == 0 ? new JsonObject() : (JsonObject)JsonNode.Parse(client, null, StrictJson.Document)!;
        root["type"] = InitiationData.MessageType;
        foreach (var (path, value) in values.Fields)
        {
            var at = Member(root, "conversation_config_override");
            var names = path.Split('.');
            foreach (var name in names[..^1])
            {
                at = Member(at, name);
            }
            at[names[^1]] = Node(value);
        }
        foreach (var (name, value) in values.Variables)
        {
            Member(root, "dynamic_variables")[name] = Node(value);
        }
        return Encoding.UTF8.GetBytes(root.ToJsonString());
    }

    private static JsonObject Member(JsonObject parent, string name)
    {
        if (parent[name] is JsonObject present)
        {
            return present;
        }
        var made = new JsonObject();
        parent[name] = made;
        return made;
    }

    private static JsonNode? Node(JsonElement value) => JsonNode.Parse(value.GetRawText(), null, StrictJson.Document);
}
