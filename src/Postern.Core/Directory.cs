using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Keys;
using Postern.Core.Projects;
using Postern.Core.Sessions;

namespace Postern.Core;

/// <summary>
/// What every decision reads, held in memory: agents, API keys, user-token keys and the key ring. Storage feeds it; a decision never waits for a
/// database to read. Safe for concurrent use.
/// </summary>
public sealed class Directory(KeyRing ring)
{
    private readonly ConcurrentDictionary<AgentId, Agent> agents = new();
    private readonly ConcurrentDictionary<(ProjectId, string), AgentId> aliases = new();
    private readonly ConcurrentDictionary<Hash256, ApiKey> keys = new();
    private readonly ConcurrentDictionary<CredentialId, DateTimeOffset> revoked = new();
    private readonly ConcurrentDictionary<string, UserTokenKey> userTokenKeys = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(ProjectId, string), DateTimeOffset> cutOffs = new();
    private readonly ConcurrentDictionary<ProjectId, bool> locking = new();
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
        foreach (var alias in Names(agent))
        {
            aliases[(agent.Project, alias)] = agent.Id;
        }
        foreach (var alias in former is null ? [] : Names(former).Except(Names(agent), StringComparer.Ordinal))
        {
            aliases.TryRemove(KeyValuePair.Create((agent.Project, alias), agent.Id));
        }
    }

    private static IEnumerable<string> Names(Agent agent) => agent.Aliases.Append(agent.Id.Uuid);

    /// <summary>Forgets an agent.</summary>
    public void Remove(AgentId id)
    {
        if (agents.TryRemove(id, out var agent))
        {
            foreach (var alias in Names(agent))
            {
                aliases.TryRemove(KeyValuePair.Create((agent.Project, alias), id));
            }
        }
    }

    /// <summary>Whether all is fixed that a mint of the project says of a session, where it does not say what is.</summary>
    public bool LocksSessions(ProjectId project) => locking.GetValueOrDefault(project);

    /// <summary>Sets whether all is fixed that a mint of the project says of a session.</summary>
    public void LockSessions(ProjectId project, bool all) => locking[project] = all;

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

    /// <summary>Adds or replaces a user-token key.</summary>
    public void Put(UserTokenKey key) => userTokenKeys[key.Id] = key;

    /// <summary>Forgets a user-token key: its tokens are as unknown as any from now on.</summary>
    public void RemoveUserTokenKey(string id) => userTokenKeys.TryRemove(id, out _);

    /// <summary>The project's user-token key of this id, ASCII: another project's is as unknown as none.</summary>
    public UserTokenKey? FindUserTokenKey(ProjectId project, ReadOnlySpan<byte> id)
    {
        Span<char> text = stackalloc char[id.Length];
        Ascii.ToUtf16(id, text, out var length);
        return userTokenKeys.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(text[..length], out var key) && key.Project == project ? key : null;
    }

    /// <summary>Sets the time before which a user's tokens are refused; null lifts it.</summary>
    public void CutOff(ProjectId project, string subject, DateTimeOffset? time)
    {
        if (time is { } at)
        {
            cutOffs[(project, subject)] = at;
        }
        else
        {
            cutOffs.TryRemove((project, subject), out _);
        }
    }

    /// <summary>The later of a key's cut-off and a user's; null when there is none.</summary>
    public DateTimeOffset? CutOff(UserTokenKey key, string subject) =>
        cutOffs.TryGetValue((key.Project, subject), out var ofUser) && !(key.CutOff > ofUser) ? ofUser : key.CutOff;

    /// <summary>The ids of all user-token keys.</summary>
    public ImmutableArray<string> UserTokenKeys => [.. userTokenKeys.Keys];

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
        return key.WhyRefused(needed) is { } denial ? denial : key;
    }

    private readonly record struct Hash256(ulong A, ulong B, ulong C, ulong D)
    {
        public static Hash256 From(ReadOnlySpan<byte> hash) => new(
            BitConverter.ToUInt64(hash), BitConverter.ToUInt64(hash[8..]), BitConverter.ToUInt64(hash[16..]), BitConverter.ToUInt64(hash[24..]));
    }
}
