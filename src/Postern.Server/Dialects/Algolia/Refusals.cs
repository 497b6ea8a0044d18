using Postern.Core;
using Postern.Core.Agents;

namespace Postern.Server.Dialects.Algolia;

/// <summary>The vendor's words for every refusal (contract, sections 6 and 10). Of a user token nobody learns more than that it holds, has held, or does not.</summary>
internal static class Refusals
{
    private const string InvalidSignature = "Invalid signature";
    private const string SignatureDetail =
        "The user token is not accepted. It is a JWT signed with HS256 and the whole sk-alg- value, its header names the secret key's id as kid, its claims are sub and exp, and iat and nbf if need be. The audit log has the reason.";

    /// <summary>The answer.</summary>
    public static HttpAnswer Answer(Denial denial) => denial.Reason switch
    {
        DenialReason.KeyMissing or DenialReason.KeyInvalid => Wire.Error(401, "Invalid Application-Id or API-Key", "Invalid API key"),
        DenialReason.ConflictingCredentials => Wire.Error(401, "Invalid Application-Id or API-Key", "Application id and API key are sent once: as headers or in the query."),
        DenialReason.ScopeMissing => Wire.Error(403, denial.Detail switch
        {
            "admin" => "Admin API key required.",
            AlgoliaAccess.Narrowed => $"This is no single user's: send it without {AlgoliaAccess.TokenHeader}, which narrows a request to its user's own whatever the API key may do.",
            var scopes => $"API key is missing the following ACLs: {Acls(scopes)}.",
        }),
        DenialReason.CredentialMalformed when denial.Detail == AlgoliaAccess.InQuery =>
            Wire.Error(401, $"A user token is read from the header {AlgoliaAccess.TokenHeader}, never from the query: addresses end up in logs. Take this one for known and send a new one."),
        DenialReason.BadSignature or DenialReason.CredentialMalformed or DenialReason.CredentialMissing or DenialReason.AgentPrivateByDefault
            or DenialReason.AlreadyUsed or DenialReason.Revoked or DenialReason.AgentMismatch
            or DenialReason.SubjectMismatch => Wire.Error(401, InvalidSignature, SignatureDetail),
        DenialReason.WrongKind => Wire.Error(403, "This is a credential for conversations: only an API key is taken here."),
        DenialReason.Expired => Wire.Error(401, "Token expired", "The user token is genuine and its time has passed: ask your backend for a new one."),
        // "test", the vendor's agent that a request brings along, is not offered.
        DenialReason.AgentUnknown when denial.Detail is { } named && named != "test" && !AgentId.IsUuid(named) => Wire.InvalidAgentId,
        DenialReason.AgentUnknown => Wire.Error(404, "Agent not found", "Agent not found"),
        DenialReason.CredentialUnknown => Wire.Error(404, "Secret key not found", "Secret key not found"),
        DenialReason.ConversationUnknown => Wire.Error(404, "Conversation not found"),
        DenialReason.OriginMissing or DenialReason.OriginRefused => Wire.Error(403, "Request blocked for this domain"),
        DenialReason.RequestInvalid or DenialReason.OverrideRefused or DenialReason.VariableRefused or DenialReason.VariableMissing
            or DenialReason.MediaMissing => Invalid(denial.Detail),
        DenialReason.TooManySessions => Wire.Error(429, "Too many conversations at one time: the concurrency limit of the agent or of this address is reached, try again later.")
            with
        { Headers = [KeyValuePair.Create("Retry-After", "5")] },
        DenialReason.DailyLimitReached => Wire.Error(402, $"The agent has had its {denial.Detail} conversations of today."),
        DenialReason.TooManyRefusals => Wire.Error(429, "Too many attempts: the rate limit of refused requests from this address is reached, try again in a minute.")
            with
        { Headers = [KeyValuePair.Create("Retry-After", denial.Detail ?? "60")] },
        DenialReason.ShuttingDown or DenialReason.Unavailable => Wire.Error(503, "Temporarily unavailable: nothing was changed, try again.")
            with
        { Headers = [KeyValuePair.Create("Retry-After", "1")] },
    };

    /// <summary>The vendor's names for scopes; the others it has no word for.</summary>
    private static string Acls(string? scopes) => string.Join(", ", (scopes ?? "").Split(", ").Select(scope => scope switch
    {
        "converse" => "search",
        "conversations_read" => "logs",
        "agents_read" => "settings",
        "agents_write" => "editSettings",
        _ => scope,
    }));

    // «place: problem», as in every dialect.
    private static HttpAnswer Invalid(string? detail) =>
        (detail ?? "").IndexOf(": ", StringComparison.Ordinal) is var colon and > 0 ? Wire.Invalid(detail![..colon], detail[(colon + 2)..]) : Wire.Invalid("body", detail ?? "Invalid");
}
