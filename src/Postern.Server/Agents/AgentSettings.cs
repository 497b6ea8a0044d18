using System.Globalization;
using System.Text.Json;
using Postern.Core.Agents;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;
using Upstream = Postern.Core.Agents.Upstream;

namespace Postern.Server.Agents;

/// <summary>What an operator sets on an agent, by Postern's own API and by its commands: where it really is, and which vendor it speaks.</summary>
internal static class AgentSettings
{
    private const int MostHeaders = 32;

    /// <summary>Where an agent is said to be; null with a sentence that says what to write instead.</summary>
    /// <param name="kind"><c>echo</c>, or <c>relay</c> with a URL.</param>
    public static Upstream? ReadUpstream(
        string kind, string? url, IReadOnlyCollection<KeyValuePair<string, string>> headers, PosternOptions options, out string problem)
    {
        problem = kind switch
        {
            "echo" => url is null && headers.Count == 0 ? "" : "An echo agent has neither url nor headers.",
            "relay" => url is null ? "A relay needs a url, such as wss://agent.example.com/talk." : CheckRelay(url, headers, options) ?? "",
            _ => "The kind of an upstream is echo or relay.",
        };
        return problem.Length > 0 ? null : url is null ? new Upstream.Echo() : new Upstream.Relay(url, [.. headers]);
    }

    /// <summary>Sets where an agent is; null when the project has no such agent.</summary>
    public static Task<AgentRow?> SetUpstreamAsync(AgentStore store, ProjectId project, AgentId id, string? keyId, Upstream upstream) =>
        store.ChangeAsync(project, id, keyId, "upstream " + Shown(upstream), row => row with { Upstream = upstream });

    /// <summary>What is wrong with the name of a dialect, or null.</summary>
    public static string? CheckDialect(string name) =>
        Dialects.Dialects.Named(name) is not Dialects.SocketDialect ? $"The dialects are: {string.Join(", ", Dialects.Dialects.All.OfType<Dialects.SocketDialect>().Select(dialect => dialect.Name))}." : null;

    /// <summary>Sets which vendor an agent speaks; null when the project has no such agent.</summary>
    public static Task<AgentRow?> SetDialectAsync(AgentStore store, ProjectId project, AgentId id, string? keyId, string dialect) =>
        store.ChangeAsync(project, id, keyId, "dialect " + dialect, row => row with { Dialect = dialect });

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
        json.WriteString("upstream"u8, Shown(row.Upstream));
        json.WriteString("created_at"u8, Time(row.CreatedAt));
        json.WriteString("updated_at"u8, Time(row.UpdatedAt));
    }

    /// <summary>An upstream's members: of headers the names alone, their values are never shown again.</summary>
    public static void Write(Utf8JsonWriter json, Upstream upstream)
    {
        json.WriteString("kind"u8, upstream is Upstream.Relay ? "relay" : "echo");
        if (upstream is not Upstream.Relay relay)
        {
            return;
        }
        json.WriteString("url"u8, relay.Url);
        json.WriteStartArray("headers"u8);
        foreach (var (name, _) in relay.Headers)
        {
            json.WriteStringValue(name);
        }
        json.WriteEndArray();
    }

    /// <summary>An upstream in one line, without a query that may hold a secret.</summary>
    public static string Shown(Upstream upstream) => upstream is Upstream.Relay relay ? "relay " + relay.Url.Split('?')[0] : "echo";

    /// <summary>A time as our own API writes it.</summary>
    public static string Time(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    private static string? CheckRelay(string url, IReadOnlyCollection<KeyValuePair<string, string>> headers, PosternOptions options)
    {
        if (UpstreamAddress.Parse(url, out var problem) is not { } address)
        {
            return problem;
        }
        // A name is checked by its addresses whenever it is dialled; an address can be told at once.
        if (address.Literal is { } literal && !options.Agents.AllowPrivateUpstreams && !AddressRules.IsPublic(literal))
        {
            return "The address is private, local or reserved: the setting Agents:AllowPrivateUpstreams allows such upstreams.";
        }
        if (headers.Count > MostHeaders)
        {
            return $"At most {MostHeaders} headers are added.";
        }
        if (headers.FirstOrDefault(header => header.Value is null).Key is { } empty)
        {
            return $"The header {empty} has no value.";
        }
        if (headers.Select(header => header.Key).Distinct(StringComparer.OrdinalIgnoreCase).Count() < headers.Count)
        {
            return "A header is named twice.";
        }
        return headers.Select(header => UpstreamHandshake.CheckHeader(header.Key, header.Value)).FirstOrDefault(found => found is not null);
    }
}
