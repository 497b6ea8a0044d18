using System.Globalization;
using System.Text;
using System.Text.Json;
using Postern.Core.Sessions;
using Postern.Server.Dialects;

namespace Postern.Server.Agents;

/// <summary>What stands for <c>{{name}}</c> in an agent's texts: the client's values, the agent's own for want of them, and the system's.</summary>
internal sealed class DynamicVariables(IReadOnlyDictionary<string, string> values, DateTimeOffset startedAt)
{
    /// <summary>Names that only the server gives values to.</summary>
    private const string SystemPrefix = "system__";

    public static bool IsSystem(string? name) => name is not null && name.StartsWith(SystemPrefix, StringComparison.Ordinal);

    public static DynamicVariables From(Session session, Opening opening)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        if (AgentDocument.Member(session.Agent.Configuration, "agent", "dynamic_variables", "dynamic_variable_placeholders") is { ValueKind: JsonValueKind.Object } own)
        {
            foreach (var member in own.EnumerateObject())
            {
                Put(values, member.Name, member.Value);
            }
        }
        foreach (var (name, value) in opening.Variables)
        {
            Put(values, name, value);
        }
        foreach (var (name, value) in session.Terms.Fixed.Variables)
        {
            Put(values, name, value);
        }
        values["system__conversation_id"] = session.Id;
        values["system__agent_id"] = session.Agent.Id.Value;
        values["system__time_utc"] = session.StartedAt.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
        return new DynamicVariables(values, session.StartedAt);
    }

    /// <summary>The names in <paramref name="text"/> that have no value, each once, in order.</summary>
    public IReadOnlyList<string> Missing(string text)
    {
        var missing = new List<string>();
        Walk(text, startedAt, name =>
        {
            if (!missing.Contains(name))
            {
                missing.Add(name);
            }
        });
        return missing;
    }

    /// <summary>The text with its variables filled in; those without a value vanish.</summary>
    public string Fill(string text, DateTimeOffset now) => Walk(text, now, static _ => { });

    private string Walk(string text, DateTimeOffset now, Action<string> missing)
    {
        var filled = new StringBuilder(text.Length);
        for (var at = 0; at < text.Length;)
        {
            var open = text.IndexOf("{{", at, StringComparison.Ordinal);
            var close = open < 0 ? -1 : text.IndexOf("}}", open, StringComparison.Ordinal);
            if (close < 0)
            {
                return filled.Append(text, at, text.Length - at).ToString();
            }
            filled.Append(text, at, open - at);
            var name = text[(open + 2)..close].Trim();
            at = close + 2;
            if (!IsName(name))
            {
                filled.Append(text, open, at - open);
            }
            else if (Value(name, now) is { } value)
            {
                filled.Append(value); // not looked through again: a value is the client's word, not a text of the agent
            }
            else
            {
                missing(name);
            }
        }
        return filled.ToString();
    }

    private string? Value(string name, DateTimeOffset now) => name == "system__call_duration_secs"
        ? ((long)(now - startedAt).TotalSeconds).ToString(CultureInfo.InvariantCulture)
        : values.GetValueOrDefault(name);

    private static void Put(Dictionary<string, string> values, string name, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                values[name] = value.GetString()!;
                break;
            case JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False:
                values[name] = value.GetRawText();
                break;
        }
    }

    private static bool IsName(string name) => name.Length > 0 && name.All(static c => char.IsAsciiLetterOrDigit(c) || c == '_');
}
