namespace Postern.Core;

/// <summary>Every reason for which Postern refuses. Closed: a new value does not compile until each dialect answers it (CS8509).</summary>
public enum DenialReason
{
    /// <summary>No API key was presented where one is required.</summary>
    KeyMissing,
    /// <summary>The API key is malformed, unknown or revoked.</summary>
    KeyInvalid,
    /// <summary>The API key lacks the scope that the call needs; the detail names it.</summary>
    ScopeMissing,
    /// <summary>The request is not of the contract's form; the detail names the member and the rule.</summary>
    RequestInvalid,
    /// <summary>No such agent in the project of the key or credential.</summary>
    AgentUnknown,
    /// <summary>The agent needs a credential and none was presented.</summary>
    CredentialMissing,
    /// <summary>As <see cref="CredentialMissing"/>, on an agent that is private only because nothing was said about its access.</summary>
    AgentPrivateByDefault,
    /// <summary>No such credential in the project of the key.</summary>
    CredentialUnknown,
    /// <summary>The text is no credential at all: length, alphabet, encoding or claims are wrong.</summary>
    CredentialMalformed,
    /// <summary>The message authentication code does not match, or the signing key is unknown or retired.</summary>
    BadSignature,
    /// <summary>A genuine credential of another kind.</summary>
    WrongKind,
    /// <summary>The time to start has passed.</summary>
    Expired,
    /// <summary>All uses are spent.</summary>
    AlreadyUsed,
    /// <summary>Revoked: the credential, its API key, its subject or its agent.</summary>
    Revoked,
    /// <summary>The credential is for another agent than the request names.</summary>
    AgentMismatch,
    /// <summary>Two different credentials in one request.</summary>
    ConflictingCredentials,
    /// <summary>The agent requires an Origin header and none was sent.</summary>
    OriginMissing,
    /// <summary>The origin is not on the allowlist; the detail is the host.</summary>
    OriginRefused,
    /// <summary>The client set a field that it may not set; the detail is the field.</summary>
    OverrideRefused,
    /// <summary>The client set a variable that it may not set; the detail is the variable.</summary>
    VariableRefused,
    /// <summary>The client claims another user than the credential names.</summary>
    SubjectMismatch,
    /// <summary>No such conversation of this end user with this agent.</summary>
    ConversationUnknown,
    /// <summary>A required variable has no value; the detail is the variable.</summary>
    VariableMissing,
    /// <summary>The agent has no media server, so that no WebRTC session can be held with it.</summary>
    MediaMissing,
    /// <summary>As many sessions of the agent, or of the address with public agents, live as may live at one time.</summary>
    TooManySessions,
    /// <summary>As many sessions of the agent have begun today as may begin; the detail is their number.</summary>
    DailyLimitReached,
    /// <summary>Too many refusals from one address.</summary>
    TooManyRefusals,
    /// <summary>The server is shutting down.</summary>
    ShuttingDown,
    /// <summary>Something that Postern needs is away: an outage denies.</summary>
    Unavailable,
}
