using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Server.Storage;

namespace Postern.Server.Agents;

/// <summary>
/// Reads the core's agent out of a stored document. One form for all dialects: the one whose vendor has the most settings, with the
/// members conversation_config and platform_settings.
/// </summary>
internal static class AgentDocument
{
    /// <summary>The agent of <paramref name="row"/>; members of a wrong type count as absent, validation refused them when they were saved.</summary>
    public static Agent Read(AgentRow row, PosternOptions options)
    {
        using var document = JsonDocument.Parse(row.Document, StrictJson.Document);
        var root = document.RootElement;
        var configuration = Member(root, "conversation_config")?.Clone() ?? JsonElement.Parse("{}");
        var auth = Member(root, "platform_settings", "auth");
        var limits = Member(root, "platform_settings", "call_limits");
        return new Agent(row.Id, row.Project, row.Name, row.Dialect,
            new AgentAccess(
                Flag(auth, "enable_auth"), row.PrivateByDefault, Allowlist(auth), Flag(auth, "require_origin_header"),
                Permissions(Member(root, "platform_settings", "overrides"))),
            new AgentLimits(MaxDuration(configuration) ?? options.Sessions.MaxDuration, Limit(limits, "agent_concurrency_limit"), Limit(limits, "daily_limit")),
            (Dialects.Dialects.Named(row.Dialect) ?? Dialects.Dialects.All[0]).Credentials(options),
            row.Upstream, configuration)
        {
            Aliases = row.Aliases, OnlyDialects = row.OnlyDialects, Media = row.Media,
            KeepsConversations = !Flag(Member(root, "platform_settings", "privacy"), "zero_retention_mode"),
            IsDraft = Member(root, "algolia", "status") is { ValueKind: JsonValueKind.String } status && status.ValueEquals("draft"u8),
            ApprovedDomains = [.. row.Domains.Select(text => ApprovedDomain.TryParse(text, out var domain, out _) ? domain : throw new FormatException("a stored domain cannot be read"))],
        };
    }

    /// <summary>The member at the end of a path of objects, null where there is none.</summary>
    public static JsonElement? Member(JsonElement? element, params ReadOnlySpan<string> path)
    {
        foreach (var name in path)
        {
            if (element is not { ValueKind: JsonValueKind.Object } found || !found.TryGetProperty(name, out var member))
            {
                return null;
            }
            element = member;
        }
        return element;
    }

    /// <summary>The entries of an allowlist that are valid; all are, once saved.</summary>
    public static ImmutableArray<AllowedHost> Allowlist(JsonElement? auth) =>
        Member(auth, "allowlist") is not { ValueKind: JsonValueKind.Array } list ? [] :
        [.. list.EnumerateArray()
            .Select(item => Member(item, "hostname") is { ValueKind: JsonValueKind.String } host && AllowedHost.TryParse(host.GetString()!, out var entry, out _) ? entry : (AllowedHost?)null)
            .OfType<AllowedHost>().Distinct()];

    private static bool Flag(JsonElement? element, string name) => Member(element, name) is { ValueKind: JsonValueKind.True };

    // A negative one is the vendor's word for none.
    private static int? Limit(JsonElement? limits, string name) =>
        Member(limits, name) is { ValueKind: JsonValueKind.Number } number && number.TryGetInt32(out var value) && value >= 0 ? value : null;

    private static TimeSpan? MaxDuration(JsonElement configuration) =>
        Member(configuration, "conversation", "max_duration_seconds") is { ValueKind: JsonValueKind.Number } seconds && seconds.TryGetInt32(out var value) && value > 0
            ? TimeSpan.FromSeconds(value) : null;

    // Absent means forbidden, but for text_only: it narrows, clients send it always, and only an explicit false is meant.
    private static FrozenSet<string> Permissions(JsonElement? overrides)
    {
        var permitted = new HashSet<string>(StringComparer.Ordinal) { "conversation.text_only" };
        Collect(Member(overrides, "conversation_config_override"), "", permitted);
        foreach (var name in new[] { "custom_llm_extra_body", "enable_starting_workflow_node_id_from_client", "enable_procedure_ids_from_client" })
        {
            if (Flag(overrides, name))
            {
                permitted.Add(name);
            }
        }
        return permitted.ToFrozenSet(StringComparer.Ordinal);
    }

    private static void Collect(JsonElement? element, string path, HashSet<string> permitted)
    {
        switch (element?.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var member in element.Value.EnumerateObject())
                {
                    Collect(member.Value, path.Length == 0 ? member.Name : $"{path}.{member.Name}", permitted);
                }
                break;
            case JsonValueKind.True:
                permitted.Add(path);
                break;
            case JsonValueKind.False:
                permitted.Remove(path);
                break;
        }
    }
}
