using Postern.Core.Agents;
using Postern.Core.Keys;

namespace Postern.Core.Credentials;

/// <summary>Who is speaking: an end user whom the customer's backend has named, by a token whose signature and times held.</summary>
/// <param name="Subject">The end user, byte for byte as signed (RFC 7519, sub).</param>
/// <param name="Key">The key that signed; its scope is the token's.</param>
public sealed record UserToken(string Subject, UserTokenKey Key)
{
    /// <summary>The <c>kid</c>.</summary>
    public string KeyId => Key.Id;

    /// <summary>Whether it names the user to this agent.</summary>
    public bool Opens(AgentId agent) => Key.Opens(agent);
}
