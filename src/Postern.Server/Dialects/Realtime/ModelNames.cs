using Postern.Core.Agents;

namespace Postern.Server.Dialects.Realtime;

/// <summary>Clients name a model where Postern has agents: the setting Realtime:Models says which agent a name means.</summary>
internal static class ModelNames
{
    private const string Default = "default";
    private const int Longest = 128;

    /// <summary>The agent of a model's name: what the setting says, else the agent of that id or alias. Null when it can be no name.</summary>
    public static AgentId? Find(string name, PosternOptions options)
    {
        foreach (var entry in options.Realtime.Models)
        {
            if (entry.Length > name.Length && entry[name.Length] == '=' && entry.StartsWith(name, StringComparison.Ordinal))
            {
                return new AgentId(entry[(name.Length + 1)..]);
            }
        }
        return IsName(name) ? new AgentId(name) : null;
    }

    /// <summary>The agent of a request that names none; null when the setting does not say.</summary>
    public static AgentId? FindDefault(PosternOptions options) =>
        options.Realtime.Models is [var only] ? new AgentId(only[(only.IndexOf('=', StringComparison.Ordinal) + 1)..])
        : options.Realtime.Models.FirstOrDefault(entry => entry.StartsWith(Default + "=", StringComparison.Ordinal)) is { } entry
            ? new AgentId(entry[(Default.Length + 1)..]) : null;

    /// <summary>Whether a text may name an agent or a model.</summary>
    public static bool IsName(string text) => text.Length is > 0 and <= Longest && !text.AsSpan().ContainsAnyExceptInRange('!', '~');

    /// <summary>What is wrong with the setting, as a sentence, or null.</summary>
    public static string? Problem(IReadOnlyList<string> models) =>
        models.FirstOrDefault(entry => entry.Split('=') is not [{ Length: > 0 }, { Length: > 0 }]) is { } wrong
            ? $"Realtime:Models has the entry {wrong}: write NAME=AGENT, such as gpt-realtime=agent_support." : null;
}
