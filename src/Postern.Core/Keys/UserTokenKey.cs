using System.Collections.Concurrent;
using System.Collections.Immutable;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Projects;

namespace Postern.Core.Keys;

/// <summary>The customer's own HMAC key: its backend signs user tokens with it, Postern only verifies.</summary>
/// <param name="id">The <c>kid</c>, which names one key in all projects.</param>
/// <param name="project">The project whose users it names.</param>
/// <param name="name">For people.</param>
/// <param name="secret">The UTF-8 bytes of the whole value; the weak are refused where keys are made.</param>
/// <param name="agents">The only agents that its tokens open; empty is all.</param>
public sealed class UserTokenKey(string id, ProjectId project, string name, ReadOnlySpan<byte> secret, ImmutableArray<AgentId> agents)
{
    private const int MostKnown = 4096;
    private readonly ConcurrentDictionary<string, UserToken> users = new(StringComparer.Ordinal);

    /// <summary>The <c>kid</c>.</summary>
    public string Id => id;
    /// <summary>The project whose users it names.</summary>
    public ProjectId Project => project;
    /// <summary>For people.</summary>
    public string Name => name;
    /// <summary>The only agents that its tokens open; empty is all.</summary>
    public ImmutableArray<AgentId> Agents => agents;
    /// <summary>
    /// The customer's word that its signer writes claims with a JSON encoder: then further claims and escapes in <c>sub</c> are taken.
    /// Said of a signer that puts the text together itself, it lets whoever may choose a user id become another user.
    /// </summary>
    public bool SignerEncodesJson { get; init; }
    /// <summary>Tokens issued before are refused, and so is one that does not say when it was.</summary>
    public DateTimeOffset? CutOff { get; init; }

    /// <summary>Verifies MACs.</summary>
    internal HmacKey Hmac { get; } = new(secret.ToArray());

    /// <summary>What a token of this user says: the same object while the user is known, so that it costs nothing the next time. Only under a signature that held.</summary>
    internal UserToken Of(ReadOnlySpan<char> subject)
    {
        if (users.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(subject, out var known))
        {
            return known;
        }
        if (users.Count >= MostKnown)
        {
            users.Clear();
        }
        return users.GetOrAdd(subject.ToString(), static (text, key) => new UserToken(text, key), this);
    }

    /// <summary>Whether its tokens open this agent.</summary>
    public bool Opens(AgentId agent) => Agents.IsEmpty || Agents.Contains(agent);
}
