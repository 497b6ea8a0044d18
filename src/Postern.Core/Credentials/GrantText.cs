using System.Text;
using System.Text.Json;
using Postern.Core.Agents;
using Postern.Core.Projects;

namespace Postern.Core.Credentials;

/// <summary>A grant as the claims that a signed credential carries, with its kind: what the audit row of a mint holds and inspection reads.</summary>
public static class GrantText
{
    private const int LongestUnheeded = 64;

    /// <summary>One JSON object; <paramref name="unheeded"/> stands beside the grant, cut to what an audit row can bear.</summary>
    public static string Write(CredentialKind kind, Grant grant, IReadOnlyList<KeyValuePair<string, string>>? unheeded = null)
    {
        var text = new StringBuilder(96).Append("{\"kind\":\"").Append(kind).Append("\",\"exp\":").Append(grant.StartBy.ToUnixTimeSeconds());
        if (grant.Uses is { } uses)
        {
            text.Append(",\"use\":").Append(uses);
        }
        if (grant.MaxDuration is { } duration)
        {
            text.Append(",\"dur\":").Append((long)duration.TotalSeconds);
        }
        if (!grant.Origins.IsDefaultOrEmpty)
        {
            text.Append(",\"org\":[").AppendJoin(',', grant.Origins.Select(origin => $"\"{JsonEncodedText.Encode(origin)}\"")).Append(']');
        }
        foreach (var (name, value) in unheeded ?? [])
        {
            text.Append(",\"unheeded_").Append(name).Append("\":\"").Append(JsonEncodedText.Encode(string.Concat(value.EnumerateRunes().Take(LongestUnheeded)))).Append('"');
        }
        return text.Append(grant.HasFixed ? ",\"fix\":1}" : "}").ToString();
    }

    /// <summary>Kind and grant out of an audit row's detail and columns; null when it is none.</summary>
    public static (CredentialKind Kind, Grant Grant)? Read(string text, ProjectId project, AgentId? agent, string? subject, string? conversation)
    {
        try
        {
            using var document = JsonDocument.Parse(text, StrictJson.Document);
            var root = document.RootElement;
            var grant = new Grant(project, agent, subject, DateTimeOffset.FromUnixTimeSeconds(root.GetProperty("exp"u8).GetInt64()),
                root.TryGetProperty("use"u8, out var uses) ? uses.GetInt32() : null,
                root.TryGetProperty("dur"u8, out var duration) ? TimeSpan.FromSeconds(duration.GetInt64()) : null,
                root.TryGetProperty("org"u8, out var origins) ? [.. origins.EnumerateArray().Select(origin => origin.GetString()!)] : [], conversation)
            {
                HasFixed = root.TryGetProperty("fix"u8, out _),
            };
            return (Enum.Parse<CredentialKind>(root.GetProperty("kind"u8).GetString()!), grant);
        }
        catch (Exception e) when (StrictJson.IsBadInput(e) || e is KeyNotFoundException)
        {
            return null;
        }
    }
}
