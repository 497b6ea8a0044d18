using Postern.Core;
using Postern.Server.Agents;
using Postern.Server.Dialects.ElevenLabs;

namespace Postern.Server.Dialects.Convai;

/// <summary>The vendor's words for every refusal: <c>detail</c> on its realtime host, <c>ERROR</c> on its REST host.</summary>
internal static class Refusals
{
    private const string KeyMissing = "The request is missing an API key.";

    /// <summary>On the realtime paths.</summary>
    public static HttpAnswer Realtime(Denial denial)
    {
        var (status, sentence) = Words(denial, "Invalid API key");
        return Later(denial, Wire.Json(status, json => json.WriteString("detail"u8, sentence)));
    }

    /// <summary>On the REST paths.</summary>
    public static HttpAnswer Rest(Denial denial)
    {
        var (status, sentence) = Words(denial, "The request contains an invalid API key.");
        return Later(denial, Error(status, sentence));
    }

    /// <summary>On the token endpoints, which tell the owner of the key what became of a token.</summary>
    public static HttpAnswer Token(Denial denial) =>
        denial.Reason == DenialReason.Expired ? Error(410, "Token expired.")
        : denial.Reason == DenialReason.Revoked ? Error(410, "Token revoked.")
        : denial.Reason == DenialReason.CredentialUnknown ? Error(404, "Token not found.")
        : denial.Reason == DenialReason.WrongKind ? Error(403, "This is a credential for conversations: only an API key is taken here.")
        : Rest(denial);

    /// <summary>The REST shape.</summary>
    public static HttpAnswer Error(int status, string sentence) => Wire.Json(status, json => json.WriteString("ERROR"u8, sentence));

    /// <summary>On the REST paths, when the character cannot answer.</summary>
    public static HttpAnswer Failed(AgentAct.Failed failed) => failed.Failure switch
    {
        AgentFailure.Busy => Error(429, failed.Sentence) with { Headers = [KeyValuePair.Create("Retry-After", "1")] },
        AgentFailure.Timeout => Error(504, failed.Sentence),
        AgentFailure.Unreachable or AgentFailure.Broken => Error(502, failed.Sentence),
    };

    // Unknown, expired and revoked are one answer: whoever tries tokens learns nothing.
    private static (int Status, string Sentence) Words(Denial denial, string invalid) => denial.Reason switch
    {
        DenialReason.KeyMissing or DenialReason.CredentialMissing or DenialReason.AgentPrivateByDefault => (401, KeyMissing),
        DenialReason.KeyInvalid or DenialReason.CredentialMalformed or DenialReason.CredentialUnknown or DenialReason.BadSignature or DenialReason.WrongKind
            or DenialReason.Expired or DenialReason.Revoked or DenialReason.AlreadyUsed => (401, invalid),
        DenialReason.ConflictingCredentials => (401, "The request carries two different credentials."),
        DenialReason.ScopeMissing => (403, $"The API key lacks the scope {denial.Detail}."),
        DenialReason.RequestInvalid => (400, denial.Detail ?? "The request could not be read."),
        DenialReason.AgentUnknown => (404, "Character not found or doesn't belong to user"),
        DenialReason.ConversationUnknown => (404, "Session not found"),
        DenialReason.AgentMismatch => (403, "character_id does not match the token"),
        DenialReason.SubjectMismatch => (403, $"{denial.Detail ?? "end_user_id"} does not match the token"),
        DenialReason.OverrideRefused or DenialReason.VariableRefused or DenialReason.VariableMissing => (403, $"{denial.Detail} is not allowed: every session has a room of its own."),
        DenialReason.OriginMissing => (403, "An Origin header is required to connect to this character."),
        DenialReason.OriginRefused => (403, $"Host {denial.Detail} is not allowed to connect to this character."),
        DenialReason.MediaMissing => (400, "This character has no media server: set its LiveKit url, key and secret with PUT /api/agents/{id}/media, or use /connect/stream."),
        DenialReason.TooManySessions => (429, "Too many sessions at one time."),
        DenialReason.DailyLimitReached => (402, $"This character has had its {denial.Detail} sessions of today."),
        DenialReason.TooManyRefusals => (429, "Rate limit exceeded."),
        DenialReason.ShuttingDown or DenialReason.Unavailable => (503, "Temporarily unavailable: nothing was changed, try again."),
    };

    private static HttpAnswer Later(Denial denial, HttpAnswer answer) => answer.Status is 429 or 503
        ? answer with { Headers = [KeyValuePair.Create("Retry-After", answer.Status == 429 ? denial.Detail ?? "60" : "1")] } : answer;
}
