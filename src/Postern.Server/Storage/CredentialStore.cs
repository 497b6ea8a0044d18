using System.Data.Common;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Credentials;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>
/// The credentials that the ledger must know: opaque ones, with their hash, and the values that were fixed for others. Signed ones have
/// only their audit row, which holds the grant.
/// </summary>
internal sealed class CredentialStore(Database database, SecretBox secrets)
{
    private const int LongestDays = 2; // no kind lives for so long
    private const int BucketLength = 5; // of an id's first characters, which tell its time: of some four minutes

    private const string Columns =
        """
        select c.id, c.project_id, c.agent_id, c.kind, c.subject, c.key_id, c.minted_at, c.start_by, c.uses, c.max_duration, c.origins, exists (select 1 from fixed_values where credential_id = c.id),
            coalesce(c.revoked_at, k.revoked_at, r.at), coalesce(d.uses, 0)
        from credential c
            left join api_key k on k.id = c.key_id
            left join revocation r on r.credential_id = c.id
            left join redemption d on d.credential_id = c.id
        """;

    private const int MostRecent = 4096;
    private const int LargestRecent = 1024; // bytes

    // What the last mints here have fixed, sealed: most of it is asked for within seconds. A place's next one takes its place.
    private readonly Recent?[] recent = new Recent?[MostRecent];
    private volatile Bucket? latest;

    /// <summary>Adds what is kept of a credential and its audit row to a transaction.</summary>
    /// <param name="hash">Of an opaque one; null of a signed one.</param>
    /// <param name="values">The fixed values as <see cref="Seal"/> has them.</param>
    public static void Insert(WriteTransaction transaction, Credential credential, string keyId, byte[]? hash, byte[]? values, AuditEvent entry)
    {
        var grant = credential.Grant;
        if (hash is not null)
        {
            transaction.Execute(
                """
                insert into credential (id, project_id, agent_id, kind, subject, key_id, hash, minted_at, start_by, uses, max_duration, origins)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                """,
                credential.Id.Value, grant.Project.Value, grant.Agent?.Value, credential.Kind.ToString(), grant.Subject, keyId, hash,
                entry.At.ToUnixTimeMilliseconds(), grant.StartBy.ToUnixTimeMilliseconds(), grant.Uses, (long?)grant.MaxDuration?.TotalMilliseconds,
                string.Join(' ', grant.Origins));
        }
        if (values is not null)
        {
            transaction.Execute("insert into fixed_values (credential_id, sealed, until) values ($1, $2, $3)", credential.Id.Value, values, entry.At.AddDays(LongestDays).ToUnixTimeMilliseconds());
        }
        transaction.Audit(entry);
    }

    /// <summary>The opaque credential of this id and hash.</summary>
    public StoredCredential? Find(CredentialId id, byte[] hash) => ReadOne(Columns + " where c.id = $1 and c.hash = $2", Row, id.Value, hash);

    /// <summary>The credential of this id: its row, or else what its audit row tells.</summary>
    public StoredCredential? Find(ProjectId project, CredentialId id) =>
        ReadOne(Columns + " where c.id = $1 and c.project_id = $2", Row, id.Value, project.Value) is { } kept
            ? kept with { Grant = kept.Grant with { ConversationId = ReadOne("select session_id from audit where credential_id = $1 and name = $2", static reader => reader.Text(0), id.Value, AuditNames.CredentialMinted) } }
        : ReadOne(
            """
            select a.at, a.key_id, a.agent_id, a.subject, a.session_id, a.detail, r.at, coalesce(d.uses, 0)
            from audit a left join revocation r on r.credential_id = a.credential_id left join redemption d on d.credential_id = a.credential_id
            where a.credential_id = $1 and a.project_id = $2 and a.name = $3
            """,
            reader => GrantText.Read(reader.GetString(5), project, new AgentId(reader.GetString(2)), reader.Text(3), reader.Text(4)) is { } read
                ? new StoredCredential(id, read.Kind, read.Grant, reader.Text(1), reader.Time(0), reader.IsDBNull(6) ? null : reader.Time(6), reader.GetInt32(7))
                : null,
            id.Value, project.Value, AuditNames.CredentialMinted);

    /// <summary>What was fixed for a credential.</summary>
    public FixedValues ReadFixed(CredentialId id) =>
        (recent[Place(id)] is { } near && near.Id == id ? near.Sealed
            : ReadOne("select sealed from fixed_values where credential_id = $1", static reader => (byte[])reader.GetValue(0), id.Value)) is { } found
        ? Open(id, found) : FixedValues.None;

    /// <summary>How long the sessions of a credential have lasted. One that nobody has ended lasts at most until its own end.</summary>
    public TimeSpan ReadSpent(CredentialId id, DateTimeOffset now)
    {
        var milliseconds = database.Query(
            "select coalesce(sum(coalesce(ended_at, case when end_by < $1 then end_by else $1 end) - started_at), 0) from session where credential_id = $2",
            static reader => Convert.ToInt64(reader.GetValue(0), System.Globalization.CultureInfo.InvariantCulture), now.ToUnixTimeMilliseconds(), id.Value)[0];
        return TimeSpan.FromMilliseconds(milliseconds);
    }

    /// <summary>Revocations that still matter at <paramref name="now"/>, or the one of this id.</summary>
    public List<(CredentialId Id, DateTimeOffset Until)> ReadRevocations(DateTimeOffset now, string? id = null)
    {
        using var connection = database.Open();
        using var command = Database.Command(connection, "select credential_id, until from revocation where until > $1 and ($2 = '' or credential_id = $2)", now.ToUnixTimeMilliseconds(), id ?? "");
        using var reader = command.ExecuteReader();
        var found = new List<(CredentialId, DateTimeOffset)>();
        while (reader.Read())
        {
            found.Add((new CredentialId(reader.GetString(0)), reader.Time(1)));
        }
        return found;
    }

    /// <summary>False when the credential is expired or revoked by now: then nothing is changed.</summary>
    public static bool Extend(WriteTransaction transaction, CredentialId id, DateTimeOffset startBy, AuditEvent entry)
    {
        transaction.LockDirectory();
        var changed = transaction.Execute("update credential set start_by = $1 where id = $2 and revoked_at is null and start_by > $3",
            startBy.ToUnixTimeMilliseconds(), id.Value, entry.At.ToUnixTimeMilliseconds()) == 1;
        if (changed)
        {
            transaction.Audit(entry);
        }
        return changed;
    }

    /// <summary>Refuses a credential from now on. Kept until the longest-lived kind would have expired.</summary>
    public static void Revoke(WriteTransaction transaction, CredentialId id, AuditEvent entry)
    {
        var now = entry.At.ToUnixTimeMilliseconds();
        transaction.LockDirectory();
        transaction.Execute("update credential set revoked_at = $1 where id = $2 and revoked_at is null", now, id.Value);
        if (transaction.Execute("insert into revocation (credential_id, at, until) values ($1, $2, $3) on conflict (credential_id) do nothing",
            id.Value, now, entry.At.AddDays(LongestDays).ToUnixTimeMilliseconds()) == 1)
        {
            transaction.Changed("revocation", id.Value);
        }
        transaction.Audit(entry);
    }

    /// <summary>Why an opaque credential opens nothing at this moment, null when it does.</summary>
    public static DenialReason? WhyDead(WriteTransaction transaction, CredentialId id, long now) =>
        transaction.Scalar("select case when revoked_at is not null then 'r' when start_by <= $1 then 'e' else '' end from credential where id = $2", now, id.Value) switch
        {
            "" => null,
            "e" => DenialReason.Expired,
            _ => DenialReason.Revoked,
        };

    private T? ReadOne<T>(string sql, Func<DbDataReader, T?> row, params ReadOnlySpan<object?> values) where T : class => database.Query(sql, row, values).FirstOrDefault();

    private static StoredCredential Row(DbDataReader reader) => new(
        new CredentialId(reader.GetString(0)), Enum.Parse<CredentialKind>(reader.GetString(3)),
        new Grant(new ProjectId(reader.GetString(1)), reader.Text(2) is { } agent ? new AgentId(agent) : null, reader.Text(4), reader.Time(7),
            reader.IsDBNull(8) ? null : reader.GetInt32(8), reader.IsDBNull(9) ? null : TimeSpan.FromMilliseconds(reader.GetInt64(9)),
            [.. reader.GetString(10).Split(' ', StringSplitOptions.RemoveEmptyEntries)], null)
        { HasFixed = reader.GetBoolean(11) },
        reader.GetString(5), reader.Time(6), reader.IsDBNull(12) ? null : reader.Time(12), reader.GetInt32(13));

    /// <summary>Fixed values as a row keeps them; null for none.</summary>
    public byte[]? Seal(CredentialId id, FixedValues values)
    {
        if (values.IsEmpty)
        {
            return null;
        }
        var box = BoxOf(id).Seal(id.Value, JsonText.Object(json =>
        {
            Write(json, "variables"u8, values.Variables);
            Write(json, "fields"u8, values.Fields);
            Write(json, "defaults"u8, values.Defaults);
        }));
        if (box.Length <= LargestRecent)
        {
            recent[Place(id)] = new Recent(id, box); // should its row not be committed, nobody gets the credential
        }
        return box;
    }

    private static int Place(CredentialId id) => (int)((uint)id.GetHashCode() % MostRecent);

    // A key for each would cost a mint more than all else; of one key for all the nonces would meet (SecretBox.For).
    private SecretBox BoxOf(CredentialId id)
    {
        var time = id.Value[..BucketLength];
        var bucket = latest;
        if (bucket?.Time != time)
        {
            latest = bucket = new Bucket(time, secrets.For("fixed values\n" + time));
        }
        return bucket.Box;
    }

    private sealed record Recent(CredentialId Id, byte[] Sealed);

    private sealed record Bucket(string Time, SecretBox Box);

    private static void Write(Utf8JsonWriter json, ReadOnlySpan<byte> name, IReadOnlyDictionary<string, JsonElement> members)
    {
        if (members.Count > 0)
        {
            json.WriteStartObject(name);
            foreach (var (member, value) in members)
            {
                json.WritePropertyName(member);
                value.WriteTo(json);
            }
            json.WriteEndObject();
        }
    }

    private FixedValues Open(CredentialId id, byte[] sealedValues)
    {
        var said = JsonElement.Parse(BoxOf(id).Open(id.Value, sealedValues), StrictJson.Document with { MaxDepth = 128 }); // they stand deeper here than where they were read
        return new FixedValues(Members("variables"), Members("fields")) { Defaults = Members("defaults") };

        Dictionary<string, JsonElement> Members(string name) =>
            said.TryGetProperty(name, out var members) ? members.EnumerateObject().ToDictionary(member => member.Name, member => member.Value, StringComparer.Ordinal) : [];
    }
}
