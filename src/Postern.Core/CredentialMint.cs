using System.Collections.Immutable;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Credentials;
using Postern.Core.Policy;
using Postern.Core.Projects;

namespace Postern.Core;

/// <summary>A request for a credential, in the core's words.</summary>
/// <param name="Key">The API key's text as presented, if any.</param>
/// <param name="Agent">The agent to open.</param>
/// <param name="Kind">The kind of credential.</param>
/// <param name="Address">The caller's address, for the audit.</param>
public sealed record MintRequest(string? Key, AgentId Agent, CredentialKind Kind, string? Address)
{
    /// <summary>The end user.</summary>
    public string? Subject { get; init; }
    /// <summary>Time to start a session; null is the agent's.</summary>
    public TimeSpan? StartWithin { get; init; }
    /// <summary>Longest duration of a session; null is the agent's.</summary>
    public TimeSpan? MaxDuration { get; init; }
    /// <summary>How many sessions; null is any number.</summary>
    public int? Uses { get; init; }
    /// <summary>Hosts that must match beside the agent's allowlist.</summary>
    public ImmutableArray<string> Origins { get; init; } = [];
    /// <summary>Fix the conversation's id at the mint; such a credential opens one session.</summary>
    public bool FixConversation { get; init; }
}

/// <summary>Where every credential comes from.</summary>
public sealed class CredentialMint(Directory directory, ILedger ledger, TimeProvider clock)
{
    /// <summary>Key, agent, policy, signature, record: the credential is answered once its audit row is committed, or a named refusal is.</summary>
    public async Task<Decision<Credential>> MintAsync(MintRequest request)
    {
        var now = clock.GetUtcNow();
        if (directory.Verify(request.Key, Scopes.Mint).IsDenied(out var denial, out var key))
        {
            return await RefuseAsync(denial, request.Address, now);
        }
        if (directory.Find(key.Project, request.Agent) is not { } agent)
        {
            return await RefuseAsync(new Denial(DenialReason.AgentUnknown, request.Agent.Value), request.Address, now, key);
        }
        if (MintPolicy.Decide(agent, request, now).IsDenied(out denial, out var grant))
        {
            return await RefuseAsync(denial, request.Address, now, key);
        }
        var credential = CredentialIssuer.Issue(directory.Ring.Active, request.Kind, grant, now);
        await ledger.RecordAsync(new AuditEvent(now, AuditNames.CredentialMinted)
        {
            Project = key.Project, Agent = agent.Id, Key = key.Id, Credential = credential.Id.Value,
            Subject = grant.Subject, Session = grant.ConversationId, Address = request.Address, Detail = Describe(credential),
        });
        return credential;
    }

    /// <summary>Records a refusal, of a request that could not even be read too, and answers with it.</summary>
    public async Task<Denial> RefuseAsync(Denial denial, string? address, DateTimeOffset now, ApiKey? key = null)
    {
        await ledger.RecordAsync(new AuditEvent(now, AuditNames.MintRefused)
        {
            Project = key?.Project, Key = key?.Id, Reason = denial.Reason.ToString(), Address = address, Detail = denial.Detail,
        });
        return denial;
    }

    private static string Describe(Credential credential) =>
        $"{credential.Kind}, start by {credential.Grant.StartBy:yyyy-MM-ddTHH:mm:ssZ}, uses {credential.Grant.Uses?.ToString() ?? "any"}";
}
