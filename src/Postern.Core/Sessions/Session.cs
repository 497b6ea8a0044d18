using Postern.Core.Agents;
using Postern.Core.Credentials;

namespace Postern.Core.Sessions;

/// <summary>What one session may do, and until when.</summary>
/// <param name="EndBy">The server ends the session then, whatever the client does.</param>
/// <param name="Subject">The end user that the credential names, if it does.</param>
/// <param name="Uses">How many sessions the credential opens; null is any number.</param>
public sealed record SessionTerms(DateTimeOffset EndBy, string? Subject, int? Uses)
{
    /// <summary>What the mint fixed.</summary>
    public FixedValues Fixed { get; init; } = FixedValues.None;

    /// <summary>It is held in a room of the agent's media server.</summary>
    public bool InRoom { get; init; }

    /// <summary>The narrower of the agent's limits and the grant's.</summary>
    public static SessionTerms From(AgentLimits limits, Grant? grant, DateTimeOffset now) =>
        new(now + (grant?.MaxDuration is { } longest && longest < limits.MaxDuration ? longest : limits.MaxDuration), grant?.Subject, grant?.Uses);
}

/// <summary>One admitted connection.</summary>
/// <param name="Id">The session's id, which is its conversation's id too: <c>conv_</c>, its time, and more than 128 random bits.</param>
/// <param name="Agent">The agent it talks with.</param>
/// <param name="Credential">What opened it; null on a public agent.</param>
/// <param name="Terms">What it may do.</param>
/// <param name="StartedAt">When it was admitted.</param>
public sealed record Session(string Id, Agent Agent, VerifiedCredential? Credential, SessionTerms Terms, DateTimeOffset StartedAt)
{
    /// <summary>A new conversation id. Ids of one time stand together in an index: a page of the ledger takes many openings, not one.</summary>
    public static string CreateId(DateTimeOffset now) => "conv_" + RandomText.Time(now) + RandomText.Base62(RandomText.IdLength);
}
