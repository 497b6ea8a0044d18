using System.Globalization;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Storage;
using Upstream = Postern.Core.Agents.Upstream;

namespace Postern.Server.Agents;

/// <summary>What an operator sets on an agent, by Postern's own API and by its commands: where it really is, and which vendor it speaks.</summary>
internal static class AgentSettings
{
    private const int MostAliases = 20;
    private const int MostText = 256;

    /// <summary>What is wrong with the name or the dialect of a new agent, or null.</summary>
    public static string? CheckNew(string name, string? dialect) =>
        name.Length is 0 or > MostText || !StrictJson.IsSound(JsonSerializer.SerializeToElement(name)) ? $"The name of an agent has 1 to {MostText} characters of Unicode text."
        : dialect is null ? null : CheckDialect(dialect);

    /// <summary>Makes an agent that echoes, with the project's defaults for what is not said.</summary>
    public static async Task<AgentRow> CreateAsync(AgentStore store, PosternOptions options, ApiKey key, string name, string? dialect, bool? isPrivate, DateTimeOffset now)
    {
        var defaults = store.ReadDefaults(key.Project);
        var body = JsonSerializer.SerializeToElement(isPrivate is { } said
            ? (object)new { name, conversation_config = new { }, platform_settings = new { auth = new { enable_auth = said } } } : new { name, conversation_config = new { } });
        var row = AgentDraft.Create(AgentId.Create(), key.Project, dialect ?? defaults.Dialect ?? options.Agents.DefaultDialect,
            (defaults.Access ?? options.Agents.DefaultAccess) == "public", body, now);
        await store.CreateAsync(row, key.Id);
        return row;
    }

    /// <summary>Sets where an agent is; null when the project has no such agent.</summary>
    public static Task<AgentRow?> SetUpstreamAsync(AgentStore store, ProjectId project, AgentId id, string? keyId, Upstream upstream) =>
        store.ChangeAsync(project, id, keyId, "upstream " + UpstreamSettings.Shown(upstream), row => row with { Upstream = upstream });

    /// <summary>What is wrong with the name of a dialect, or null.</summary>
    public static string? CheckDialect(string name) =>
        Dialects.Dialects.Named(name) is not Dialects.SocketDialect ? $"The dialects are: {string.Join(", ", Dialects.Dialects.All.OfType<Dialects.SocketDialect>().Select(dialect => dialect.Name))}." : null;

    /// <summary>What is wrong with the name of a dialect that an agent is to be restricted to, or null.</summary>
    public static string? CheckFamily(string name) =>
        Families.Contains(name, StringComparer.Ordinal) ? null : $"An agent is reached by: {string.Join(", ", Families)}.";

    // Our own API reaches every agent.
    private static IEnumerable<string> Families => Dialects.Dialects.All.Where(dialect => dialect is not Dialects.Own.OwnDialect).Select(dialect => dialect.Family).Distinct();

    /// <summary>Sets which vendor an agent speaks; null when the project has no such agent.</summary>
    public static Task<AgentRow?> SetDialectAsync(AgentStore store, ProjectId project, AgentId id, string? keyId, string dialect) =>
        store.ChangeAsync(project, id, keyId, "dialect " + dialect, row => row with { Dialect = dialect });

    /// <summary>Where an agent's rooms are said to be; null with a sentence that says what to write instead.</summary>
    public static MediaServer? ReadMedia(string url, string key, string secret, out string problem)
    {
        problem = !Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Scheme is not ("ws" or "wss") || address.Host.Length == 0
                || address.UserInfo.Length + address.Query.Length + address.Fragment.Length > 0 || url.Length > MostText
                ? "The url of a media server is such as wss://livekit.example.com, without user name, query or fragment."
            : !IsWord(key) || !IsWord(secret) ? $"key and secret are those of the media server: 1 to {MostText} visible ASCII characters each." : "";
        return problem.Length > 0 ? null : new MediaServer(url, key, secret);
    }

    /// <summary>Sets where an agent's rooms are, or that it has none; null when the project has no such agent.</summary>
    public static Task<AgentRow?> SetMediaAsync(AgentStore store, ProjectId project, AgentId id, string? keyId, MediaServer? media) =>
        store.ChangeAsync(project, id, keyId, media is null ? "no media server" : "media server " + media.Url, row => row with { Media = media });

    /// <summary>What is wrong with an agent's further names, or null.</summary>
    public static string? CheckAliases(IReadOnlyList<string> aliases) =>
        aliases.Count > MostAliases ? $"An agent has at most {MostAliases} aliases."
        : aliases.Any(alias => alias is null || alias.Length is 0 or > 64 || !Base64Text.IsAlphabet(alias)) ? "An alias has 1 to 64 letters, digits, '_' and '-'."
        : aliases.Distinct(StringComparer.Ordinal).Count() < aliases.Count ? "An alias is named twice." : null;

    /// <summary>The first of these names that another agent has, as its id or as an alias; null when all are free.</summary>
    public static string? TakenAlias(AgentStore store, ProjectId project, AgentId id, IReadOnlyList<string> aliases) =>
        aliases.FirstOrDefault(alias => store.Read(new AgentId(alias)) is not null)
        ?? List(store, project).Where(row => row.Id != id).SelectMany(row => row.Aliases.Append(row.Id.Uuid)).FirstOrDefault(alias => aliases.Contains(alias, StringComparer.Ordinal));

    /// <summary>Sets an agent's further names; null when the project has no such agent.</summary>
    public static Task<AgentRow?> SetAliasesAsync(AgentStore store, ProjectId project, AgentId id, string? keyId, IReadOnlyList<string> aliases) =>
        store.ChangeAsync(project, id, keyId, "aliases " + string.Join(' ', aliases), row => row with { Aliases = [.. aliases] });

    /// <summary>Sets the only dialects that reach an agent; none is every one. Null when the project has no such agent.</summary>
    public static Task<AgentRow?> SetOnlyDialectsAsync(AgentStore store, ProjectId project, AgentId id, string? keyId, IReadOnlyList<string> dialects) =>
        store.ChangeAsync(project, id, keyId, "dialects " + string.Join(' ', dialects), row => row with { OnlyDialects = [.. dialects.Distinct(StringComparer.Ordinal)] });

    /// <summary>The project's agents, oldest first.</summary>
    public static IEnumerable<AgentRow> List(AgentStore store, ProjectId project) => store.ReadAll().Where(row => row.Project == project);

    /// <summary>An agent's members as an operator sees them.</summary>
    public static void Write(Utf8JsonWriter json, AgentRow row, PosternOptions options)
    {
        var access = AgentDocument.Read(row, options).Access;
        json.WriteString("id"u8, row.Id.Value);
        json.WriteString("name"u8, row.Name);
        json.WriteString("dialect"u8, row.Dialect);
        json.WriteBoolean("private"u8, access.Private);
        json.WriteStartArray("allowlist"u8);
        foreach (var host in access.Allowlist)
        {
            json.WriteStringValue(host.ToString());
        }
        json.WriteEndArray();
        json.WriteString("upstream"u8, UpstreamSettings.Shown(row.Upstream));
        json.WriteString("media"u8, row.Media?.Url);
        WriteTexts(json, "aliases"u8, row.Aliases);
        WriteTexts(json, "only_dialects"u8, row.OnlyDialects);
        json.WriteString("created_at"u8, Time(row.CreatedAt));
        json.WriteString("updated_at"u8, Time(row.UpdatedAt));
    }

    /// <summary>A time as our own API writes it.</summary>
    public static string Time(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    private static void WriteTexts(Utf8JsonWriter json, ReadOnlySpan<byte> name, IEnumerable<string> texts)
    {
        json.WriteStartArray(name);
        foreach (var text in texts)
        {
            json.WriteStringValue(text);
        }
        json.WriteEndArray();
    }

    private static bool IsWord(string? text) => text is { Length: > 0 and <= MostText } && text.All(c => c is > ' ' and <= '~');
}
