using System.Text.Json;
using Postern.Core.Agents;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>
/// Checks what is sent about an agent: the members that decide on access, limits and names. All others are the owner's and pass, so
/// that what a newer client sends is kept (contract, sections 4 and 12).
/// </summary>
internal sealed class AgentForm
{
    public const int LongestName = 200;
    private const int LongestHostname = 512;
    private const int MostHosts = 10;
    private const int LongestDuration = 86400;

    private readonly List<FieldProblem> problems = [];

    private AgentForm() { }

    /// <summary>What is wrong with a whole agent, or with the changes to one.</summary>
    public static IReadOnlyList<FieldProblem> Check(JsonElement body, params ReadOnlySpan<string> required)
    {
        var form = new AgentForm();
        var root = new Field(body, ["body"]);
        if (form.Object(root))
        {
            foreach (var name in required)
            {
                form.Require(root[name]);
            }
            form.Agent(root);
        }
        return form.problems;
    }

    private void Agent(Field root)
    {
        Name(root["name"]);
        Tags(root["tags"]);
        Object(root["workflow"]);
        if (Object(root["conversation_config"]) && Object(root["conversation_config"]["conversation"]))
        {
            Duration(root["conversation_config"]["conversation"]["max_duration_seconds"]);
            Flag(root["conversation_config"]["conversation"]["text_only"]);
        }
        var settings = root["platform_settings"];
        if (Object(settings))
        {
            Flag(settings["archived"]);
            Auth(settings["auth"]);
            Overrides(settings["overrides"]);
            Limits(settings["call_limits"]);
            if (Object(settings["privacy"]))
            {
                Flag(settings["privacy"]["zero_retention_mode"]);
            }
        }
    }

    private void Auth(Field auth)
    {
        if (!Object(auth))
        {
            return;
        }
        Flag(auth["enable_auth"]);
        Flag(auth["require_origin_header"]);
        var list = auth["allowlist"];
        if (list.Value is not { } value || !Array(list))
        {
            return;
        }
        var hosts = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (i, element) in value.EnumerateArray().Index())
        {
            var item = new Field(element, [.. list.Place, i]);
            if (Object(item) && Require(item["hostname"]) && Text(item["hostname"]) is { } hostname && Host(item["hostname"], hostname) is { } host)
            {
                hosts.Add(host);
            }
        }
        if (hosts.Count > MostHosts)
        {
            Refuse(list, "too_long", $"An allowlist has at most {MostHosts} different hosts, not {hosts.Count}.");
        }
    }

    private string? Host(Field field, string text)
    {
        if (text.Length > LongestHostname)
        {
            Refuse(field, "value_error", "A host name has at most 253 characters.");
            return null;
        }
        if (!AllowedHost.TryParse(text, out var host, out var problem))
        {
            Refuse(field, "value_error", problem);
            return null;
        }
        return host.ToString();
    }

    private void Limits(Field limits)
    {
        if (!Object(limits))
        {
            return;
        }
        foreach (var limit in new[] { limits["agent_concurrency_limit"], limits["daily_limit"] })
        {
            if (limit.Value is { } value && (value.ValueKind != JsonValueKind.Number || !value.TryGetInt32(out var number) || number < -1))
            {
                Refuse(limit, "int_type", "Input should be a whole number, -1 for no limit");
            }
        }
        Flag(limits["bursting_enabled"]);
    }

    private void Overrides(Field overrides)
    {
        if (!Object(overrides))
        {
            return;
        }
        Permissions(overrides["conversation_config_override"], top: true);
        Flag(overrides["custom_llm_extra_body"]);
        Flag(overrides["enable_conversation_initiation_client_data_from_webhook"]);
        Flag(overrides["enable_starting_workflow_node_id_from_client"]);
        Flag(overrides["enable_procedure_ids_from_client"]);
    }

    // A permission that is neither true nor false would be silently no permission, or silently one.
    private void Permissions(Field field, bool top = false)
    {
        if (field.Value is not { ValueKind: JsonValueKind.Object } value)
        {
            _ = top ? Object(field) : Flag(field);
            return;
        }
        foreach (var member in value.EnumerateObject())
        {
            if (member.Value.ValueKind != JsonValueKind.Null)
            {
                Permissions(new Field(member.Value, [.. field.Place, member.Name]));
            }
        }
    }

    private void Name(Field field)
    {
        if (Text(field) is { } name && (name.Length > LongestName || name.Any(char.IsControl)))
        {
            Refuse(field, "value_error", $"A name has at most {LongestName} characters and no control characters.");
        }
    }

    private void Tags(Field field)
    {
        if (field.Value is not { } value || !Array(field))
        {
            return;
        }
        foreach (var (i, element) in value.EnumerateArray().Index())
        {
            if (element.ValueKind != JsonValueKind.String)
            {
                Refuse(new Field(element, [.. field.Place, i]), "string_type", "Input should be a valid string");
            }
        }
    }

    private void Duration(Field field)
    {
        if (field.Value is { } value && (value.ValueKind != JsonValueKind.Number || !value.TryGetInt32(out var seconds) || seconds is < 1 or > LongestDuration))
        {
            Refuse(field, "int_type", $"Input should be a whole number from 1 to {LongestDuration}");
        }
    }

    private bool Require(Field field) => field.Value is not null || Refuse(field, "missing", "Field required");

    private bool Object(Field field) => field.Value is { ValueKind: JsonValueKind.Object }
        || (field.Value is not null && Refuse(field, "dict_type", "Input should be a valid dictionary"));

    private bool Array(Field field) => field.Value is { ValueKind: JsonValueKind.Array } || Refuse(field, "list_type", "Input should be a valid list");

    private bool Flag(Field field) => field.Value is null or { ValueKind: JsonValueKind.True or JsonValueKind.False }
        || Refuse(field, "bool_type", "Input should be a valid boolean");

    private string? Text(Field field)
    {
        if (field.Value is { ValueKind: not JsonValueKind.String })
        {
            Refuse(field, "string_type", "Input should be a valid string");
            return null;
        }
        return field.Value?.GetString();
    }

    private bool Refuse(Field field, string type, string message)
    {
        if (problems.Count < Wire.MostProblems)
        {
            problems.Add(new FieldProblem(type, field.Place, message));
        }
        return false;
    }

    /// <summary>A value and where it stands. Absent and null are the same: the default.</summary>
    private readonly record struct Field(JsonElement? Value, IReadOnlyList<object> Place)
    {
        public Field this[string name] => new(
            Value is { ValueKind: JsonValueKind.Object } parent && parent.TryGetProperty(name, out var member) && member.ValueKind != JsonValueKind.Null ? member : null,
            [.. Place, name]);
    }
}
