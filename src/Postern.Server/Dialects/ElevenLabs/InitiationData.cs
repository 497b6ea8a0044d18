using System.Text.Json;
using Postern.Core;
using Postern.Core.Sessions;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>The client's first message: which overrides, variables and user it claims, judged leaf by leaf (contract, section 5).</summary>
internal static class InitiationData
{
    public const string MessageType = "conversation_initiation_client_data";
    private const string TextOnly = "conversation.text_only";

    /// <summary>The opening, or OverrideRefused, VariableRefused, SubjectMismatch, RequestInvalid for what is not JSON.</summary>
    public static Decision<Opening> Read(Session session, ReadOnlyMemory<byte>? message)
    {
        if (message is not { } text)
        {
            return Opening.None;
        }
        try
        {
            using var document = JsonDocument.Parse(text, StrictJson.Document);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                return new Denial(DenialReason.RequestInvalid);
            }
            // Another message first means defaults: it is a message of the conversation, not an opening.
            return root.TryGetProperty("type", out var type) && type.ValueEquals(MessageType) ? Judge(session, root.Clone()) : Opening.None;
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return new Denial(DenialReason.RequestInvalid);
        }
    }

    private static Decision<Opening> Judge(Session session, JsonElement root)
    {
        var overrides = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        if (root.TryGetProperty("conversation_config_override", out var wanted))
        {
            Collect(wanted, "", overrides);
        }
        // The Python SDK without an audio interface puts this one at the top.
        if (overrides.Remove("text_only", out var textOnly))
        {
            overrides[TextOnly] = textOnly;
        }
        foreach (var (path, value) in overrides)
        {
            if (!session.Agent.Access.OverridePermissions.Contains(path) && !EqualsConfigured(session.Agent.Configuration, path, value))
            {
                return new Denial(DenialReason.OverrideRefused, path[(path.LastIndexOf('.') + 1)..]);
            }
        }
        if (!session.Agent.Access.OverridePermissions.Contains("custom_llm_extra_body")
            && root.TryGetProperty("custom_llm_extra_body", out var extra) && HasLeaf(extra))
        {
            return new Denial(DenialReason.OverrideRefused, "custom_llm_extra_body");
        }
        if (Gated(session, root) is { } gated)
        {
            return gated;
        }
        if (ReadVariables(root).IsDenied(out var denial, out var variables))
        {
            return denial;
        }
        var user = root.TryGetProperty("user_id", out var claimed) && claimed.ValueKind == JsonValueKind.String ? claimed.GetString() : null;
        return user is not null && session.Terms.Subject is { } subject && user != subject
            ? new Denial(DenialReason.SubjectMismatch)
            : new Opening(overrides, variables, user, root.GetRawText());
    }

    // Two more members by which a client would change the agent, each with a permission of its own.
    private static Denial? Gated(Session session, JsonElement root)
    {
        foreach (var (member, permission) in new[]
        {
            ("starting_workflow_node_id", "enable_starting_workflow_node_id_from_client"), ("procedure_ids", "enable_procedure_ids_from_client"),
        })
        {
            if (root.TryGetProperty(member, out var value) && HasLeaf(value) && !session.Agent.Access.OverridePermissions.Contains(permission))
            {
                return new Denial(DenialReason.OverrideRefused, member);
            }
        }
        return null;
    }

    private static Decision<Dictionary<string, JsonElement>> ReadVariables(JsonElement root)
    {
        var variables = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        if (!root.TryGetProperty("dynamic_variables", out var given) || given.ValueKind != JsonValueKind.Object)
        {
            return variables;
        }
        foreach (var variable in given.EnumerateObject())
        {
            if (variable.Name.StartsWith("system__", StringComparison.Ordinal))
            {
                return new Denial(DenialReason.VariableRefused, variable.Name);
            }
            variables[variable.Name] = variable.Value;
        }
        return variables;
    }

    // Only a leaf with a value is an override: clients send empty objects and nulls always.
    private static void Collect(JsonElement element, string path, Dictionary<string, JsonElement> leaves)
    {
        if (element.ValueKind == JsonValueKind.Object)
        {
            foreach (var member in element.EnumerateObject())
            {
                Collect(member.Value, path.Length == 0 ? member.Name : $"{path}.{member.Name}", leaves);
            }
        }
        else if (element.ValueKind != JsonValueKind.Null)
        {
            leaves[path] = element;
        }
    }

    private static bool HasLeaf(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().Any(member => HasLeaf(member.Value)),
        JsonValueKind.Null => false,
        _ => true,
    };

    // A value equal to the configured one changes nothing.
    private static bool EqualsConfigured(JsonElement configuration, string path, JsonElement value)
    {
        foreach (var name in path.Split('.'))
        {
            if (configuration.ValueKind != JsonValueKind.Object || !configuration.TryGetProperty(name, out configuration))
            {
                return false;
            }
        }
        return JsonElement.DeepEquals(configuration, value);
    }
}
