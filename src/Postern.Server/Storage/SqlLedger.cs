using Postern.Core;
using Postern.Core.Audit;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Core.Sessions;

namespace Postern.Server.Storage;

/// <summary>The ledger over SQL: each change is a job of the grouped writer, reads are <see cref="CredentialStore"/>'s.</summary>
internal sealed class SqlLedger(
    GroupedWriter writer, CredentialStore credentials, RefusalCount refusals, string node, int publicSessionsPerAddress = int.MaxValue) : ILedger
{
    private const long MillisecondsPerDay = 86_400_000;

    // What a killed node has left open counts until the others find it dead; this node is not.
    private const string Live = "ended_at is null and end_by > $2 and node not in (select name from node where dead = 1 and name <> $3)";

    public Task RecordAsync(AuditEvent entry) =>
        entry.Reason is not null && refusals.TryCount(entry, out var counted) ? counted : writer.RecordAsync(entry);

    public Task IssueAsync(Credential credential, string keyId, byte[]? hash, FixedValues values, AuditEvent entry)
    {
        var kept = credentials.Seal(credential.Id, values); // here, not on the writer's thread
        return writer.WriteAsync(transaction => CredentialStore.Insert(transaction, credential, keyId, hash, kept, entry));
    }

    public Task<StoredCredential?> FindAsync(CredentialId id, byte[] hash) => Task.FromResult(credentials.Find(id, hash));

    public Task<StoredCredential?> FindAsync(ProjectId project, CredentialId id) => Task.FromResult(credentials.Find(project, id));

    public Task<FixedValues> ReadFixedAsync(CredentialId id) => Task.FromResult(credentials.ReadFixed(id));

    public Task<TimeSpan> ReadSpentAsync(CredentialId id, DateTimeOffset now) => Task.FromResult(credentials.ReadSpent(id, now));

    public Task<bool> ExtendAsync(CredentialId id, DateTimeOffset startBy, AuditEvent entry) =>
        writer.WriteAsync(transaction => CredentialStore.Extend(transaction, id, startBy, entry));

    public Task RevokeAsync(ProjectId project, CredentialId id, AuditEvent entry) =>
        writer.WriteAsync(transaction => CredentialStore.Revoke(transaction, id, entry));

    public Task<DenialReason?> OpenAsync(Session session, AuditEvent entry) => writer.WriteAsync(transaction =>
    {
        var now = session.StartedAt.ToUnixTimeMilliseconds();
        if (session.Credential is { Kind: CredentialKind.PersonalAccessToken } token && CredentialStore.WhyDead(transaction, token.Id, now) is { } dead)
        {
            return (DenialReason?)dead;
        }
        if (WhyFull(transaction, session, entry.Address, now) is { } full)
        {
            return full;
        }
        if (session.Terms.Uses is { } uses && transaction.Execute(
            """
            insert into redemption (credential_id, uses, first_at) values ($1, 1, $2)
            on conflict (credential_id) do update set uses = redemption.uses + 1 where redemption.uses < $3
            """, session.Credential!.Id.Value, now, uses) == 0)
        {
            return DenialReason.AlreadyUsed;
        }
        transaction.Execute(
            "insert into session (id, project_id, agent_id, credential_id, subject, node, started_at, end_by, public_address, in_room) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            session.Id, session.Agent.Project.Value, session.Agent.Id.Value, session.Credential?.Id.Value, session.Terms.Subject, node,
            now, session.Terms.EndBy.ToUnixTimeMilliseconds(), session.Credential is null ? entry.Address : null, session.Terms.InRoom ? 1 : 0);
        if (HasLimits(session))
        {
            transaction.Execute("update agent_day set sessions = sessions + 1 where agent_id = $1", session.Agent.Id.Value);
        }
        transaction.Audit(entry);
        return null;
    }, SharedRow(session));

    // The rows that other openings change too, in the order in which they are taken.
    private static string? SharedRow(Session session) =>
        HasLimits(session) ? $"{session.Agent.Id} {session.Credential?.Id}" : session.Terms.Uses is null ? null : session.Credential!.Id.Value;

    private static bool HasLimits(Session session) => session.Agent.Limits is not { AtOnce: null, Daily: null };

    // Nothing is written before a refusal.
    private DenialReason? WhyFull(WriteTransaction transaction, Session session, string? address, long now)
    {
        if (session.Credential is null && transaction.Count(
            $"select count(*) from session where public_address = $1 and {Live}", address, now, node) >= publicSessionsPerAddress)
        {
            return DenialReason.TooManySessions;
        }
        if (!HasLimits(session))
        {
            return null;
        }
        // Holds the row until the commit, so that no other node counts at the same time; a new day begins at nought.
        var today = transaction.Count(
            """
            insert into agent_day (agent_id, day, sessions) values ($1, $2, 0)
            on conflict (agent_id) do update set sessions = case when agent_day.day < $2 then 0 else agent_day.sessions end, day = case when agent_day.day < $2 then $2 else agent_day.day end
            returning sessions
            """, session.Agent.Id.Value, now / MillisecondsPerDay);
        return session.Agent.Limits.AtOnce is { } most && transaction.Count(
                $"select count(*) from session where agent_id = $1 and {Live}", session.Agent.Id.Value, now, node) >= most ? DenialReason.TooManySessions
            : session.Agent.Limits.Daily is { } daily && today >= daily ? DenialReason.DailyLimitReached
            : null;
    }

    public Task CloseAsync(Session session, SessionEnd end, AuditEvent entry) => writer.WriteAsync(transaction =>
    {
        transaction.Execute(
            "update session set ended_at = $1, end_reason = $2, close_code = $3, detail = $4 where id = $5",
            entry.At.ToUnixTimeMilliseconds(), end.Reason.ToString(), (int)end.CloseCode, StoredText.Clean(end.Detail), session.Id);
        transaction.Audit(entry);
    });
}
