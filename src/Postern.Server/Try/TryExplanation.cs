using System.Globalization;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Sessions;

namespace Postern.Server.Try;

/// <summary>One thing that the gate looks at, in a sentence.</summary>
/// <param name="Check">Its name, in a word or two.</param>
/// <param name="Sentence">What holds for this credential and this agent.</param>
internal sealed record TryCheck(string Check, string Sentence);

/// <summary>Why a credential lets its holder in: what the gate checks, said from the grant and the agent's access. Pure.</summary>
internal static class TryExplanation
{
    /// <summary>The checks.</summary>
    /// <param name="grant">What was minted.</param>
    /// <param name="agent">The agent that it opens.</param>
    /// <param name="signingKeyId">The id of the key that signed it.</param>
    /// <param name="now">The time of the mint.</param>
    public static IReadOnlyList<TryCheck> Of(Grant grant, Agent agent, string signingKeyId, DateTimeOffset now) =>
    [
        new("Signature", $"HMAC-SHA256 under key {signingKeyId}: one character changed, and it no longer holds."),
        new("Agent", agent.Access.Private
            ? $"{agent.Id} and no other. It is private: nobody enters without a credential."
            : $"{agent.Id} and no other. It is public, but what is presented must hold all the same."),
        new("Origin", Origin(agent.Access, grant)),
        new("Start by", $"{grant.StartBy.ToString("HH:mm:ss", CultureInfo.InvariantCulture)} UTC is not past. Once begun, it may last {Duration(SessionTerms.From(agent.Limits, grant, now).EndBy - now)}."),
        new("Uses", Uses(grant.Uses)),
    ];

    private static string Origin(AgentAccess access, Grant grant)
    {
        var narrower = grant.Origins.IsDefaultOrEmpty ? "" : $" This credential works from {string.Join(", ", grant.Origins)} alone.";
        return access.Allowlist.IsEmpty
            ? "Any page, any program: the agent has no allowlist." + narrower
            : $"{string.Join(", ", access.Allowlist)} alone: the agent's allowlist.{(access.RequireOrigin ? " What names no origin is refused too." : "")}{narrower}";
    }

    private static string Uses(int? uses) => uses switch
    {
        null => "Not counted: any number of conversations may start in time.",
        1 => "One. It is spent in the same commit that opens the conversation: no race gives a second.",
        _ => string.Create(CultureInfo.InvariantCulture, $"{uses}. Each is spent in the same commit that opens its conversation."),
    };

    private static string Duration(TimeSpan longest) => longest switch
    {
        { TotalMinutes: < 2 } => string.Create(CultureInfo.InvariantCulture, $"{longest.TotalSeconds:0} seconds"),
        { TotalHours: < 2 } => string.Create(CultureInfo.InvariantCulture, $"{longest.TotalMinutes:0} minutes"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{longest.TotalHours:0.#} hours"),
    };
}
