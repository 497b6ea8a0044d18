using System.Text.Json;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Projects;

namespace Postern.Core.Policy;

/// <summary>What may be minted: a pure function of agent, request and time.</summary>
public static class MintPolicy
{
    /// <summary>Values fixed at the mint are kept in the ledger; this many bytes of JSON at most.</summary>
    public const int MostFixedBytes = 32 * 1024;

    /// <summary>A conversation token carries them itself, in an address that has a size.</summary>
    public const int MostCarriedBytes = 4 * 1024;

    /// <summary>A credential names so many hosts at the most.</summary>
    public const int MostOrigins = 10;

    /// <summary>The grant, or RequestInvalid naming the member and its range. <paramref name="agent"/> is null for an unbound personal access token.</summary>
    public static Decision<Grant> Decide(ProjectId project, Agent? agent, MintRequest request, Lifetimes lifetimes, DateTimeOffset now)
    {
        var lifetime = lifetimes.Of(request.Kind);
        var ownDefault = request.Kind is CredentialKind.SignedUrl or CredentialKind.ConversationToken ? agent?.Credentials.StartWithin : null;
        var startWithin = request.StartWithin ?? ownDefault ?? lifetime.Default;
        if (startWithin < lifetime.Shortest || startWithin > lifetime.Longest)
        {
            return Invalid($"the time to start must lie between {lifetime.Shortest.TotalSeconds:0} and {lifetime.Longest.TotalSeconds:0} seconds");
        }
        if (request.Kind == CredentialKind.ConversationToken && agent?.Media is null)
        {
            return new Denial(DenialReason.MediaMissing);
        }
        if (request.MaxDuration is { } duration && duration < TimeSpan.FromSeconds(1))
        {
            return Invalid("the longest session duration must be at least 1 second");
        }
        if (request.Uses is < 1)
        {
            return Invalid("a credential opens at least 1 session");
        }
        if (request.Subject is { } subject && !Subject.IsValid(subject))
        {
            return Invalid(Subject.Rule);
        }
        if (request.Origins.Length > MostOrigins)
        {
            return Invalid($"a credential names at most {MostOrigins} hosts");
        }
        foreach (var origin in request.Origins)
        {
            if (!AllowedHost.TryParse(origin, out _, out var problem))
            {
                return Invalid(problem);
            }
        }
        if (!All(request.Fixed).All(member => StrictJson.IsSound(member.Value)))
        {
            return Invalid("the fixed values must be Unicode text");
        }
        var mostFixed = request.Kind == CredentialKind.ConversationToken ? MostCarriedBytes : MostFixedBytes;
        if (All(request.Fixed).Sum(member => member.Key.Length + member.Value.GetRawText().Length) > mostFixed)
        {
            return Invalid($"the fixed values may have {mostFixed} bytes at most");
        }
        var conversation = request.FixConversation ? Sessions.Session.CreateId(now) : null;
        var singleUse = request.FixConversation || (agent is { Credentials.SingleUse: true } && request.Kind is CredentialKind.SignedUrl or CredentialKind.ConversationToken);
        return new Grant(project, agent?.Id, request.Subject, now + startWithin, singleUse ? 1 : request.Uses, request.MaxDuration, request.Origins, conversation)
        {
            HasFixed = !request.Fixed.IsEmpty,
        };
    }

    private static IEnumerable<KeyValuePair<string, JsonElement>> All(FixedValues values) => values.Variables.Concat(values.Fields).Concat(values.Defaults);

    private static Denial Invalid(string rule) => new(DenialReason.RequestInvalid, rule);
}
