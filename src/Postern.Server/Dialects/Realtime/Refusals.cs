using Postern.Core;
using Postern.Core.Sessions;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.Realtime;

/// <summary>
/// The words for every refusal and every end (contract, sections 2, 6 and 10). Clients act on few codes: <c>invalid_api_key</c> and
/// <c>insufficient_quota</c> keep them from connecting again without pause; the exact word stands beside them.
/// </summary>
internal static class Refusals
{
    private const string Invalid = "invalid_request_error";
    private const string BadKey = "invalid_api_key";
    private const string NoQuota = "insufficient_quota";
    private const ushort Refused = 3000;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>What a WebSocket is told that was accepted only to say so.</summary>
    public static Farewell Turn(Denial denial)
    {
        var (code, word, text) = Words(denial);
        return Say(code, word, $"{text} ({word})", TimeSpan.Zero);
    }

    /// <summary>What a live session is told when Postern ends it; nothing where the other side has ended it.</summary>
    public static Farewell End(SessionEndReason reason, string detail) => reason switch
    {
        SessionEndReason.ClientClosed or SessionEndReason.AgentClosed => new(null, new CloseFrame(1000, ""), TimeSpan.Zero),
        SessionEndReason.MaxDuration => Say("session_expired", "session_expired", "Your session hit its maximum duration.", Pause),
        SessionEndReason.Idle => Say("session_expired", "session_idle", "Nothing was heard for too long.", Pause),
        SessionEndReason.Revoked => Say(BadKey, "token_revoked", "Access was revoked. (token_revoked)", Pause),
        SessionEndReason.Operator => Say(BadKey, "session_ended", "The session was ended by an operator. (session_ended)", Pause),
        SessionEndReason.Shutdown => Server("The server is shutting down.", 1001),
        SessionEndReason.FirstMessageRefused or SessionEndReason.ProtocolError => Say("invalid_event", "protocol_error", detail.Length > 0 ? detail : "The message could not be read.", Pause),
        SessionEndReason.MessageTooBig => Say("invalid_event", "message_too_big", "A message was larger than this server takes.", Pause),
        SessionEndReason.RateExceeded => Say(NoQuota, "rate_limit_exceeded", "Too many messages in a second. (rate_limit_exceeded)", Pause),
        SessionEndReason.SlowReader => Say(NoQuota, "slow_reader", "What was sent was not read.", Pause),
        SessionEndReason.UpstreamUnreachable => Server("The agent is unreachable.", 1011),
        SessionEndReason.UpstreamLost => Server("The connection to the agent was lost.", 1011),
        SessionEndReason.InternalError => Server("Internal error.", 1011),
    };

    /// <summary>The HTTP answer, in OpenAI's shape. Nothing final is answered by 408, 409, 429 or 5xx: clients would post it again.</summary>
    public static HttpAnswer Answer(Denial denial) => denial.Reason switch
    {
        DenialReason.KeyMissing => Wire.Error(401, Invalid, BadKey, "You didn't provide an API key. Send it as Authorization: Bearer YOUR_KEY."),
        DenialReason.KeyInvalid => Wire.Error(401, Invalid, BadKey, "Incorrect API key provided."),
        DenialReason.ScopeMissing => Wire.Error(403, Invalid, "missing_scope", $"The API key lacks the scope: {denial.Detail}."),
        DenialReason.WrongKind => Wire.Error(403, Invalid, "wrong_credential", "This is a credential for conversations: only an API key can mint."),
        DenialReason.RequestInvalid => Bad(denial.Detail ?? "The request is invalid."),
        DenialReason.AgentUnknown => Wire.Error(404, Invalid, "model_not_found", $"The agent or model '{denial.Detail}' does not exist.", "session.model"),
        DenialReason.CredentialUnknown => Wire.Error(404, Invalid, "not_found", "No such credential."),
        DenialReason.ConversationUnknown => Wire.Error(404, Invalid, "not_found", "No such conversation."),
        DenialReason.OriginMissing or DenialReason.OriginRefused or DenialReason.CredentialMissing or DenialReason.AgentPrivateByDefault
            or DenialReason.CredentialMalformed or DenialReason.BadSignature or DenialReason.Expired or DenialReason.AlreadyUsed or DenialReason.Revoked
            or DenialReason.AgentMismatch or DenialReason.ConflictingCredentials or DenialReason.SubjectMismatch => Wire.Error(401, Invalid, BadKey, Words(denial).Text),
        DenialReason.OverrideRefused or DenialReason.VariableRefused or DenialReason.VariableMissing => Wire.Error(400, Invalid, "invalid_value", Words(denial).Text),
        DenialReason.MediaMissing => Wire.Error(400, Invalid, "webrtc_unavailable", Words(denial).Text),
        DenialReason.TooManySessions or DenialReason.DailyLimitReached => Wire.Error(402, NoQuota, NoQuota, Words(denial).Text),
        DenialReason.TooManyRefusals => Wire.Error(429, "rate_limit_error", "rate_limit_exceeded", "Too many refused requests from this address: try again in a minute.") with { Headers = [KeyValuePair.Create("Retry-After", denial.Detail ?? "60")] },
        DenialReason.ShuttingDown or DenialReason.Unavailable => Wire.Error(503, "server_error", "service_unavailable", "Temporarily unavailable: nothing was changed, try again.") with { Headers = [KeyValuePair.Create("Retry-After", "1")] },
    };

    private static (string Code, string Word, string Text) Words(Denial denial) => denial.Reason switch
    {
        DenialReason.KeyMissing or DenialReason.CredentialMissing => (BadKey, "token_missing", "This agent needs a client secret."),
        DenialReason.AgentPrivateByDefault => (BadKey, "token_missing", "This agent is private: mint a client secret, or make the agent public."),
        DenialReason.KeyInvalid => (BadKey, "token_invalid", "Incorrect API key provided."),
        DenialReason.ScopeMissing => (BadKey, "missing_scope", "The API key lacks a scope."),
        DenialReason.CredentialMalformed or DenialReason.BadSignature or DenialReason.CredentialUnknown or DenialReason.ConversationUnknown => (BadKey, "token_invalid", "The client secret is not valid."),
        DenialReason.WrongKind => (BadKey, "token_wrong_kind", "This is a credential of another kind."),
        DenialReason.Expired => (BadKey, "token_expired", "The client secret has expired."),
        DenialReason.AlreadyUsed when denial.Detail is not null => (NoQuota, "session_time_spent", "The longest duration of this client secret's sessions is used up."),
        DenialReason.AlreadyUsed => (BadKey, "token_already_used", "The client secret was already used."),
        DenialReason.Revoked => (BadKey, "token_revoked", "Access was revoked."),
        DenialReason.ConflictingCredentials => (BadKey, "conflicting_credentials", "Two different credentials were presented."),
        DenialReason.SubjectMismatch => (BadKey, "user_mismatch", "The user is not the one that the client secret names."),
        DenialReason.AgentMismatch => (BadKey, "agent_mismatch", "The client secret is for another agent than the address names."),
        DenialReason.AgentUnknown => (BadKey, "model_not_found", "The agent or model does not exist."),
        DenialReason.OriginMissing => (BadKey, "origin_not_allowed", "An Origin header is required to connect to this agent."),
        DenialReason.OriginRefused => (BadKey, "origin_not_allowed", $"Host {Cut(denial.Detail)} is not allowed to connect to this agent."),
        DenialReason.OverrideRefused or DenialReason.VariableRefused => (BadKey, "not_allowed", $"'{Cut(denial.Detail)}' cannot be set by the client."),
        DenialReason.VariableMissing => (BadKey, "variable_missing", $"The variable '{Cut(denial.Detail)}' has no value."),
        DenialReason.MediaMissing => (BadKey, "webrtc_unavailable", "WebRTC is not available: connect by WebSocket."),
        DenialReason.RequestInvalid => (BadKey, "invalid_request", denial.Detail ?? "The request is invalid."),
        DenialReason.TooManySessions => (NoQuota, "concurrency_limit", "Too many sessions at one time: try again later."),
        DenialReason.DailyLimitReached => (NoQuota, "daily_limit", $"The agent has had its {Cut(denial.Detail)} sessions of today."),
        DenialReason.TooManyRefusals => (NoQuota, "rate_limit_exceeded", "Too many refused connections: try again in a minute."),
        DenialReason.ShuttingDown => ("server_error", "shutting_down", "The server is shutting down."),
        DenialReason.Unavailable => ("server_error", "unavailable", "Temporarily unavailable: nothing was used up, try again."),
    };

    private static Farewell Say(string code, string word, string text, TimeSpan pause) =>
        new(Wire.ErrorEvent("event_" + RandomText.Base62(12), code == "server_error" ? code : Invalid, code, text, reason: word), new CloseFrame(Refused, $"{Invalid}.{word}"), pause);

    private static Farewell Server(string text, ushort close) =>
        new(Wire.ErrorEvent("event_" + RandomText.Base62(12), "server_error", "server_error", text), new CloseFrame(close, text), Pause);

    private static HttpAnswer Bad(string detail)
    {
        var colon = detail.IndexOf(": ", StringComparison.Ordinal);
        return colon > 0 && !detail.AsSpan(0, colon).Contains(' ')
            ? Wire.Error(400, Invalid, "invalid_value", detail[(colon + 2)..], detail[..colon])
            : Wire.Error(400, Invalid, "invalid_value", detail);
    }

    private static string Cut(string? text) => text is null ? "" : text.Length <= 60 ? text : text[..60];
}
