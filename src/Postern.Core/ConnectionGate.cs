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
    /// <summary>An API key in the credential's place.</summary>
    public string? Key { get; init; }
    /// <summary>What the API key must be allowed to: opening other vendors' sessions takes a key that may mint.</summary>
    public Scopes KeyScope { get; init; } = Scopes.Mint;
    /// <summary>What suffices as well when a user token narrows the request to one user's own.</summary>
    public Scopes? KeyScopeWithUser { get; init; }
    /// <summary>The project as the request names it: it must be the key's.</summary>
    public ProjectId? Project { get; init; }
    /// <summary>The user token beside the API key; null is none, an empty one is refused like any that does not verify.</summary>
    public string? UserToken { get; init; }
    /// <summary>The dialect that is spoken; an agent may be restricted to some.</summary>
    public string? Dialect { get; init; }
    /// <summary>The dialect holds pages to the agent's approved domains.</summary>
    public bool ChecksDomain { get; init; }
    /// <summary>The Referer header, which counts as a page's address where there is no Origin.</summary>
    public string? Referer { get; init; }
    /// <summary>The session is to be held on the agent's media server.</summary>
    public bool NeedsMedia { get; init; }
    /// <summary>The conversation as named, if it was; the credential's own, where that was fixed at the mint.</summary>
    public string? Conversation { get; init; }
    /// <summary>The end user that the request names, where the dialect's requests may not contradict the credential; believed of an API key.</summary>
    public string? Subject { get; init; }
}

/// <summary>Who presents a credential or a key.</summary>
/// <param name="Project">The project whose it is.</param>
/// <param name="Credential">What was presented; an API key stands as a grant of a moment.</param>
/// <param name="Agent">The agent that it opens or that the request names, if any.</param>
public sealed record Bearer(ProjectId Project, VerifiedCredential Credential, Agent? Agent);

/// <summary>Who calls with an API key, and for which end user.</summary>
/// <param name="Key">The key; its project is the caller's.</param>
/// <param name="Token">Who is speaking; null when no user token was sent.</param>
public sealed record Caller(ApiKey Key, UserToken? Token)
{
    /// <summary>The only project that it concerns.</summary>
    public ProjectId Project => Key.Project;
}

/// <summary>What every connection passes.</summary>
public sealed class ConnectionGate(Directory directory, ILedger ledger, TimeProvider clock)
{
    /// <summary>The longest lifetime of a user token.</summary>
    public TimeSpan LongestUserToken { get; init; } = TimeSpan.FromHours(24);

    /// <summary>Told of every user token that is accepted.</summary>
    public Action<UserToken> Accepted { get; init; } = static _ => { };

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
        if (presented.Agent is not { IsDraft: false } agent || !agent.Speaks(request.Dialect))
        {
            return Refuse(request, presented.Credential, new Denial(DenialReason.AgentUnknown, request.Agent?.Value), now);
        }
        if (SessionPolicy.Decide(agent, presented.Credential, request, now).IsDenied(out denial, out var terms)
            || (await RecallAsync(presented.Credential, terms, now)).IsDenied(out denial, out terms))
        {
            return Refuse(request, presented.Credential, denial, now);
        }
        var session = new Session(presented.Credential?.Grant.ConversationId ?? Session.CreateId(now), agent, presented.Credential, terms, now);
        return await ledger.OpenAsync(session, Started(request, session)) is { } reason
            ? Refuse(request, presented.Credential, new Denial(reason, reason == DenialReason.DailyLimitReached ? $"{agent.Limits.Daily}" : null), now)
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

    /// <summary>
    /// Who calls with an API key, and with a user token if one is sent, for a request that is no session. A token that does not verify
    /// refuses the request whatever the key may do; a valid one narrows it to its user.
    /// </summary>
    public Decision<Caller> Identify(ConnectRequest request)
    {
        var now = clock.GetUtcNow();
        return Identify(request, now).IsDenied(out var denial, out var caller) ? Refuse(request, null, denial, now) : caller;
    }

    // Key, project, user token, scope: whoever holds no key learns nothing of tokens, whoever holds no token nothing of scopes.
    private Decision<Caller> Identify(ConnectRequest request, DateTimeOffset now)
    {
        if (directory.Verify(request.Key, Scopes.None).IsDenied(out var denial, out var key))
        {
            return denial;
        }
        if (request.Project is { } named && named != key.Project)
        {
            return new Denial(DenialReason.KeyInvalid, $"the key is not of project {named.Value}");
        }
        UserToken? token = null;
        if (request.UserToken is { } text)
        {
            var agent = request.Agent is { } wanted ? directory.Find(key.Project, wanted)?.Id : null;
            if (UserTokenVerifier.Verify(directory, key.Project, text, agent, LongestUserToken, now).IsDenied(out denial, out token))
            {
                return denial;
            }
        }
        if (key.WhyRefused(request.KeyScope) is { } missing && (token is null || request.KeyScopeWithUser is not { } narrowed || key.WhyRefused(narrowed) is not null))
        {
            return missing;
        }
        if (token is not null)
        {
            Accepted(token);
        }
        return new Caller(key, token);
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
            if (request.Conversation is { } conversation && credential.Grant.ConversationId is { } own && conversation != own)
            {
                return new Denial(DenialReason.ConversationUnknown);
            }
            var agent = (credential.Grant.Agent ?? request.Agent) is { } opened ? directory.Find(credential.Grant.Project, opened) : null;
            // By whatever name the request calls it, it must be the credential's.
            return request.Agent is { } named && directory.Find(credential.Grant.Project, named) != agent
                ? new Denial(DenialReason.AgentMismatch, named.Value)
                : new Presented(credential, agent);
        }
        if (request.Key is not null)
        {
            if (Identify(request, now).IsDenied(out var denial, out var caller))
            {
                return denial;
            }
            var agent = request.Agent is { } wanted ? directory.Find(caller.Key.Project, wanted) : null;
            return agent is null && request.Agent is { } unknown
                ? new Denial(DenialReason.AgentUnknown, unknown.Value)
                : new Presented(Standing(caller, agent, now), agent);
        }
        return new Presented(null, request.Agent is { } id ? directory.Find(id) : null);
    }

    // What of the terms the ledger alone knows: the values that the mint fixed, and the time that earlier sessions have left.
    private async ValueTask<Decision<SessionTerms>> RecallAsync(VerifiedCredential? credential, SessionTerms terms, DateTimeOffset now)
    {
        if (credential is { Grant.HasFixed: true })
        {
            terms = terms with { Fixed = await ledger.ReadFixedAsync(credential.Id) };
            if (terms.Fixed.IsEmpty)
            {
                // Their row is gone, as after an old backup was restored: opening would drop the lock without a word.
                return new Denial(DenialReason.Unavailable, "the fixed values are not in the ledger");
            }
        }
        if (credential is { Grant: { MaxDuration: { } longest, Uses: not 1 } } && credential.Kind.CountsTime())
        {
            var endBy = now + longest - await ledger.ReadSpentAsync(credential.Id, now);
            return endBy <= now ? new Denial(DenialReason.AlreadyUsed, "its time is spent")
                : endBy < terms.EndBy ? terms with { EndBy = endBy } : terms;
        }
        return terms;
    }

    private async Task<Decision<VerifiedCredential>> VerifyAsync(CredentialText text, CredentialKind kind, DateTimeOffset now)
    {
        if (kind.IsSigned())
        {
            return CredentialVerifier.Verify(directory.Ring, text, kind, now);
        }
        // Its time and its revocation are judged from this row here, and once more in the transaction that opens the session.
        return CredentialVerifier.ReadOpaque(text, kind) is var (id, hash) && await ledger.FindAsync(id, hash) is { } stored && stored.Kind == kind
            ? stored.RevokedAt is null ? new VerifiedCredential(stored.Id, kind, stored.Grant, stored.KeyId ?? "") : new Denial(DenialReason.Revoked)
            : new Denial(DenialReason.CredentialMalformed);
    }

    // A key opens what it could have minted: the same grant, without the detour.
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(10);

    private static VerifiedCredential Standing(Caller caller, Agent? agent, DateTimeOffset now) =>
        new(CredentialId.Create(now), CredentialKind.SignedUrl,
            new Grant(caller.Key.Project, agent?.Id, caller.Token?.Subject, now + Moment, null, null, [], null), caller.Key.Id);

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
