using Postern.Core;
using Postern.Core.Audit;
using Postern.Core.Sessions;

namespace Postern.Server.Storage;

/// <summary>The ledger over SQL: each call is a job of the grouped writer.</summary>
internal sealed class SqlLedger(GroupedWriter writer, RefusalCount refusals, string node) : ILedger
{
    public Task RecordAsync(AuditEvent entry) =>
        entry.Reason is not null && refusals.TryCount(entry, out var counted) ? counted : writer.WriteAsync(transaction => transaction.Audit(entry));

    public Task<bool> OpenAsync(Session session, AuditEvent entry) => writer.WriteAsync(transaction =>
    {
        if (session.Terms.Uses is { } uses && transaction.Execute(
            """
            insert into redemption (credential_id, uses, first_at) values ($1, 1, $2)
            on conflict (credential_id) do update set uses = redemption.uses + 1 where redemption.uses < $3
            """, session.Credential!.Id.Value, session.StartedAt.ToUnixTimeMilliseconds(), uses) == 0)
        {
            return false;
        }
        transaction.Execute(
            "insert into session (id, project_id, agent_id, credential_id, subject, node, started_at, end_by) values ($1, $2, $3, $4, $5, $6, $7, $8)",
            session.Id, session.Agent.Project.Value, session.Agent.Id.Value, session.Credential?.Id.Value, session.Terms.Subject, node,
            session.StartedAt.ToUnixTimeMilliseconds(), session.Terms.EndBy.ToUnixTimeMilliseconds());
        transaction.Audit(entry);
        return true;
    });

    public Task CloseAsync(Session session, SessionEnd end, AuditEvent entry) => writer.WriteAsync(transaction =>
    {
        transaction.Execute(
            "update session set ended_at = $1, end_reason = $2, close_code = $3, detail = $4 where id = $5",
            entry.At.ToUnixTimeMilliseconds(), end.Reason.ToString(), (int)end.CloseCode, end.Detail, session.Id);
        transaction.Audit(entry);
    });
}
