using System.Collections.Immutable;
using System.Data.Common;
using System.Globalization;
using System.Text.Json;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>An agent as stored: its document is kept to the letter, unknown members too.</summary>
/// <param name="Document">A JSON object: name, tags, conversation_config, platform_settings, workflow and whatever else was sent.</param>
/// <param name="PrivateByDefault">Nothing was said about its access, so the project's default was written.</param>
internal sealed record AgentRow(
    AgentId Id, ProjectId Project, string Name, string Dialect, string Document, bool PrivateByDefault, Upstream Upstream,
    DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    /// <summary>Further names, unique in the project.</summary>
    public ImmutableArray<string> Aliases { get; init; } = [];

    /// <summary>Domains whose pages may ask for completions.</summary>
    public ImmutableArray<string> Domains { get; init; } = [];

    /// <summary>What clients that demand a UUID call it.</summary>
    public string Uuid => Aliases.FirstOrDefault(AgentId.IsUuid) ?? Id.Uuid;

    /// <summary>The only dialects that reach it; empty is every one.</summary>
    public ImmutableArray<string> OnlyDialects { get; init; } = [];

    /// <summary>Where its WebRTC sessions are held.</summary>
    public MediaServer? Media { get; init; }
}

/// <summary>By what agents are listed; those alike stand by their ids.</summary>
internal enum AgentOrder { Created, Name, CallsOfAWeek }

/// <summary>Which agents to list. <paramref name="After"/> is the last one of the page before.</summary>
internal sealed record AgentQuery(ProjectId Project, string Search, bool Descending, AgentOrder Order, int Limit, (string Sort, string Id)? After);

/// <summary>A project's own settings, for new agents and for mints; null is the installation's.</summary>
/// <param name="LockSession">Whether all is fixed that a mint says of a session, where it does not say what is.</param>
internal sealed record ProjectDefaults(string? Dialect, string? Access, bool? LockSession)
{
    /// <summary>Names a project in the change table.</summary>
    public const string Change = "project";
}

/// <summary>Agents in SQL. Every change carries its audit row and its change number.</summary>
internal sealed class AgentStore(Database database, GroupedWriter writer, SecretBox secrets, TimeProvider clock)
{
    private const string Columns = "id, project_id, name, dialect, document, private_by_default, upstream_url, upstream_headers, created_at, updated_at, only_dialects, media_url, media_secret";

    public Task CreateAsync(AgentRow row, string? keyId) => writer.WriteAsync(transaction => Insert(transaction, row, keyId));

    /// <summary>Adds an agent to a transaction.</summary>
    public void Insert(WriteTransaction transaction, AgentRow row, string? keyId)
    {
        transaction.Execute($"insert into agent ({Columns}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            row.Id.Value, row.Project.Value, row.Name, row.Dialect, row.Document, row.PrivateByDefault ? 1 : 0,
            Url(row.Upstream), Headers(row.Id, row.Upstream), row.CreatedAt.ToUnixTimeMilliseconds(), row.UpdatedAt.ToUnixTimeMilliseconds(), string.Join(' ', row.OnlyDialects), row.Media?.Url, Seal(row.Id, row.Media));
        InsertAliases(transaction, row);
        Note(transaction, AuditNames.AgentCreated, row.Project, row.Id, keyId, row.Name);
    }

    /// <summary>
    /// Changes an agent inside one transaction: <paramref name="change"/> sees the row as it is at that moment, so that two changes at
    /// once are one after the other. Null when there is no such agent.
    /// </summary>
    public Task<AgentRow?> ChangeAsync(ProjectId project, AgentId id, string? keyId, string what, Func<AgentRow, AgentRow> change) =>
        writer.WriteAsync(transaction =>
        {
            transaction.LockDirectory();
            if (transaction.Scalar("update agent set updated_at = $1 where id = $2 and project_id = $3 returning document",
                clock.GetUtcNow().ToUnixTimeMilliseconds(), id.Value, project.Value) is not string)
            {
                return null;
            }
            var present = transaction.Read($"select {Columns} from agent where id = $1", Row, id.Value)!;
            var row = change(present with { Aliases = [.. transaction.Texts("select alias from agent_alias where agent_id = $1 order by alias", id.Value)] });
            transaction.Execute(
                "update agent set name = $1, dialect = $2, document = $3, private_by_default = $4, upstream_url = $5, upstream_headers = $6, only_dialects = $7, media_url = $8, media_secret = $9 where id = $10",
                row.Name, row.Dialect, row.Document, row.PrivateByDefault ? 1 : 0, Url(row.Upstream), Headers(id, row.Upstream), string.Join(' ', row.OnlyDialects), row.Media?.Url, Seal(id, row.Media), id.Value);
            transaction.Execute("delete from agent_alias where agent_id = $1", id.Value);
            InsertAliases(transaction, row);
            Note(transaction, AuditNames.AgentChanged, project, id, keyId, what);
            return row;
        });

    public Task<bool> DeleteAsync(ProjectId project, AgentId id, string? keyId) => writer.WriteAsync(transaction =>
    {
        transaction.LockDirectory();
        if (transaction.Execute("delete from agent where id = $1 and project_id = $2", id.Value, project.Value) == 0)
        {
            return false;
        }
        Note(transaction, AuditNames.AgentDeleted, project, id, keyId, null);
        return true;
    });

    /// <summary>The agent of this id, of whatever project.</summary>
    public AgentRow? Read(AgentId id) => WithTexts(ReadRows($"select {Columns} from agent where id = $1", id.Value)).SingleOrDefault();

    /// <summary>What the project says.</summary>
    public ProjectDefaults ReadDefaults(ProjectId project) => ReadDefaults().FirstOrDefault(one => one.Project == project).Defaults ?? new ProjectDefaults(null, null, null);

    /// <summary>What every project says.</summary>
    public IReadOnlyList<(ProjectId Project, ProjectDefaults Defaults)> ReadDefaults() => database.Query(
        "select id, dialect, default_access, lock_session from project",
        static reader => (new ProjectId(reader.GetString(0)), new ProjectDefaults(reader.Text(1), reader.Text(2), reader.IsDBNull(3) ? null : reader.GetInt64(3) != 0)));

    /// <summary>Sets what the project says; false when there is no such project.</summary>
    public Task<bool> SetDefaultsAsync(ProjectId project, ProjectDefaults defaults) => writer.WriteAsync(transaction =>
    {
        transaction.LockDirectory();
        if (transaction.Execute("update project set dialect = $1, default_access = $2, lock_session = $3 where id = $4",
            defaults.Dialect, defaults.Access, defaults.LockSession is { } all ? all ? 1 : 0 : null, project.Value) == 0)
        {
            return false;
        }
        transaction.Changed(ProjectDefaults.Change, project.Value);
        transaction.Audit(new AuditEvent(clock.GetUtcNow(), AuditNames.ProjectChanged)
        {
            Project = project, Detail = $"dialect {defaults.Dialect ?? "of the settings"}, access {defaults.Access ?? "of the settings"}, sessions {Locking(defaults.LockSession)}",
        });
        return true;
    });

    private static string Locking(bool? all) => all switch { null => "as in the settings", true => "fixed by their mint", false => "open" };

    /// <summary>All agents of all projects.</summary>
    public IEnumerable<AgentRow> ReadAll() => WithTexts(ReadRows($"select {Columns} from agent order by created_at, id"));

    /// <summary>One page, at most <see cref="AgentQuery.Limit"/> rows, each with what it is sorted by.</summary>
    public List<(AgentRow Row, string Sort)> List(AgentQuery query)
    {
        // Both databases fold ASCII alone.
        var like = "%" + string.Concat(query.Search.Select(c => char.IsAscii(c) ? char.ToLowerInvariant(c) : c)).Replace("\\", "\\\\", StringComparison.Ordinal).Replace("%", "\\%", StringComparison.Ordinal).Replace("_", "\\_", StringComparison.Ordinal) + "%";
        List<object> values = [query.Project.Value, like, query.Limit];
        var (sort, calls) = query.Order switch
        {
            AgentOrder.Created => ("created_at", ""),
            AgentOrder.Name => ("name", ""),
            AgentOrder.CallsOfAWeek => ("coalesce(calls, 0)",
                $" left join (select agent_id, count(*) as calls from session where started_at > {Add(clock.GetUtcNow().AddDays(-7).ToUnixTimeMilliseconds())} group by agent_id) as called on called.agent_id = agent.id"),
            _ => throw new ArgumentOutOfRangeException(nameof(query)),
        };
        var (compare, order) = query.Descending ? ("<", "desc") : (">", "asc");
        var after = query.After is not { } last ? ""
            : $" and ({sort}, id) {compare} ({Add(query.Order == AgentOrder.Name ? last.Sort : long.Parse(last.Sort, CultureInfo.InvariantCulture))}, {Add(last.Id)})";
        using var connection = database.Open();
        using var command = Database.Command(connection,
            $"select {Columns}, {sort} from agent{calls} where project_id = $1 and lower(name) like $2 escape '\\'{after} order by {sort} {order}, id {order} limit $3", [.. values]);
        using var reader = command.ExecuteReader();
        var rows = new List<(AgentRow, string)>();
        while (reader.Read())
        {
            rows.Add((Row(reader), Convert.ToString(reader.GetValue(13), CultureInfo.InvariantCulture)!));
        }
        return rows;

        string Add(object value)
        {
            values.Add(value);
            return $"${values.Count}";
        }
    }

    /// <summary>The project's agents, oldest first, and how many there are in all.</summary>
    public (IEnumerable<AgentRow> Rows, long Total) List(ProjectId project, int limit, long offset) => (
        WithTexts(ReadRows($"select {Columns} from agent where project_id = $1 order by created_at, id limit $2 offset $3", project.Value, limit, offset)),
        database.Query("select count(*) from agent where project_id = $1", static reader => reader.GetInt64(0), project.Value)[0]);

    private List<AgentRow> ReadRows(string sql, params ReadOnlySpan<object?> values)
    {
        using var connection = database.Open();
        using var command = Database.Command(connection, sql, values);
        using var reader = command.ExecuteReader();
        var rows = new List<AgentRow>();
        while (reader.Read())
        {
            rows.Add(Row(reader));
        }
        return rows;
    }

    private AgentRow Row(DbDataReader reader)
    {
        var id = new AgentId(reader.GetString(0));
        return new AgentRow(id, new ProjectId(reader.GetString(1)), reader.GetString(2), reader.GetString(3), reader.GetString(4), reader.GetInt64(5) != 0,
            OpenUpstream(id, reader.Text(6), reader.IsDBNull(7) ? null : (byte[])reader.GetValue(7)),
            reader.Time(8), reader.Time(9))
        { OnlyDialects = [.. reader.GetString(10).Split(' ', StringSplitOptions.RemoveEmptyEntries)], Media = OpenMedia(id, reader) };
    }

    private IEnumerable<AgentRow> WithTexts(List<AgentRow> rows)
    {
        if (rows.Count == 0)
        {
            return [];
        }
        var only = rows is [var one] ? one.Id.Value : "";
        var (aliases, domains) = (Texts("agent_alias", "alias", only), Texts("agent_domain", "domain", only));
        return [.. rows.Select(row => row with { Aliases = [.. aliases[row.Id.Value]], Domains = [.. domains[row.Id.Value]] })];
    }

    // Of one agent, or of all.
    [System.Diagnostics.CodeAnalysis.SuppressMessage("Security", "CA2100", Justification = "Names are constants of this class.")]
    private ILookup<string, string> Texts(string table, string column, string agent) => database.Query(
        $"select agent_id, {column} from {table} where $1 = '' or agent_id = $1 order by {column}", static reader => (Agent: reader.GetString(0), Text: reader.GetString(1)), agent)
        .ToLookup(pair => pair.Agent, pair => pair.Text, StringComparer.Ordinal);

    // Unique in the project: the primary key refuses a second agent of the same alias.
    private static void InsertAliases(WriteTransaction transaction, AgentRow row)
    {
        foreach (var alias in row.Aliases)
        {
            transaction.Execute("insert into agent_alias (project_id, alias, agent_id) values ($1, $2, $3)", row.Project.Value, alias, row.Id.Value);
        }
    }

    private byte[]? Seal(AgentId id, MediaServer? media) =>
        media is null ? null : secrets.Seal("media secret " + id, JsonSerializer.SerializeToUtf8Bytes(new[] { media.Key, media.Secret }, JsonSerializerOptions.Strict));

    private MediaServer? OpenMedia(AgentId id, DbDataReader reader) =>
        reader.Text(11) is { } url && JsonSerializer.Deserialize<string[]>(secrets.Open("media secret " + id, (byte[])reader.GetValue(12)), JsonSerializerOptions.Strict) is [var key, var secret]
            ? new MediaServer(url, key, secret) : null;

    // What an upstream is its address says: http(s) is a chat endpoint, ws(s) a relay, none the echo agent.
    private static string? Url(Upstream upstream) => upstream switch { Upstream.Relay relay => relay.Url, Upstream.Chat chat => chat.Url, _ => null };

    private byte[]? Headers(AgentId id, Upstream upstream) => upstream switch
    {
        Upstream.Relay { Headers.Length: > 0 } relay => secrets.Seal("upstream headers " + id, JsonSerializer.SerializeToUtf8Bytes(relay.Headers.Select(h => new[] { h.Key, h.Value }), JsonSerializerOptions.Strict)),
        Upstream.Chat chat => secrets.Seal("upstream chat " + id, JsonSerializer.SerializeToUtf8Bytes(new ChatSecrets(chat.Model, chat.Key, chat.MaxTokens, chat.Temperature), JsonSerializerOptions.Strict)),
        _ => null,
    };

    private Upstream OpenUpstream(AgentId id, string? url, byte[]? box)
    {
        if (url is null)
        {
            return new Upstream.Echo();
        }
        if (!url.StartsWith("http", StringComparison.OrdinalIgnoreCase))
        {
            return new Upstream.Relay(url, box is null ? [] : [.. JsonSerializer.Deserialize<string[][]>(secrets.Open("upstream headers " + id, box), JsonSerializerOptions.Strict)!.Select(h => KeyValuePair.Create(h[0], h[1]))]);
        }
        var chat = JsonSerializer.Deserialize<ChatSecrets>(secrets.Open("upstream chat " + id, box ?? []), JsonSerializerOptions.Strict)!;
        return new Upstream.Chat(url, chat.Model, chat.Key) { MaxTokens = chat.MaxTokens, Temperature = chat.Temperature };
    }

    private sealed record ChatSecrets(string Model, string? Key, int? MaxTokens, double? Temperature);

    private void Note(WriteTransaction transaction, string name, ProjectId project, AgentId id, string? keyId, string? detail)
    {
        transaction.Changed("agent", id.Value);
        transaction.Audit(new AuditEvent(clock.GetUtcNow(), name) { Project = project, Agent = id, Key = keyId, Detail = detail });
    }
}
