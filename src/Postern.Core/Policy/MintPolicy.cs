using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Projects;

namespace Postern.Core.Policy;

/// <summary>What may be minted: a pure function of agent, request and time.</summary>
public static class MintPolicy
{
    /// <summary>A credential may start a session after this at the earliest.</summary>
    public static readonly TimeSpan ShortestStart = TimeSpan.FromSeconds(10);

    /// <summary>A credential may start a session until this at the latest.</summary>
    public static readonly TimeSpan LongestStart = TimeSpan.FromHours(24);

    /// <summary>A credential names so many hosts at the most.</summary>
    public const int MostOrigins = 10;

    /// <summary>The grant, or RequestInvalid naming the member and its range.</summary>
    public static Decision<Grant> Decide(Agent agent, MintRequest request, DateTimeOffset now)
    {
        var startWithin = request.StartWithin ?? agent.Credentials.StartWithin;
        if (startWithin < ShortestStart || startWithin > LongestStart)
        {
            return new Denial(DenialReason.RequestInvalid, $"the time to start must lie between {ShortestStart.TotalSeconds:0} and {LongestStart.TotalSeconds:0} seconds");
        }
        if (request.MaxDuration is { } duration && duration < TimeSpan.FromSeconds(1))
        {
            return new Denial(DenialReason.RequestInvalid, "the longest session duration must be at least 1 second");
        }
        if (request.Subject is { } subject && !Subject.IsValid(subject))
        {
            return new Denial(DenialReason.RequestInvalid, Subject.Rule);
        }
        if (request.Uses is < 1)
        {
            return new Denial(DenialReason.RequestInvalid, "a credential opens at least 1 session");
        }
        if (request.Origins.Length > MostOrigins)
        {
            return new Denial(DenialReason.RequestInvalid, $"a credential names at most {MostOrigins} hosts");
        }
        foreach (var origin in request.Origins)
        {
            if (!AllowedHost.TryParse(origin, out _, out var problem))
            {
                return new Denial(DenialReason.RequestInvalid, problem);
            }
        }
        var conversation = request.FixConversation ? Sessions.Session.CreateId() : null;
        var uses = agent.Credentials.SingleUse || request.FixConversation ? 1 : request.Uses;
        return new Grant(agent.Project, agent.Id, request.Subject, now + startWithin, uses, request.MaxDuration, request.Origins, conversation);
    }
}
