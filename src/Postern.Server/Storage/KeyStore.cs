using System.Collections.Immutable;
using System.Data.Common;
using System.Security.Cryptography;
using Postern.Core;
using Postern.Core.Audit;
using Postern.Core.Keys;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>Projects, API keys and signing keys in SQL. Every change carries its audit row and its change number.</summary>
internal sealed class KeyStore(Database database, GroupedWriter writer, SecretBox secrets, TimeProvider clock)
{
    /// <summary>Whether there is such a project.</summary>
    public bool HasProject(ProjectId project)
    {
        using var connection = database.Open();
        using var command = Database.Command(connection, "select 1 from project where id = $1", project.Value);
        return command.ExecuteScalar() is not null;
    }

    /// <summary>Makes a project; false when there is one of this id.</summary>
    public Task<bool> CreateProjectAsync(ProjectId project)
    {
        var now = clock.GetUtcNow();
        return writer.WriteAsync(transaction =>
        {
            transaction.LockDirectory();
            if (transaction.Execute("insert into project (id, name, created_at) values ($1, $1, $2) on conflict (id) do nothing", project.Value, now.ToUnixTimeMilliseconds()) == 0)
            {
                return false;
            }
            transaction.Changed(ProjectDefaults.Change, project.Value); // what the settings say holds for it from its first mint on
            transaction.Audit(new AuditEvent(now, AuditNames.ProjectCreated) { Project = project });
            return true;
        });
    }

    /// <summary>All projects and when each was made.</summary>
    public List<(ProjectId Id, DateTimeOffset CreatedAt)> ReadProjects()
    {
        using var connection = database.Open();
        using var command = Database.Command(connection, "select id, created_at from project order by created_at, id");
        using var reader = command.ExecuteReader();
        var projects = new List<(ProjectId, DateTimeOffset)>();
        while (reader.Read())
        {
            projects.Add((new ProjectId(reader.GetString(0)), reader.Time(1)));
        }
        return projects;
    }

    /// <summary>Stores a key for <paramref name="text"/>, of which only the hash is kept.</summary>
    public async Task<ApiKey> CreateApiKeyAsync(ProjectId project, string name, string text, Scopes scopes)
    {
        var key = NewApiKey(project, name, text, scopes);
        await writer.WriteAsync(transaction => Insert(transaction, key));
        return key;
    }

    /// <summary>
    /// Creates the project, its key, the signing key and <paramref name="more"/> in one transaction, unless another start has: then
    /// false. The counter's row keeps two first starts apart.
    /// </summary>
    public Task<bool> FirstStartAsync(ProjectId project, string keyText, Action<WriteTransaction, ApiKey> more) => writer.WriteAsync(transaction =>
    {
        transaction.LockDirectory();
        if (transaction.Scalar("select 1 from signing_key limit 1") is not null)
        {
            return false;
        }
        transaction.Execute("insert into project (id, name, created_at) values ($1, $2, $3)", project.Value, project.Value, clock.GetUtcNow().ToUnixTimeMilliseconds());
        var key = NewApiKey(project, "first key", keyText, Scopes.All);
        Insert(transaction, key);
        InsertSigningKey(transaction, RandomText.Base62(12));
        more(transaction, key);
        return true;
    });

    /// <summary>Revokes a key by id; false when there is no live one of this id.</summary>
    public Task<bool> RevokeApiKeyAsync(string id)
    {
        var now = clock.GetUtcNow();
        return writer.WriteAsync(transaction =>
        {
            transaction.LockDirectory();
            if (transaction.Execute("update api_key set revoked_at = $1 where id = $2 and revoked_at is null", now.ToUnixTimeMilliseconds(), id) == 0)
            {
                return false;
            }
            transaction.Changed("key", id);
            transaction.Audit(new AuditEvent(now, AuditNames.KeyRevoked) { Key = id });
            return true;
        });
    }

    /// <summary>All keys, or the one of this id.</summary>
    public List<ApiKey> ReadApiKeys(string? id = null)
    {
        using var connection = database.Open();
        using var command = Database.Command(connection,
            "select id, project_id, name, prefix, hash, scopes, created_at, revoked_at from api_key where $1 = '' or id = $1 order by created_at, id", id ?? "");
        using var reader = command.ExecuteReader();
        var keys = new List<ApiKey>();
        while (reader.Read())
        {
            keys.Add(new ApiKey(reader.GetString(0), new ProjectId(reader.GetString(1)), reader.GetString(2), reader.GetString(3),
                (byte[])reader.GetValue(4), (Scopes)reader.GetInt32(5), reader.Time(6), reader.IsDBNull(7) ? null : reader.Time(7)));
        }
        return keys;
    }

    /// <summary>Makes a new active signing key; every former one verifies for <paramref name="verifiesFor"/> more at most.</summary>
    public async Task<string> RotateSigningKeyAsync(TimeSpan verifiesFor)
    {
        var now = clock.GetUtcNow();
        var id = RandomText.Base62(12);
        await writer.WriteAsync(transaction =>
        {
            transaction.LockDirectory(); // two rotations at once would leave two active keys
            transaction.Execute("update signing_key set state = 'retired' where state = 'retiring' and verifies_until <= $1", now.ToUnixTimeMilliseconds());
            transaction.Execute("update signing_key set state = 'retiring', verifies_until = $1 where state = 'active' or (state = 'retiring' and verifies_until > $1)", (now + verifiesFor).ToUnixTimeMilliseconds());
            InsertSigningKey(transaction, id);
        });
        return id;
    }

    /// <summary>The key ring; null before the first key was made.</summary>
    public KeyRing? ReadRing()
    {
        using var connection = database.Open();
        using var command = Database.Command(connection, "select id, sealed, state, verifies_until from signing_key where state <> 'retired' order by created_at desc");
        using var reader = command.ExecuteReader();
        var keys = ImmutableArray.CreateBuilder<SigningKey>();
        while (reader.Read())
        {
            var id = reader.GetString(0);
            keys.Add(new SigningKey(id, secrets.Open("signing key " + id, (byte[])reader.GetValue(1)),
                reader.GetString(2) == "active" ? SigningKeyState.Active : SigningKeyState.Retiring, reader.IsDBNull(3) ? null : reader.Time(3)));
        }
        return keys.Count == 0 ? null : new KeyRing(keys.ToImmutable());
    }

    private ApiKey NewApiKey(ProjectId project, string name, string text, Scopes scopes) =>
        new("key_" + RandomText.Base62(RandomText.IdLength), project, name, ApiKeyText.Shown(text), ApiKeyText.Hash(text), scopes, clock.GetUtcNow(), null);

    private static void Insert(WriteTransaction transaction, ApiKey key)
    {
        transaction.Execute("insert into api_key (id, project_id, name, prefix, hash, scopes, created_at) values ($1, $2, $3, $4, $5, $6, $7)",
            key.Id, key.Project.Value, key.Name, key.Prefix, key.Hash, (int)key.Scopes, key.CreatedAt.ToUnixTimeMilliseconds());
        transaction.Changed("key", key.Id);
        transaction.Audit(new AuditEvent(key.CreatedAt, AuditNames.KeyCreated) { Project = key.Project, Key = key.Id, Detail = string.Join(", ", ApiKey.Names(key.Scopes)) });
    }

    private void InsertSigningKey(WriteTransaction transaction, string id)
    {
        var now = clock.GetUtcNow();
        transaction.Execute("insert into signing_key (id, sealed, state, created_at) values ($1, $2, 'active', $3)",
            id, secrets.Seal("signing key " + id, RandomNumberGenerator.GetBytes(SigningKey.ShortestSecret)), now.ToUnixTimeMilliseconds());
        transaction.Changed("signing_key", id);
        transaction.Audit(new AuditEvent(now, AuditNames.SigningKeyRotated) { Key = id });
    }
}

internal static class ReaderExtensions
{
    /// <summary>A column of milliseconds as a time.</summary>
    public static DateTimeOffset Time(this DbDataReader reader, int column) => DateTimeOffset.FromUnixTimeMilliseconds(reader.GetInt64(column));

    /// <summary>A text column that may be null.</summary>
    public static string? Text(this DbDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);

    /// <summary>A number column that may be null.</summary>
    public static int? Number(this DbDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetInt32(column);
}
