using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Credentials;
using Postern.Core.Policy;
using Postern.Core.Projects;
using Postern.Core.Sessions;

namespace Postern.Core;

/// <summary>A request to begin a session, in the core's words.</summary>
/// <param name="Kind">The one kind of credential that the route accepts.</param>
/// <param name="Credential">The credential as presented, if any.</param>
/// <param name="Agent">The agent as named, if it was.</param>
/// <param name="Origin">The Origin header as received; null when there was none.</param>
/// <param name="Address">The client's address, for the audit.</param>
public sealed record ConnectRequest(CredentialKind Kind, CredentialText? Credential, AgentId? Agent, string? Origin, string? Address)
{
    /// <summary>An API key in the credential's place: server to server.</summary>
    public string? Key { get; init; }
    /// <summary>The dialect that is spoken; an agent may be restricted to some.</summary>
    public string? Dialect { get; init; }
    /// <summary>The session is to be held on the agent's media server.</summary>
    public bool NeedsMedia { get; init; }
    /// <summary>The end user that the request claims, where the dialect says it with the request.</summary>
    public string? Subject { get; init; }
}

/// <summary>Who presents a credential or a key.</summary>
/// <param name="Project">The project whose it is.</param>
/// <param name="Credential">What was presented; an API key stands as a grant of a moment.</param>
/// <param name="Agent">The agent that it opens or that the request names, if any.</param>
public sealed record Bearer(ProjectId Project, VerifiedCredential Credential, Agent? Agent);

/// <summary>What every connection passes.</summary>
public sealed class ConnectionGate(Directory directory, ILedger ledger, TimeProvider clock)
{
    /// <summary>
    /// Verify, agent, policy, open: cheap and pure checks first, the irreversible one last. The session is answered once its row, its
    /// redemption and its audit row are committed together; every refusal has its reason and its audit row.
    /// </summary>
    public async Task<Decision<Session>> AdmitAsync(ConnectRequest request)
    {
        var now = clock.GetUtcNow();
        if ((await PresentAsync(request, now)).IsDenied(out var denial, out var presented))
        {
            return Refuse(request, null, denial, now);
        }
        if (presented.Agent is not { } agent || !agent.Speaks(request.Dialect))
        {
            return Refuse(request, presented.Credential, new Denial(DenialReason.AgentUnknown, request.Agent?.Value), now);
        }
        if (SessionPolicy.Decide(agent, presented.Credential, request, now).IsDenied(out denial, out var terms))
        {
            return Refuse(request, presented.Credential, denial, now);
        }
        if (presented.Credential is { Grant.HasFixed: true } locked)
        {
            terms = terms with { Fixed = await ledger.ReadFixedAsync(locked.Id) };
            if (terms.Fixed.IsEmpty)
            {
                // Their row is gone, as after an old backup was restored: opening would drop the lock without a word.
                return Refuse(request, locked, new Denial(DenialReason.Unavailable, "the fixed values are not in the ledger"), now);
            }
        }
        if (presented.Credential is { Grant: { MaxDuration: { } longest, Uses: not 1 } } counted && counted.Kind.CountsTime())
        {
            var left = longest - await ledger.ReadSpentAsync(counted.Id, now);
            if (left <= TimeSpan.Zero)
            {
                return Refuse(request, counted, new Denial(DenialReason.AlreadyUsed, "its time is spent"), now);
            }
            terms = now + left < terms.EndBy ? terms with { EndBy = now + left } : terms;
        }
        var session = new Session(presented.Credential?.Grant.ConversationId ?? Session.CreateId(), agent, presented.Credential, terms, now);
        return await ledger.OpenAsync(session, Started(request, session)) is { } reason
            ? Refuse(request, presented.Credential, new Denial(reason), now)
            : session;
    }

    /// <summary>
    /// Who presents a credential, for a request that is no session: verified and alive as at <see cref="AdmitAsync"/>, but nothing is
    /// opened and nothing spent. KeyMissing when nothing was presented.
    /// </summary>
    public async Task<Decision<Bearer>> RecogniseAsync(ConnectRequest request)
    {
        var now = clock.GetUtcNow();
        if ((await PresentAsync(request, now)).IsDenied(out var denial, out var presented))
        {
            return Refuse(request, null, denial, now);
        }
        if (presented.Credential is not { } credential)
        {
            return Refuse(request, null, new Denial(DenialReason.KeyMissing), now);
        }
        return credential.Grant.StartBy <= now ? Refuse(request, credential, new Denial(DenialReason.Expired), now)
            : credential.Grant.Subject is { } subject && request.Subject is { } claimed && claimed != subject
                ? Refuse(request, credential, new Denial(DenialReason.SubjectMismatch), now)
            : new Bearer(credential.Grant.Project, credential, presented.Agent);
    }

    // What is presented must be valid, on a public agent too; then the agent is the credential's, never the query's.
    private async Task<Decision<Presented>> PresentAsync(ConnectRequest request, DateTimeOffset now)
    {
        if (request.Credential is { } text)
        {
            if ((await VerifyAsync(text, request.Kind, now)).IsDenied(out var denial, out var credential))
            {
                return denial;
            }
            if (directory.IsRevoked(credential.Id))
            {
                return new Denial(DenialReason.Revoked);
            }
            var agent = (credential.Grant.Agent ?? request.Agent) is { } opened ? directory.Find(credential.Grant.Project, opened) : null;
            // By whatever name the request calls it, it must be the credential's.
            return request.Agent is { } named && directory.Find(credential.Grant.Project, named) != agent
                ? new Denial(DenialReason.AgentMismatch, named.Value)
                : new Presented(credential, agent);
        }
        if (request.Key is not null)
        {
            if (directory.Verify(request.Key, Scopes.Mint).IsDenied(out var denial, out var key))
            {
                return denial;
            }
            var agent = request.Agent is { } wanted ? directory.Find(key.Project, wanted) : null;
            return agent is null && request.Agent is { } unknown
                ? new Denial(DenialReason.AgentUnknown, unknown.Value)
                : new Presented(Standing(key, agent, now), agent);
        }
        return new Presented(null, request.Agent is { } id ? directory.Find(id) : null);
    }

    private async Task<Decision<VerifiedCredential>> VerifyAsync(CredentialText text, CredentialKind kind, DateTimeOffset now)
    {
        if (kind.IsSigned())
        {
            return CredentialVerifier.Verify(directory.Ring, text, kind, now);
        }
        // Its time and its revocation are judged from this row here, and once more in the transaction that opens the session.
        return CredentialVerifier.IsOpaque(text, kind) && await ledger.FindAsync(CredentialMint.Hash(text.Value)) is { } stored && stored.Kind == kind
            ? stored.RevokedAt is null ? new VerifiedCredential(stored.Id, kind, stored.Grant, stored.KeyId ?? "") : new Denial(DenialReason.Revoked)
            : new Denial(DenialReason.CredentialMalformed);
    }

    // A key that may mint may as well open: the same grant, without the detour.
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(10);

    private static VerifiedCredential Standing(ApiKey key, Agent? agent, DateTimeOffset now) =>
        new(CredentialId.Create(now), CredentialKind.SignedUrl,
            new Grant(key.Project, agent?.Id, null, now + Moment, null, null, [], null), key.Id);

    private sealed record Presented(VerifiedCredential? Credential, Agent? Agent);

    private static AuditEvent Started(ConnectRequest request, Session session) => new(session.StartedAt, AuditNames.SessionStarted)
    {
        Project = session.Agent.Project, Agent = session.Agent.Id, Key = session.Credential?.KeyId, Credential = session.Credential?.Id.Value,
        Session = session.Id, Subject = session.Terms.Subject, Address = request.Address, Detail = request.Origin,
    };

    // Not awaited: a refusal changes nothing, and a flood of them must not queue behind the disk. The ledger bounds and counts them.
    private Denial Refuse(ConnectRequest request, VerifiedCredential? credential, Denial denial, DateTimeOffset now) =>
        Refuse(denial, request.Address, now, credential?.Grant.Project, credential?.Grant.Agent ?? request.Agent, credential?.Id, request.Origin);

    /// <summary>Records a refusal, of a request that could not even be read too, and answers with it.</summary>
    public Denial Refuse(
        Denial denial, string? address, DateTimeOffset now, ProjectId? project = null, AgentId? agent = null, CredentialId? credential = null, string? origin = null)
    {
        _ = ledger.RecordAsync(new AuditEvent(now, AuditNames.SessionRefused)
        {
            Project = project, Agent = agent, Credential = credential?.Value,
            Reason = denial.Reason.ToString(), Address = address, Detail = denial.Detail ?? origin,
        });
        return credential is null ? denial : denial with { Credential = credential };
    }
}
