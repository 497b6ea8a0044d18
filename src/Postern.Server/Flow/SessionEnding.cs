using Postern.Core;
using Postern.Core.Audit;
using Postern.Core.Sessions;
using Postern.Server.Observability;
using Postern.Server.Storage;

namespace Postern.Server.Flow;

/// <summary>Writes how a session ended, with its audit row.</summary>
internal static class SessionEnding
{
    /// <summary>An outage is logged: the row is then mended at the next start.</summary>
    public static async Task WriteAsync(ILedger ledger, Session session, SessionEnd end, string? address, DateTimeOffset now, ILogger log)
    {
        try
        {
            await ledger.CloseAsync(session, end, new AuditEvent(now, AuditNames.SessionEnded)
            {
                Project = session.Agent.Project, Agent = session.Agent.Id, Credential = session.Credential?.Id.Value, Session = session.Id,
                Subject = session.Terms.Subject, Address = address, Reason = end.Reason.ToString(), Detail = end.Detail,
            });
        }
        catch (StorageException e)
        {
            Log.EndNotRecorded(log, session.Id, end.Reason.ToString(), e.Message);
        }
    }
}
