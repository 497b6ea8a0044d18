using System.Text;
using Postern.Core;
using Postern.Core.Sessions;
using Postern.Server.Agents;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>The vendor's words for every refusal and every end (contract, sections 2, 6.4 and 12).</summary>
internal static class Refusals
{
    private const string NotAuthorized = "Could not authorize the conversation.";
    private const string NoMedia = "This agent has no media server, so WebRTC is not available: use a signed URL (get-signed-url), or configure one.";
    private const ushort Unauthorized = 3000;
    private const ushort Policy = 1008;
    private const int LongestDetail = 64;

    /// <summary>The detail of KeyMissing when the key may stand in a header that this vendor does not read.</summary>
    public const string OtherHeader = "Authorization";

    /// <summary>The close of a WebSocket that was accepted only to say so. Only a credential whose signature held earns a longer text.</summary>
    public static CloseFrame Close(Denial denial) => denial.Reason switch
    {
        DenialReason.KeyMissing or DenialReason.KeyInvalid or DenialReason.ScopeMissing => new(Unauthorized, NotAuthorized),
        DenialReason.CredentialMalformed or DenialReason.BadSignature or DenialReason.WrongKind or DenialReason.AgentMismatch or DenialReason.CredentialUnknown or DenialReason.ConversationUnknown => new(Unauthorized, NotAuthorized),
        DenialReason.RequestInvalid when denial.Detail == InitiationData.NotReadable => new(Policy, InitiationData.NotReadable),
        DenialReason.CredentialMissing or DenialReason.RequestInvalid => new(Unauthorized, NotAuthorized),
        DenialReason.ConflictingCredentials => new(Unauthorized, "Could not authorize the conversation: two different credentials were presented."),
        DenialReason.AgentPrivateByDefault => new(Unauthorized, "This agent is private: mint a signed URL, or set platform_settings.auth.enable_auth to false."),
        DenialReason.Expired => new(Unauthorized, "Could not authorize the conversation: the signed URL has expired."),
        DenialReason.AlreadyUsed => new(Unauthorized, "Could not authorize the conversation: the signed URL was already used."),
        DenialReason.Revoked => new(Unauthorized, "Could not authorize the conversation: access was revoked."),
        DenialReason.AgentUnknown => new(Unauthorized, "The AI agent you are trying to reach does not exist."),
        DenialReason.OriginMissing => new(Unauthorized, "An Origin header is required to connect to this agent"),
        DenialReason.OriginRefused => new(Unauthorized, $"Host {Cut(denial.Detail)} is not allowed to connect to this agent"),
        DenialReason.OverrideRefused => new(Policy, $"Override for field '{Cut(denial.Detail)}' is not allowed by config."),
        DenialReason.VariableRefused => new(Policy, DynamicVariables.IsSystem(denial.Detail)
            ? $"Dynamic variable '{Cut(denial.Detail)}' cannot be set by the client."
            : $"Dynamic variable '{Cut(denial.Detail)}' is fixed by the conversation token."),
        DenialReason.VariableMissing => new(Policy, $"Missing required dynamic variables in first message: {{'{Cut(denial.Detail)}'}}"),
        DenialReason.SubjectMismatch => new(Policy, "user_id does not match the credential."),
        DenialReason.MediaMissing => new(Unauthorized, NoMedia),
        DenialReason.TooManySessions => new(3008, "too many concurrent connections"),
        DenialReason.DailyLimitReached => new(4300, $"Agent has exceeded its daily call limit of {Cut(denial.Detail)}."),
        DenialReason.TooManyRefusals => new(3008, "Too many refused connections: try again in a minute."),
        DenialReason.ShuttingDown => new(1001, "The server is shutting down."),
        DenialReason.Unavailable => new(1011, "Temporarily unavailable: nothing was used up, try again."),
    };

    /// <summary>The HTTP answer. All five fields of old and new readers.</summary>
    public static HttpAnswer Answer(Denial denial) => denial.Reason switch
    {
        DenialReason.KeyMissing when denial.Detail == OtherHeader => Wire.Error(401, "authentication_error", "unauthorized", "invalid_authorization_header", "Send the API key as xi-api-key: an Authorization header is not read here."),
        DenialReason.KeyMissing => Wire.Error(401, "authentication_error", "unauthorized", "needs_authorization", "Neither authorization header nor xi-api-key received, please provide one."),
        DenialReason.KeyInvalid => Wire.Error(401, "authentication_error", "unauthorized", "invalid_api_key", "Invalid API key"),
        DenialReason.WrongKind => Wire.Error(403, "permission_denied", "forbidden", "forbidden", "This is a credential for conversations: only an API key is taken here."),
        DenialReason.ScopeMissing => Wire.Error(401, "authentication_error", "unauthorized", "missing_permissions", $"The API key you used is missing the permission {Permission(denial.Detail)}"),
        DenialReason.RequestInvalid => Wire.Invalid(denial.Detail ?? "body: Invalid"),
        DenialReason.CredentialUnknown => Wire.Error(404, "not_found", "not_found", "not_found", "No such credential."),
        DenialReason.ConversationUnknown => Wire.Error(404, "not_found", "not_found", "not_found", "No such conversation."),
        DenialReason.AgentUnknown => Wire.Error(404, "not_found", "document_not_found", "document_not_found", $"Document with id {denial.Detail} not found."),
        DenialReason.OriginMissing or DenialReason.OriginRefused => Wire.Error(403, "permission_denied", "forbidden", "forbidden", Close(denial).Reason),
        DenialReason.CredentialMissing or DenialReason.AgentPrivateByDefault or DenialReason.CredentialMalformed or DenialReason.BadSignature
            or DenialReason.Expired or DenialReason.AlreadyUsed or DenialReason.Revoked or DenialReason.AgentMismatch
            or DenialReason.ConflictingCredentials or DenialReason.SubjectMismatch => Wire.Error(401, "authentication_error", "unauthorized", "needs_authorization", Close(denial).Reason),
        DenialReason.MediaMissing => Wire.Error(400, "invalid_request", "webrtc_unavailable", "webrtc_unavailable", NoMedia),
        DenialReason.OverrideRefused or DenialReason.VariableRefused or DenialReason.VariableMissing => Wire.Error(400, "validation_error", "invalid_request", "invalid_request", Close(denial).Reason),
        DenialReason.TooManySessions => Wire.Error(429, "rate_limit_error", "concurrent_limit_exceeded", "too_many_concurrent_requests", Close(denial).Reason) with { Headers = [KeyValuePair.Create("Retry-After", "5")] },
        // Not 429: it does not heal by trying again, and clients would.
        DenialReason.DailyLimitReached => Wire.Error(402, "payment_required", "daily_limit_exceeded", "quota_exceeded", Close(denial).Reason),
        DenialReason.TooManyRefusals => Wire.Error(429, "rate_limit_error", "rate_limit_exceeded", "too_many_requests", "Too many refused requests from this address: try again in a minute.") with { Headers = [KeyValuePair.Create("Retry-After", denial.Detail ?? "60")] },
        DenialReason.ShuttingDown or DenialReason.Unavailable => Wire.Error(503, "service_unavailable", "service_unavailable", "service_unavailable", "Temporarily unavailable: nothing was changed, try again.") with { Headers = [KeyValuePair.Create("Retry-After", "1")] },
    };

    /// <summary>Close code, error type and text of a session's end.</summary>
    public static (ushort Code, string Type, string Text) Ending(SessionEndReason reason, string detail) => reason switch
    {
        SessionEndReason.ClientClosed or SessionEndReason.AgentClosed => (1000, "", ""),
        SessionEndReason.MaxDuration => (1000, "max_duration_exceeded", "Max conversation duration reached"),
        SessionEndReason.Idle => (1002, "transport_receive_timeout", "Nothing was heard for too long."),
        SessionEndReason.Revoked => (Policy, "permission_error", "Access was revoked."),
        SessionEndReason.Operator => (Policy, "permission_error", "The session was ended by an operator."),
        SessionEndReason.Shutdown => (1001, "system_error", "The server is shutting down."),
        SessionEndReason.FirstMessageRefused => (Policy, "override_error", detail),
        SessionEndReason.ProtocolError => (1002, "invalid_message", detail.Length > 0 ? detail : "Invalid message received"),
        SessionEndReason.MessageTooBig => (1009, "invalid_message", "A message was larger than this server takes."),
        SessionEndReason.RateExceeded => (Policy, "rate_limit_exceeded", "Too many messages in a second."),
        SessionEndReason.UpstreamUnreachable => (1011, "system_error", "The agent is unreachable."),
        SessionEndReason.UpstreamLost => (1011, "system_error", "The connection to the agent was lost."),
        SessionEndReason.SlowReader => (Policy, "transport_send_timeout", "What was sent was not read."),
        SessionEndReason.InternalError => (1011, "system_error", "Internal error."),
    };

    /// <summary>The error event's code for an agent that cannot answer: operational.</summary>
    public const int AgentFailed = 1002;

    /// <summary>The error event's code for input of a kind that the agent does not take.</summary>
    public const int InputRefused = 1008;

    /// <summary>The vendor's error event knows four codes only.</summary>
    public static int EventCode(ushort close) => close switch { 1000 => 1000, 1002 or 1009 => 1002, 1007 or 1008 => 1008, _ => 1011 };

    private static string Permission(string? scopes) => scopes switch
    {
        "mint" or "admin" => $"convai_write (Postern: {scopes})",
        { } named => $"convai_{(named.Contains("write", StringComparison.Ordinal) ? "write" : "read")} (Postern: {named})",
        null => "convai_write",
    };

    // A close reason holds 123 bytes, not characters, and a name from a client may hold anything: whole runes only, none that controls.
    private static string Cut(string? text)
    {
        var cut = new StringBuilder();
        var bytes = 0;
        foreach (var rune in (text ?? "").EnumerateRunes())
        {
            var shown = Rune.IsControl(rune) ? Rune.ReplacementChar : rune;
            if ((bytes += shown.Utf8SequenceLength) > LongestDetail)
            {
                break;
            }
            cut.Append(shown.ToString());
        }
        return cut.ToString();
    }
}
