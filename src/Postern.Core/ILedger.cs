using Postern.Core.Audit;
using Postern.Core.Credentials;
using Postern.Core.Projects;
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

    /// <summary>Keeps a credential that the ledger must know: an opaque one with its <paramref name="hash"/>, or one with fixed values.</summary>
    Task IssueAsync(Credential credential, string keyId, byte[]? hash, FixedValues values, AuditEvent entry);

    /// <summary>The opaque credential of this id if it has this hash; null when there is none.</summary>
    Task<StoredCredential?> FindAsync(CredentialId id, byte[] hash);

    /// <summary>The credential of this id in a project, of whatever kind; null when none was minted.</summary>
    Task<StoredCredential?> FindAsync(ProjectId project, CredentialId id);

    /// <summary>What was fixed for a credential.</summary>
    Task<FixedValues> ReadFixedAsync(CredentialId id);

    /// <summary>How long the sessions of a credential have lasted, those that go on included.</summary>
    Task<TimeSpan> ReadSpentAsync(CredentialId id, DateTimeOffset now);

    /// <summary>Gives a kept credential more time, unless it is expired or revoked at that moment; false then.</summary>
    Task<bool> ExtendAsync(CredentialId id, DateTimeOffset startBy, AuditEvent entry);

    /// <summary>Refuses a credential from now on; every node hears of it. Repeating it changes nothing.</summary>
    Task RevokeAsync(ProjectId project, CredentialId id, AuditEvent entry);

    /// <summary>
    /// Spends a use if the terms count them, makes sure that an opaque credential still lives and that the agent's limits leave room,
    /// writes the session and <paramref name="entry"/>. AlreadyUsed, Expired, Revoked, TooManySessions or DailyLimitReached otherwise:
    /// then nothing is written.
    /// </summary>
    Task<DenialReason?> OpenAsync(Session session, AuditEvent entry);

    /// <summary>Writes how a session ended.</summary>
    Task CloseAsync(Session session, SessionEnd end, AuditEvent entry);
}
