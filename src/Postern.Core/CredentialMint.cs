using System.Collections.Immutable;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Credentials;
using Postern.Core.Policy;
using Postern.Core.Projects;

namespace Postern.Core;

/// <summary>A request for a credential, in the core's words.</summary>
/// <param name="Key">The API key's text as presented, if any.</param>
/// <param name="Agent">The agent to open, by id or alias; null only for a personal access token that is not bound to one.</param>
/// <param name="Kind">The kind of credential.</param>
/// <param name="Address">The caller's address, for the audit.</param>
public sealed record MintRequest(string? Key, AgentId? Agent, CredentialKind Kind, string? Address)
{
    /// <summary>The dialect that was spoken; an agent may be restricted to some. Null is Postern's own API.</summary>
    public string? Dialect { get; init; }
    /// <summary>The end user.</summary>
    public string? Subject { get; init; }
    /// <summary>Time to start a session; null is the agent's or the kind's.</summary>
    public TimeSpan? StartWithin { get; init; }
    /// <summary>Longest duration of a session; null is the agent's.</summary>
    public TimeSpan? MaxDuration { get; init; }
    /// <summary>How many sessions; null is any number.</summary>
    public int? Uses { get; init; }
    /// <summary>What was asked for besides and has no effect here, by name: for the audit alone.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Unheeded { get; init; } = [];
    /// <summary>Hosts that must match beside the agent's allowlist.</summary>
    public ImmutableArray<string> Origins { get; init; } = [];
    /// <summary>Fix the conversation's id at the mint; such a credential opens one session.</summary>
    public bool FixConversation { get; init; }
    /// <summary>What no client can change.</summary>
    public FixedValues Fixed { get; init; } = FixedValues.None;
    /// <summary>It says values and not which of them are fixed: the project decides.</summary>
    public bool Unmarked { get; init; }
    /// <summary>The participant's name for people, where a kind shows one.</summary>
    public string? Label { get; init; }
    /// <summary>The route serves pages without a key, for public agents only; the origin is then judged at the mint.</summary>
    public bool Keyless { get; init; }
    /// <summary>The Origin header as received.</summary>
    public string? Origin { get; init; }
}

/// <summary>Where every credential comes from, and where it is extended and revoked.</summary>
public sealed class CredentialMint(Directory directory, ILedger ledger, Lifetimes lifetimes, TimeProvider clock)
{
    /// <summary>Key, agent, policy, record: the credential, whose text is there once its audit row is committed, or a named refusal.</summary>
    public async Task<Decision<Credential>> MintAsync(MintRequest request)
    {
        var now = clock.GetUtcNow();
        if (Identify(request).IsDenied(out var denial, out var caller))
        {
            return await RefuseAsync(denial, request.Address, now);
        }
        if (request.Agent is not null || request.Kind.IsSigned() ? caller.Agent is null || !caller.Agent.Speaks(request.Dialect) : caller.Key is null)
        {
            return await RefuseAsync(new Denial(DenialReason.AgentUnknown, request.Agent?.Value), request.Address, now, caller.Key);
        }
        if (MintPolicy.Decide(caller.Project, caller.Agent, request, lifetimes, now).IsDenied(out denial, out var grant))
        {
            return await RefuseAsync(denial, request.Address, now, caller.Key);
        }
        var credential = CredentialIssuer.Issue(directory.Ring.Active, request.Kind, grant, now);
        await KeepAsync(credential, caller.Key, request, now);
        return credential;
    }

    /// <summary>
    /// Gives a personal access token the lifetime anew, within its longest age; Expired and Revoked never revive, and a signed
    /// credential carries its time in itself (RequestInvalid).
    /// </summary>
    public async Task<Decision<StoredCredential>> ExtendAsync(string? keyText, Func<ApiKey, Task<StoredCredential?>> find, string? address)
    {
        var now = clock.GetUtcNow();
        if ((await FindOwnAsync(keyText, find)).IsDenied(out var denial, out var found))
        {
            return await RefuseAsync(denial, address, now);
        }
        var (key, stored) = found;
        if (stored.Kind.IsSigned())
        {
            return await RefuseAsync(new Denial(DenialReason.RequestInvalid, "a signed credential carries its time in itself and cannot be extended: mint a new one"), address, now, key);
        }
        if (stored.RevokedAt is not null || stored.Grant.StartBy <= now)
        {
            return await RefuseAsync(new Denial(stored.RevokedAt is not null ? DenialReason.Revoked : DenialReason.Expired), address, now, key);
        }
        var longest = stored.MintedAt + lifetimes.PersonalAccessTokenAge;
        var wanted = now + lifetimes.PersonalAccessToken.Default;
        var startBy = Max(stored.Grant.StartBy, wanted < longest ? wanted : longest);
        // The ledger judges again in the transaction: a revocation that came between wins.
        return await ledger.ExtendAsync(stored.Id, startBy, Note(AuditNames.CredentialExtended, key, stored, address, now))
            ? stored with { Grant = stored.Grant with { StartBy = startBy } }
            : await RefuseAsync(new Denial(DenialReason.Revoked), address, now, key);
    }

    /// <summary>Refuses a credential from now on, whatever its kind and state; repeating it is fine.</summary>
    public async Task<Decision<StoredCredential>> RevokeAsync(string? keyText, Func<ApiKey, Task<StoredCredential?>> find, string? address)
    {
        var now = clock.GetUtcNow();
        if ((await FindOwnAsync(keyText, find)).IsDenied(out var denial, out var found))
        {
            return await RefuseAsync(denial, address, now);
        }
        var (key, stored) = found;
        await ledger.RevokeAsync(key.Project, stored.Id, Note(AuditNames.CredentialRevoked, key, stored, address, now));
        return stored with { RevokedAt = stored.RevokedAt ?? now };
    }

    /// <summary>A credential of the key's project as the ledger knows it.</summary>
    public async Task<Decision<StoredCredential>> InspectAsync(string? keyText, Func<ApiKey, Task<StoredCredential?>> find) =>
        (await FindOwnAsync(keyText, find)).IsDenied(out var denial, out var found) ? denial : found.Stored;

    /// <summary>Records a refusal, of a request that could not even be read too, and answers with it.</summary>
    public async Task<Denial> RefuseAsync(Denial denial, string? address, DateTimeOffset now, ApiKey? key = null)
    {
        await ledger.RecordAsync(new AuditEvent(now, AuditNames.MintRefused)
        {
            Project = key?.Project, Key = key?.Id, Reason = denial.Reason.ToString(), Address = address, Detail = denial.Detail,
        });
        return denial;
    }

    /// <summary>Finds an opaque credential by its text.</summary>
    public Func<ApiKey, Task<StoredCredential?>> ByText(string text) => _ =>
        CredentialVerifier.ReadOpaque(new CredentialText(text), CredentialKind.PersonalAccessToken) is var (id, hash) ? ledger.FindAsync(id, hash) : Task.FromResult<StoredCredential?>(null);

    /// <summary>Finds a credential by its id.</summary>
    public Func<ApiKey, Task<StoredCredential?>> ById(string id) => key => ledger.FindAsync(key.Project, new CredentialId(id));

    private async Task<Decision<Found>> FindOwnAsync(string? keyText, Func<ApiKey, Task<StoredCredential?>> find)
    {
        if (directory.Verify(keyText, Scopes.Mint).IsDenied(out var denial, out var key))
        {
            return denial;
        }
        // Another project's credential is as unknown as none.
        return await find(key) is { } stored && stored.Grant.Project == key.Project ? new Found(key, stored) : new Denial(DenialReason.CredentialUnknown);
    }

    // Without a key only what a public agent gives to everybody whose page it lists.
    private Decision<Caller> Identify(MintRequest request)
    {
        if (request.Key is not null || !request.Keyless)
        {
            return directory.Verify(request.Key, Scopes.Mint).IsDenied(out var denial, out var key)
                ? denial
                : new Caller(key.Project, key, request.Agent is { } named ? directory.Find(key.Project, named) : null);
        }
        return request.Agent is not { } open || directory.Find(open) is not { } agent ? new Denial(DenialReason.AgentUnknown, request.Agent?.Value)
            : SessionPolicy.WrongOrigin(agent, null, request.Origin) is { } wrong ? wrong
            : agent.Access.Private ? new Denial(DenialReason.KeyMissing)
            : new Caller(agent.Project, null, agent);
    }

    private Task KeepAsync(Credential credential, ApiKey? key, MintRequest request, DateTimeOffset now)
    {
        var entry = new AuditEvent(now, AuditNames.CredentialMinted)
        {
            Project = credential.Grant.Project, Agent = credential.Grant.Agent, Key = key?.Id, Credential = credential.Id.Value,
            Subject = credential.Grant.Subject, Session = credential.Grant.ConversationId, Address = request.Address, Detail = GrantText.Write(credential.Kind, credential.Grant, request.Unheeded),
        };
        var values = request.Unmarked && directory.LocksSessions(credential.Grant.Project) ? request.Fixed.WithoutDefaults() : request.Fixed;
        return credential.Kind.IsSigned() && values.IsEmpty
            ? ledger.RecordAsync(entry)
            : ledger.IssueAsync(credential, key?.Id ?? "", credential.Kind.IsSigned() ? null : CredentialVerifier.ReadOpaque(credential.Text, credential.Kind)!.Value.Hash, values, entry);
    }

    private static AuditEvent Note(string name, ApiKey key, StoredCredential stored, string? address, DateTimeOffset now) => new(now, name)
    {
        Project = key.Project, Agent = stored.Grant.Agent, Key = key.Id, Credential = stored.Id.Value, Subject = stored.Grant.Subject, Address = address,
    };

    private static DateTimeOffset Max(DateTimeOffset a, DateTimeOffset b) => a > b ? a : b;

    private sealed record Caller(ProjectId Project, ApiKey? Key, Agent? Agent);

    private sealed record Found(ApiKey Key, StoredCredential Stored);
}
