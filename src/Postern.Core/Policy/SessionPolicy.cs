using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Sessions;

namespace Postern.Core.Policy;

/// <summary>Who may start a session: a pure function of agent, credential, request and time.</summary>
public static class SessionPolicy
{
    /// <summary>
    /// The terms of the session, or the first reason against it. Origin first: a wrong page learns nothing of a token. Whoever holds
    /// an API key is believed about the end user.
    /// </summary>
    public static Decision<SessionTerms> Decide(Agent agent, VerifiedCredential? credential, ConnectRequest request, DateTimeOffset now) =>
        WrongOrigin(agent, credential, request.Origin) is { } wrongOrigin ? wrongOrigin
        : request.ChecksDomain && WrongDomain(agent, request) is { } wrongDomain ? wrongDomain
        : credential is null && agent.Access.Private ? new Denial(agent.Access.PrivateByDefault ? DenialReason.AgentPrivateByDefault : DenialReason.CredentialMissing)
        : credential is not null && credential.Grant.StartBy <= now ? new Denial(DenialReason.Expired)
        : credential?.Grant.Subject is { } subject && request.Subject is { } claimed && claimed != subject ? new Denial(DenialReason.SubjectMismatch)
        : request.NeedsMedia && agent.Media is null ? new Denial(DenialReason.MediaMissing)
        : SessionTerms.From(agent.Limits, credential?.Grant, now) with { Subject = credential?.Grant.Subject ?? (request.Key is null ? null : request.Subject), InRoom = request.NeedsMedia };

    // Who sends neither header says that it is no page, which anybody may say: a list is for pages alone.
    private static Denial? WrongDomain(Agent agent, ConnectRequest request) =>
        agent.ApprovedDomains.IsEmpty ? null
        : (request.Origin ?? request.Referer) is not { } page ? new Denial(DenialReason.OriginMissing)
        : agent.ApprovedDomains.Any(domain => domain.Allows(page)) ? null
        : new Denial(DenialReason.OriginRefused, page.Length <= 300 ? page : page[..300]);

    /// <summary>The denial of an origin that agent or credential do not list, null when it may pass.</summary>
    internal static Denial? WrongOrigin(Agent agent, VerifiedCredential? credential, string? origin)
    {
        var access = agent.Access;
        if (origin is null)
        {
            return access.RequireOrigin && access.Allowlist.Length > 0 ? new Denial(DenialReason.OriginMissing) : null;
        }
        var allowed = (access.Allowlist.Length == 0 || access.Allowlist.Any(host => host.Allows(origin)))
            && (credential is null || credential.Grant.Origins.Length == 0
                || credential.Grant.Origins.Any(text => AllowedHost.TryParse(text, out var host, out _) && host.Allows(origin)));
        return allowed ? null : new Denial(DenialReason.OriginRefused, AllowedHost.HostOf(origin));
    }
}
