using System.Collections.Immutable;
using System.Data.Common;
using System.Text;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Keys;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>A user-token key as stored; its value is sealed.</summary>
/// <param name="Agents">The only agents that its tokens open; empty is all.</param>
/// <param name="LastUsedAt">When a token of it was last accepted.</param>
/// <param name="CutOff">Its tokens issued before are refused.</param>
internal sealed record UserTokenKeyRow(
    string Id, ProjectId Project, string Name, string Value, ImmutableArray<AgentId> Agents, bool SignerEncodesJson,
    DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt, DateTimeOffset? LastUsedAt, DateTimeOffset? CutOff)
{
    /// <summary>The key as the directory holds it.</summary>
    public UserTokenKey Key => new(Id, Project, Name, Encoding.UTF8.GetBytes(Value), Agents) { SignerEncodesJson = SignerEncodesJson, CutOff = CutOff };

    /// <summary>The value never reaches a log.</summary>
    public override string ToString() => $"user-token key {Id}";
}

/// <summary>User-token keys and cut-offs in SQL. Every change carries its audit row and its change number.</summary>
internal sealed class UserTokenKeyStore(Database database, GroupedWriter writer, SecretBox secrets, TimeProvider clock)
{
    /// <summary>The kind of change that a cut-off of a user is; its id is project and subject, neither of which holds a line feed.</summary>
    public const string CutOffChange = "user_cut_off";
    /// <summary>The kind of change of a key.</summary>
    public const string KeyChange = "user_token_key";

    private const string Columns = "id, project_id, name, sealed, agents, signer_encodes_json, created_at, updated_at, last_used_at, cut_off";

    /// <summary>Stores a key.</summary>
    /// <param name="project">Its project.</param>
    /// <param name="name">For people.</param>
    /// <param name="value">The secret, made or judged before.</param>
    /// <param name="agents">The only agents that its tokens open; empty is all.</param>
    /// <param name="encodes">Whether its signer encodes JSON.</param>
    /// <param name="keyId">The API key that asks; null is an operator.</param>
    public async Task<UserTokenKeyRow> CreateAsync(ProjectId project, string name, string value, ImmutableArray<AgentId> agents, bool encodes, string? keyId)
    {
        var now = DateTimeOffset.FromUnixTimeMilliseconds(clock.GetUtcNow().ToUnixTimeMilliseconds());
        var row = new UserTokenKeyRow(RandomText.Uuid(), project, name, value, agents, encodes, now, now, null, null);
        await AddAsync(row, keyId);
        return row;
    }

    /// <summary>Stores a key as it is.</summary>
    public Task AddAsync(UserTokenKeyRow row, string? keyId) => writer.WriteAsync(transaction =>
    {
        transaction.LockDirectory();
        transaction.Execute($"insert into user_token_key ({Columns}) values ($1, $2, $3, $4, $5, $6, $7, $8, null, null)",
            row.Id, row.Project.Value, row.Name, secrets.Seal(Box(row.Project, row.Id), Encoding.UTF8.GetBytes(row.Value)), string.Join(' ', row.Agents),
            row.SignerEncodesJson ? 1 : 0, row.CreatedAt.ToUnixTimeMilliseconds(), row.UpdatedAt.ToUnixTimeMilliseconds());
        Note(transaction, AuditNames.UserTokenKeyCreated, row, keyId);
    });

    /// <summary>Changes a key's name, scope or switch inside one transaction; null when the project has no such key.</summary>
    public Task<UserTokenKeyRow?> ChangeAsync(ProjectId project, string id, string? keyId, Func<UserTokenKeyRow, UserTokenKeyRow> change) => writer.WriteAsync(transaction =>
    {
        transaction.LockDirectory();
        if (transaction.Read($"select {Columns} from user_token_key where id = $1 and project_id = $2", Row, id, project.Value) is not { } present)
        {
            return null;
        }
        var row = change(present) with { UpdatedAt = clock.GetUtcNow() };
        transaction.Execute("update user_token_key set name = $1, agents = $2, signer_encodes_json = $3, updated_at = $4 where id = $5",
            row.Name, string.Join(' ', row.Agents), row.SignerEncodesJson ? 1 : 0, row.UpdatedAt.ToUnixTimeMilliseconds(), id);
        Note(transaction, AuditNames.UserTokenKeyChanged, row, keyId);
        return row;
    });

    /// <summary>Deletes a key; false when the project has no such key.</summary>
    public Task<bool> DeleteAsync(ProjectId project, string id, string? keyId) => writer.WriteAsync(transaction =>
    {
        transaction.LockDirectory();
        if (transaction.Execute("delete from user_token_key where id = $1 and project_id = $2", id, project.Value) == 0)
        {
            return false;
        }
        transaction.Changed(KeyChange, id);
        transaction.Audit(new AuditEvent(clock.GetUtcNow(), AuditNames.UserTokenKeyDeleted) { Project = project, Key = keyId, Detail = id });
        return true;
    });

    /// <summary>Refuses the tokens of a key that were issued before now; null when the project has no such key.</summary>
    public Task<UserTokenKeyRow?> CutOffKeyAsync(ProjectId project, string id, bool lift, string? keyId) => writer.WriteAsync(transaction =>
    {
        transaction.LockDirectory();
        if (transaction.Read($"select {Columns} from user_token_key where id = $1 and project_id = $2", Row, id, project.Value) is not { } row)
        {
            return null;
        }
        var now = clock.GetUtcNow();
        transaction.Execute("update user_token_key set cut_off = $1 where id = $2", lift ? null : now.ToUnixTimeMilliseconds(), id);
        transaction.Changed(KeyChange, id);
        transaction.Audit(new AuditEvent(now, lift ? AuditNames.UserTokenCutOffLifted : AuditNames.UserTokenCutOff) { Project = project, Key = keyId, Detail = id });
        return row with { CutOff = lift ? null : now };
    });

    /// <summary>Refuses the tokens of a user that were issued before now, or lifts that; when.</summary>
    public Task<DateTimeOffset> CutOffUserAsync(ProjectId project, string subject, bool lift, string? keyId) => writer.WriteAsync(transaction =>
    {
        transaction.LockDirectory();
        var now = clock.GetUtcNow();
        if (lift)
        {
            transaction.Execute("delete from user_cut_off where project_id = $1 and subject = $2", project.Value, subject);
        }
        else
        {
            transaction.Execute("insert into user_cut_off (project_id, subject, at) values ($1, $2, $3) on conflict (project_id, subject) do update set at = excluded.at",
                project.Value, subject, now.ToUnixTimeMilliseconds());
        }
        transaction.Changed(CutOffChange, $"{project.Value}\n{subject}");
        transaction.Audit(new AuditEvent(now, lift ? AuditNames.UserTokenCutOffLifted : AuditNames.UserTokenCutOff) { Project = project, Key = keyId, Subject = subject });
        return now;
    });

    /// <summary>All keys of all projects, or the one of this id.</summary>
    public List<UserTokenKeyRow> ReadAll(string? id = null) =>
        Rows($"select {Columns} from user_token_key where $1 = '' or id = $1", Row, id ?? "");

    /// <summary>A project's key of this id.</summary>
    public UserTokenKeyRow? Read(ProjectId project, string id) => ReadAll(id).Find(row => row.Project == project);

    /// <summary>One page of a project's keys, the newest first, and how many there are.</summary>
    public (List<UserTokenKeyRow> Rows, int Total) List(ProjectId project, int limit, long offset) => (
        Rows($"select {Columns} from user_token_key where project_id = $1 order by created_at desc, id desc limit $2 offset $3", Row, project.Value, limit, offset),
        Rows("select count(*) from user_token_key where project_id = $1", static reader => reader.GetInt32(0), project.Value)[0]);

    /// <summary>All users' cut-offs, or the one that a change names.</summary>
    public List<(ProjectId Project, string Subject, DateTimeOffset At)> ReadCutOffs(string? change = null)
    {
        var (project, subject) = change is null ? ("", "") : (change[..change.IndexOf('\n', StringComparison.Ordinal)], change[(change.IndexOf('\n', StringComparison.Ordinal) + 1)..]);
        return Rows("select project_id, subject, at from user_cut_off where $1 = '' or (project_id = $1 and subject = $2)",
            static reader => (new ProjectId(reader.GetString(0)), reader.GetString(1), reader.Time(2)), project, subject);
    }

    /// <summary>Writes when keys were last used, inside a group's transaction; always in one order, so that no two nodes wait for each other.</summary>
    public Task UsedAsync(IEnumerable<KeyValuePair<string, long>> keys) => writer.WriteAsync(transaction =>
    {
        foreach (var (id, at) in keys.OrderBy(key => key.Key, StringComparer.Ordinal))
        {
            transaction.Execute("update user_token_key set last_used_at = $1 where id = $2 and coalesce(last_used_at, 0) < $1", at, id);
        }
    });

    private List<T> Rows<T>(string sql, Func<DbDataReader, T> row, params ReadOnlySpan<object?> values)
    {
        using var connection = database.Open();
        using var command = Database.Command(connection, sql, values);
        using var reader = command.ExecuteReader();
        var rows = new List<T>();
        while (reader.Read())
        {
            rows.Add(row(reader));
        }
        return rows;
    }

    private UserTokenKeyRow Row(DbDataReader reader)
    {
        var (id, project) = (reader.GetString(0), new ProjectId(reader.GetString(1)));
        return new UserTokenKeyRow(id, project, reader.GetString(2), Encoding.UTF8.GetString(secrets.Open(Box(project, id), (byte[])reader.GetValue(3))),
            [.. reader.GetString(4).Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(agent => new AgentId(agent))], reader.GetInt32(5) != 0,
            reader.Time(6), reader.Time(7), reader.IsDBNull(8) ? null : reader.Time(8), reader.IsDBNull(9) ? null : reader.Time(9));
    }

    // Sealed for its project and its kid: moved to another row it does not open.
    private static string Box(ProjectId project, string id) => $"user-token key {project.Value} {id}";

    private static void Note(WriteTransaction transaction, string name, UserTokenKeyRow row, string? keyId)
    {
        transaction.Changed(KeyChange, row.Id);
        transaction.Audit(new AuditEvent(row.UpdatedAt, name)
        {
            Project = row.Project, Key = keyId,
            Detail = $"{row.Id}, agents: {(row.Agents.IsEmpty ? "all" : string.Join(", ", row.Agents))}{(row.SignerEncodesJson ? ", signer encodes JSON" : "")}",
        });
    }
}
