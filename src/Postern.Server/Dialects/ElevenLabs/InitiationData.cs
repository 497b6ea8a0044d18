using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Postern.Core;
using Postern.Core.Projects;
using Postern.Core.Sessions;
using Postern.Server.Agents;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>The client's first message: which overrides, variables and user it claims, judged leaf by leaf (contract, section 5).</summary>
internal static class InitiationData
{
    public const string MessageType = "conversation_initiation_client_data";

    /// <summary>The vendor's text for what it cannot read; a refusal with this detail is RequestInvalid.</summary>
    public const string NotReadable = "Invalid message received";

    private const string OverrideMember = "conversation_config_override";
    private const string User = "user_id";

    /// <summary>
    /// The opening, over it what the mint has fixed; or OverrideRefused, VariableRefused, or RequestInvalid for what cannot
    /// be read. The user is whom the credential names, whatever the client claims.
    /// </summary>
    public static Decision<Opening> Read(Session session, ReadOnlyMemory<byte>? message)
    {
        if (message is not { } text)
        {
            return WithFixed(session, Opening.None);
        }
        try
        {
            using var document = JsonDocument.Parse(text, StrictJson.Document);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                return Unreadable;
            }
            // Another message first means defaults: it is a message of the conversation, not an opening.
            return root.TryGetProperty("type", out var type) && type.ValueEquals(MessageType) ? Judge(session, root.Clone()) : WithFixed(session, Opening.None);
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return Unreadable;
        }
    }

    private static Denial Unreadable => new(DenialReason.RequestInvalid, NotReadable);

    private static Decision<Opening> Judge(Session session, JsonElement root)
    {
        if (OverrideLeaves.Judge(session, Member(root, OverrideMember)).IsDenied(out var denial, out var overrides)
            || ReadVariables(session, root).IsDenied(out denial, out var variables)
            || ReadUser(session, root).IsDenied(out denial, out var user))
        {
            return denial;
        }
        if (Gated(session, root) is { } gated)
        {
            return gated;
        }
        var opening = new Opening(overrides, variables, user.Length == 0 ? null : user, root.GetRawText());
        return WithFixed(session, IsAnother(session, root) ? Named(opening, session.Terms.Subject!) : opening);
    }

    // Anything but that very text: another type could be read as that user further on.
    private static bool IsAnother(Session session, JsonElement root) => session.Terms.Subject is { } subject && Member(root, User) is { } claimed
        && !(claimed.ValueKind == JsonValueKind.String && claimed.ValueEquals(subject));

    // Nobody further on, no record and no upstream, hears of the user whom the client claimed to be instead.
    private static Opening Named(Opening opening, string subject)
    {
        var root = JsonNode.Parse(opening.Raw, null, StrictJson.Document)!;
        root[User] = subject;
        var raw = root.ToJsonString();
        return opening with { Raw = raw, Upstream = Encoding.UTF8.GetBytes(raw), UpstreamReplaces = true };
    }

    // Applied last, over the client's: they are equal where both stand.
    private static Opening WithFixed(Session session, Opening opening) => session.Terms.Fixed.IsEmpty ? opening : opening with
    {
        Upstream = FixedInitiation.Write(opening.Raw, session.Terms.Fixed),
        UpstreamReplaces = opening.Raw.Length > 0,
        Overrides = Merged(opening.Overrides, session.Terms.Fixed.Fields),
        Variables = Merged(opening.Variables, session.Terms.Fixed.Variables),
    };

    private static IReadOnlyDictionary<string, JsonElement> Merged(IReadOnlyDictionary<string, JsonElement> client, IReadOnlyDictionary<string, JsonElement> kept)
    {
        if (kept.Count == 0)
        {
            return client;
        }
        var merged = new Dictionary<string, JsonElement>(client, StringComparer.Ordinal);
        foreach (var (name, value) in kept)
        {
            merged[name] = value;
        }
        return merged;
    }

    // Further members by which a client would change the agent, each with a permission of its own.
    private static Denial? Gated(Session session, JsonElement root)
    {
        foreach (var (member, permission) in new[]
        {
            ("custom_llm_extra_body", "custom_llm_extra_body"),
            ("starting_workflow_node_id", "enable_starting_workflow_node_id_from_client"),
            ("procedure_ids", "enable_procedure_ids_from_client"),
        })
        {
            if (Member(root, member) is { } value && HasLeaf(value) && !session.Agent.Access.OverridePermissions.Contains(permission))
            {
                return new Denial(DenialReason.OverrideRefused, member);
            }
        }
        return null;
    }

    private static Decision<Dictionary<string, JsonElement>> ReadVariables(Session session, JsonElement root)
    {
        var variables = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        if (Member(root, "dynamic_variables") is not { } given)
        {
            return variables;
        }
        if (given.ValueKind != JsonValueKind.Object)
        {
            return Unreadable;
        }
        foreach (var variable in given.EnumerateObject())
        {
            if (DynamicVariables.IsSystem(variable.Name)
                || (session.Terms.Fixed.Variables.TryGetValue(variable.Name, out var kept) && !JsonElement.DeepEquals(kept, variable.Value)))
            {
                return new Denial(DenialReason.VariableRefused, variable.Name);
            }
            if (variable.Value.ValueKind != JsonValueKind.Null)
            {
                variables[variable.Name] = variable.Value;
            }
        }
        return variables;
    }

    private static Decision<string> ReadUser(Session session, JsonElement root)
    {
        if (Member(root, User) is not { } claimed || session.Terms.Subject is not null)
        {
            return "";
        }
        var user = claimed.ValueKind == JsonValueKind.String ? claimed.GetString() : null;
        return user is not null && (user.Length == 0 || Subject.IsValid(user)) ? user : Unreadable;
    }

    private static JsonElement? Member(JsonElement root, string name) =>
        root.TryGetProperty(name, out var member) && member.ValueKind != JsonValueKind.Null ? member : null;

    private static bool HasLeaf(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().Any(member => HasLeaf(member.Value)),
        JsonValueKind.Array => element.GetArrayLength() > 0,
        JsonValueKind.Null => false,
        _ => true,
    };
}
