using System.Collections.Concurrent;
using System.Collections.Immutable;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Keys;
using Postern.Core.Projects;
using Postern.Core.Sessions;

namespace Postern.Core;

/// <summary>
/// What every decision reads, held in memory: agents, API keys and the key ring. Storage feeds it; a decision never waits for a
/// database to read. Safe for concurrent use.
/// </summary>
public sealed class Directory(KeyRing ring)
{
    private readonly ConcurrentDictionary<AgentId, Agent> agents = new();
    private readonly ConcurrentDictionary<(ProjectId, string), AgentId> aliases = new();
    private readonly ConcurrentDictionary<Hash256, ApiKey> keys = new();
    private readonly ConcurrentDictionary<CredentialId, DateTimeOffset> revoked = new();
    private volatile KeyRing ring = ring;

    /// <summary>The signing keys.</summary>
    public KeyRing Ring { get => ring; set => ring = value; }

    /// <summary>The agent of this id, of whatever project.</summary>
    public Agent? Find(AgentId id) => agents.GetValueOrDefault(id);

    /// <summary>The agent of this id or alias if the project owns it: another project's is as unknown as none.</summary>
    public Agent? Find(ProjectId project, AgentId id) =>
        agents.GetValueOrDefault(id) is { } agent ? agent.Project == project ? agent : null
        : aliases.TryGetValue((project, id.Value), out var aliased) ? agents.GetValueOrDefault(aliased) : null;

    /// <summary>Adds or replaces an agent. It is never away meanwhile: who opens it then sees the old one or the new one.</summary>
    public void Put(Agent agent)
    {
        var former = agents.GetValueOrDefault(agent.Id);
        agents[agent.Id] = agent;
        foreach (var alias in agent.Aliases)
        {
            aliases[(agent.Project, alias)] = agent.Id;
        }
        foreach (var alias in former is null ? [] : former.Aliases.Except(agent.Aliases, StringComparer.Ordinal))
        {
            aliases.TryRemove(KeyValuePair.Create((agent.Project, alias), agent.Id));
        }
    }

    /// <summary>Forgets an agent.</summary>
    public void Remove(AgentId id)
    {
        if (agents.TryRemove(id, out var agent))
        {
            foreach (var alias in agent.Aliases)
            {
                aliases.TryRemove(KeyValuePair.Create((agent.Project, alias), id));
            }
        }
    }

    /// <summary>Refuses a credential from now on; <paramref name="until"/> it would have been valid at the longest.</summary>
    public void Revoke(CredentialId id, DateTimeOffset until) => revoked[id] = until;

    /// <summary>Whether a credential was revoked.</summary>
    public bool IsRevoked(CredentialId id) => revoked.ContainsKey(id);

    /// <summary>
    /// Whether an admitted session may still go on: its agent is there and its credential not revoked. A personal access token is judged
    /// when a session begins and never again.
    /// </summary>
    public bool StillHolds(Session session) =>
        agents.ContainsKey(session.Agent.Id)
        && (session.Credential is not { Kind: not CredentialKind.PersonalAccessToken } credential || !IsRevoked(credential.Id));

    /// <summary>Forgets revocations of what would be expired by now.</summary>
    public void ForgetExpired(DateTimeOffset now)
    {
        foreach (var (id, until) in revoked)
        {
            if (until < now)
            {
                revoked.TryRemove(id, out _);
            }
        }
    }

    /// <summary>Adds or replaces an API key.</summary>
    public void Put(ApiKey key) => keys[Hash256.From(key.Hash)] = key;

    /// <summary>The ids of all agents.</summary>
    public ImmutableArray<AgentId> Agents => [.. agents.Keys];

    /// <summary>The live API key of this text: KeyMissing, KeyInvalid, ScopeMissing, or WrongKind for a credential, otherwise. A wrong checksum costs no look-up.</summary>
    public Decision<ApiKey> Verify(string? text, Scopes needed)
    {
        if (string.IsNullOrEmpty(text))
        {
            return new Denial(DenialReason.KeyMissing);
        }
        if (!ApiKeyText.IsWellFormed(text) || keys.GetValueOrDefault(Hash256.From(ApiKeyText.Hash(text))) is not { RevokedAt: null } key)
        {
            return new Denial(CredentialKinds.IsCredential(text) ? DenialReason.WrongKind : DenialReason.KeyInvalid);
        }
        return (key.Scopes & needed) == needed
            ? key
            : new Denial(DenialReason.ScopeMissing, string.Join(", ", ApiKey.Names(needed & ~key.Scopes)));
    }

    private readonly record struct Hash256(ulong A, ulong B, ulong C, ulong D)
    {
        public static Hash256 From(ReadOnlySpan<byte> hash) => new(
            BitConverter.ToUInt64(hash), BitConverter.ToUInt64(hash[8..]), BitConverter.ToUInt64(hash[16..]), BitConverter.ToUInt64(hash[24..]));
    }
}
