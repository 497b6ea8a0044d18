using System.Data.Common;
using System.Globalization;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Conversations;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>
/// What is remembered of end users, per (project, agent, subject) and sealed. How much one user's memory may hold is limited, by records
/// and by bytes; what does not fit is refused and nothing of before is lost.
/// </summary>
internal sealed class MemoryStore(Database database, GroupedWriter writer, SecretBox secrets, MemoryOptions limits)
{
    private const string Columns = "id, project_id, agent_id, subject, sealed, created_at, updated_at";
    private const string ByOwner = "project_id = $1 and agent_id = $2 and subject = $3";

    /// <summary>All that is remembered of this user, the newest first.</summary>
    public List<MemoryRecord> Read(Owner owner) => owner.IsAnonymous ? [] : database.Query(
        Sight.Of(owner), $"select {Columns} from memory where {ByOwner} order by updated_at desc, id", Row, owner.Project.Value, owner.Agent.Value, owner.Subject);

    /// <summary>One page, the last changed first, and how many there are in all.</summary>
    public (List<MemoryRecord> Records, long Total) List(MemoryQuery query)
    {
        var (sight, values) = (query.Subject is null ? Sight.OfProject(query.Project) : Sight.Of(query.Project, query.Subject), new List<object?> { query.Project.Value, query.Agent.Value });
        var where = "project_id = $1 and agent_id = $2";
        foreach (var (condition, value) in new (string, object?)[]
        {
            ("subject =", query.Subject), ("kind =", query.Kind), ("updated_at >=", query.From?.ToUnixTimeMilliseconds()), ("updated_at <", query.Before?.ToUnixTimeMilliseconds()),
        })
        {
            if (value is not null)
            {
                values.Add(value);
                where += string.Create(CultureInfo.InvariantCulture, $" and {condition} ${values.Count}");
            }
        }
        var total = database.Query(sight, $"select count(*) from memory where {where}", static reader => reader.GetInt64(0), [.. values])[0];
        values.AddRange([query.Limit, query.Offset]);
        return (database.Query(sight, string.Create(CultureInfo.InvariantCulture, $"select {Columns} from memory where {where} order by updated_at desc, id limit ${values.Count - 1} offset ${values.Count}"),
            Row, [.. values]), total);
    }

    /// <summary>All that any agent of the project remembers of this user.</summary>
    public List<MemoryRecord> ReadAll(ProjectId project, string subject) => database.Query(
        Sight.Of(project, subject), $"select {Columns} from memory where project_id = $1 and subject = $2 order by created_at, id", Row, project.Value, subject);

    /// <summary>What of this user's memory has most to do with what is looked for, the nearest first. Their limit keeps it in memory.</summary>
    public List<MemoryRecord> Search(Owner owner, MemorySearch search) =>
        [.. Read(owner).Where(search.Admits).Select(record => (Record: record, Hits: search.Hits(record))).Where(found => found.Hits > 0)
            .OrderByDescending(found => found.Hits).Take(search.Limit).Select(found => found.Record)];

    /// <summary>The record of this id: of this subject alone unless that is null.</summary>
    public MemoryRecord? Find(ProjectId project, AgentId agent, string? subject, string id) => database.Query(
        subject is null ? Sight.OfProject(project) : Sight.Of(project, subject), $"select {Columns} from memory where id = $1 and project_id = $2 and agent_id = $3 and ($4 = 0 or subject = $5)",
        Row, id, project.Value, agent.Value, subject is null ? 0 : 1, subject ?? "").SingleOrDefault();

    /// <summary>Remembers something more; RequestInvalid, with a sentence, when it is too much or the project keeps nothing.</summary>
    public Task<Decision<MemoryRecord>> AddAsync(Owner owner, MemoryDraft draft, DateTimeOffset now)
    {
        var record = new MemoryRecord("mem_" + RandomText.Base62(RandomText.IdLength), owner, draft, now, now);
        var text = Seal(record);
        return writer.WriteAsync<Decision<MemoryRecord>>(transaction =>
        {
            if (Grow(transaction, owner, 1, text.Length) is { } denial)
            {
                return denial;
            }
            transaction.Execute("insert into memory (id, project_id, agent_id, subject, kind, sealed, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $7)",
                record.Id, owner.Project.Value, owner.Agent.Value, owner.Subject, record.Kind, text, now.ToUnixTimeMilliseconds());
            return record;
        }, LockName(owner));
    }

    /// <summary>Remembers this in a record's place. Null when the record is there no more.</summary>
    public Task<Decision<MemoryRecord>?> ChangeAsync(MemoryRecord record, MemoryDraft draft, DateTimeOffset now)
    {
        var changed = record with { Content = draft, UpdatedAt = now };
        var text = Seal(changed);
        return writer.WriteAsync<Decision<MemoryRecord>?>(transaction =>
        {
            var (owner, size) = (record.Owner, transaction.Scalar("select length(sealed) from memory where id = $1", record.Id));
            if (size is null)
            {
                return null;
            }
            if (Grow(transaction, owner, 0, text.Length - Convert.ToInt64(size, CultureInfo.InvariantCulture)) is { } denial)
            {
                return (Decision<MemoryRecord>)denial;
            }
            transaction.Execute("update memory set kind = $1, sealed = $2, updated_at = $3 where id = $4", changed.Kind, text, now.ToUnixTimeMilliseconds(), record.Id);
            return (Decision<MemoryRecord>)changed;
        }, LockName(record.Owner));
    }

    /// <summary>Forgets a record; false when it is there no more.</summary>
    public async Task<bool> DeleteAsync(MemoryRecord record, string? keyId, DateTimeOffset now)
    {
        var owner = record.Owner;
        var deleted = await writer.WriteAsync(transaction =>
        {
            if (transaction.Scalar("delete from memory where id = $1 returning length(sealed)", record.Id) is not { } size)
            {
                return false;
            }
            transaction.Execute($"update memory_size set records = records - 1, bytes = bytes - $4 where {ByOwner}", owner.Project.Value, owner.Agent.Value, owner.Subject, Convert.ToInt64(size, CultureInfo.InvariantCulture));
            transaction.Audit(new AuditEvent(now, AuditNames.MemoryDeleted) { Project = owner.Project, Agent = owner.Agent, Key = keyId, Subject = owner.Subject, Detail = record.Id });
            return true;
        }, LockName(owner));
        database.ForgetErased();
        return deleted;
    }

    // The row's lock is held to the commit: of two writers the second sees what the first has added.
    private Denial? Grow(WriteTransaction transaction, Owner owner, int records, long bytes)
    {
        if (owner.IsAnonymous)
        {
            return new Denial(DenialReason.RequestInvalid, "Only a user whom a user token names is remembered.");
        }
        if (transaction.Scalar("select 1 from project where id = $1 and retention_days = 0", owner.Project.Value) is not null)
        {
            return new Denial(DenialReason.RequestInvalid, "Nothing is remembered, as the project's maxRetentionDays is 0.");
        }
        transaction.Execute("insert into memory_size (project_id, agent_id, subject, records, bytes) values ($1, $2, $3, 0, 0) on conflict (project_id, agent_id, subject) do nothing",
            owner.Project.Value, owner.Agent.Value, owner.Subject);
        return transaction.Execute($"update memory_size set records = records + $4, bytes = bytes + $5 where {ByOwner} and (($4 <= 0 or records + $4 <= $6) and ($5 <= 0 or bytes + $5 <= $7))",
            owner.Project.Value, owner.Agent.Value, owner.Subject, records, bytes, limits.MaxRecords, limits.MaxBytes) > 0
            ? null
            : new Denial(DenialReason.RequestInvalid,
                $"This user's memory is full. It holds at most {limits.MaxRecords} records and {limits.MaxBytes} bytes. Delete something first; nothing was lost.");
    }

    private byte[] Seal(MemoryRecord record) => Box(record.Owner).Seal(record.Id, JsonSerializer.SerializeToUtf8Bytes(record.Content, JsonSerializerOptions.Strict));

    private MemoryRecord Row(DbDataReader reader)
    {
        var (id, owner) = (reader.GetString(0), new Owner(new ProjectId(reader.GetString(1)), new AgentId(reader.GetString(2)), reader.GetString(3)));
        var draft = JsonSerializer.Deserialize<MemoryDraft>(Box(owner).Open(id, (byte[])reader.GetValue(4)), JsonSerializerOptions.Strict)!;
        return new MemoryRecord(id, owner, draft, reader.Time(5), reader.Time(6));
    }

    private SecretBox Box(Owner owner) => secrets.For($"memory\n{owner.Project}\n{owner.Agent}\n{owner.Subject}");

    private static string LockName(Owner owner) => $"memory {owner.Project} {owner.Agent} {owner.Subject}";
}
