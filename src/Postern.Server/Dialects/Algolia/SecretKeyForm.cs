using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Keys;

namespace Postern.Server.Dialects.Algolia;

/// <summary>What a request says of a secret key; null is what it does not say.</summary>
/// <param name="Name">For people.</param>
/// <param name="Agents">The only agents that its tokens open; empty is all.</param>
/// <param name="Value">A secret that the customer brings along: a member of Postern's own.</param>
/// <param name="SignerEncodesJson">The switch, a member of Postern's own.</param>
internal sealed record SecretKeyForm(string? Name, ImmutableArray<AgentId>? Agents, string? Value, bool? SignerEncodesJson)
{
    private const int LongestName = 128;
    private const int MostAgents = 1000;

    /// <summary>Reads a body of any content type. A member that there is not is refused by name: nothing is set by accident (attack F4).</summary>
    /// <param name="body">The bytes.</param>
    /// <param name="create">Whether a key is being made: then its name is needed and a value may come along.</param>
    /// <param name="find">The project's agent of a name.</param>
    public static Decision<SecretKeyForm> Read(byte[] body, bool create, Func<string, Agent?> find)
    {
        try
        {
            var root = JsonElement.Parse(body, StrictJson.Document);
            return root.ValueKind != JsonValueKind.Object || !StrictJson.IsSound(root) ? Invalid("body", "Input should be a valid object") : Read(root, create, find);
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return Invalid("body", "JSON decode error: one UTF-8 JSON object without repeated names");
        }
    }

    private static Decision<SecretKeyForm> Read(JsonElement root, bool create, Func<string, Agent?> find)
    {
        var form = new SecretKeyForm(null, null, null, null);
        foreach (var member in root.EnumerateObject().Where(member => member.Value.ValueKind != JsonValueKind.Null))
        {
            var value = member.Value;
            switch (member.Name)
            {
                case "name" when value.ValueKind == JsonValueKind.String && IsName(value.GetString()!):
                    form = form with { Name = value.GetString() };
                    break;
                case "name":
                    return Invalid("body name", $"Input should be a string of 1 to {LongestName} characters");
                case "agentIds" when value.ValueKind == JsonValueKind.Array && value.GetArrayLength() <= MostAgents && value.EnumerateArray().All(id => id.ValueKind == JsonValueKind.String):
                    var agents = value.EnumerateArray().Select(id => find(id.GetString()!)?.Id).Distinct().ToList();
                    if (agents.Contains(null))
                    {
                        return Invalid("body agentIds", "No agent of this application has this id");
                    }
                    form = form with { Agents = [.. agents.Select(id => id!.Value)] };
                    break;
                case "agentIds":
                    return Invalid("body agentIds", $"Input should be a list of at most {MostAgents} agent ids");
                case "value" when create && value.ValueKind == JsonValueKind.String:
                    if (UserTokenSecret.WhyRefused(value.GetString()!) is { } weak)
                    {
                        return Invalid("body value", weak);
                    }
                    form = form with { Value = value.GetString() };
                    break;
                case "signerEncodesJson" when value.ValueKind is JsonValueKind.True or JsonValueKind.False:
                    form = form with { SignerEncodesJson = value.GetBoolean() };
                    break;
                case "signerEncodesJson":
                    return Invalid("body signerEncodesJson", "Input should be a valid boolean");
                default:
                    return Invalid("body", $"There is no member '{Shown(member.Name)}' here: name, agentIds, signerEncodesJson{(create ? " and value" : "")}");
            }
        }
        return create && form.Name is null ? Invalid("body name", "Field required") : form;
    }

    private static bool IsName(string text) => text.Length is > 0 and <= LongestName && !text.EnumerateRunes().Any(Rune.IsControl);

    private static string Shown(string name) => name.Length <= 64 ? name : name[..64];

    private static Denial Invalid(string place, string problem) => new(DenialReason.RequestInvalid, $"{place}: {problem}");
}
