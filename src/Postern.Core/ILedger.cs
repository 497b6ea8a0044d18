using Postern.Core.Audit;
using Postern.Core.Sessions;

namespace Postern.Core;

/// <summary>
/// Where what was decided is made durable. Each call is one transaction with its audit row; a task completes when that is committed.
/// A ledger that cannot commit throws, and the caller answers with an outage: nothing undurable becomes visible.
/// </summary>
public interface ILedger
{
    /// <summary>Records one event.</summary>
    Task RecordAsync(AuditEvent entry);

    /// <summary>Spends a use if the terms count them, writes the session and <paramref name="entry"/>. False when no use is left: then nothing is written.</summary>
    Task<bool> OpenAsync(Session session, AuditEvent entry);

    /// <summary>Writes how a session ended.</summary>
    Task CloseAsync(Session session, SessionEnd end, AuditEvent entry);
}
