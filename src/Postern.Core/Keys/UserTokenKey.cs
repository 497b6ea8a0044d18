using System.Collections.Immutable;
using Postern.Core.Agents;
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

    /// <summary>Whether its tokens open this agent.</summary>
    public bool Opens(AgentId agent) => Agents.IsEmpty || Agents.Contains(agent);
}
