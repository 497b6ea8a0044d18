using Postern.Core.Agents;
using Postern.Core.Projects;

namespace Postern.Core.Audit;

/// <summary>One row of the audit trail: what happened, to whom, why. Holds ids only, never a credential's or a key's text.</summary>
/// <param name="At">When it was decided.</param>
/// <param name="Name">One of the names in <see cref="AuditNames"/>.</param>
public sealed record AuditEvent(DateTimeOffset At, string Name)
{
    /// <summary>The project concerned, when known.</summary>
    public ProjectId? Project { get; init; }
    /// <summary>The agent concerned.</summary>
    public AgentId? Agent { get; init; }
    /// <summary>The API key or signing key concerned.</summary>
    public string? Key { get; init; }
    /// <summary>The credential concerned, when its signature held.</summary>
    public string? Credential { get; init; }
    /// <summary>The session concerned.</summary>
    public string? Session { get; init; }
    /// <summary>The end user.</summary>
    public string? Subject { get; init; }
    /// <summary>The <see cref="DenialReason"/> or <see cref="Sessions.SessionEndReason"/>, by name.</summary>
    public string? Reason { get; init; }
    /// <summary>For people: the field, host or range concerned.</summary>
    public string? Detail { get; init; }
    /// <summary>The client's address.</summary>
    public string? Address { get; init; }
}

/// <summary>The names of audit events.</summary>
public static class AuditNames
{
    /// <summary>A credential was minted.</summary>
    public const string CredentialMinted = "credential.minted";
    /// <summary>A credential was given more time.</summary>
    public const string CredentialExtended = "credential.extended";
    /// <summary>A credential was revoked.</summary>
    public const string CredentialRevoked = "credential.revoked";
    /// <summary>A mint was refused.</summary>
    public const string MintRefused = "credential.refused";
    /// <summary>A session was admitted.</summary>
    public const string SessionStarted = "session.started";
    /// <summary>A connection was refused.</summary>
    public const string SessionRefused = "session.refused";
    /// <summary>A session ended.</summary>
    public const string SessionEnded = "session.ended";
    /// <summary>An operator asked for the end of a session.</summary>
    public const string SessionEndAsked = "session.end_asked";
    /// <summary>An agent was created.</summary>
    public const string AgentCreated = "agent.created";
    /// <summary>An agent was changed.</summary>
    public const string AgentChanged = "agent.changed";
    /// <summary>An agent was deleted.</summary>
    public const string AgentDeleted = "agent.deleted";
    /// <summary>A project was created.</summary>
    public const string ProjectCreated = "project.created";
    /// <summary>What a project says about its new agents was changed.</summary>
    public const string ProjectChanged = "project.changed";
    /// <summary>An API key was created.</summary>
    public const string KeyCreated = "key.created";
    /// <summary>An API key was revoked.</summary>
    public const string KeyRevoked = "key.revoked";
    /// <summary>The signing key was rotated.</summary>
    public const string SigningKeyRotated = "signing_key.rotated";
    /// <summary>A user-token key was created or brought along.</summary>
    public const string UserTokenKeyCreated = "user_token_key.created";
    /// <summary>A user-token key's name, scope or switch was changed.</summary>
    public const string UserTokenKeyChanged = "user_token_key.changed";
    /// <summary>A user-token key was deleted.</summary>
    public const string UserTokenKeyDeleted = "user_token_key.deleted";
    /// <summary>Tokens of a user or a key issued before were refused.</summary>
    public const string UserTokenCutOff = "user_token.cut_off";
    /// <summary>That was lifted.</summary>
    public const string UserTokenCutOffLifted = "user_token.cut_off_lifted";
    /// <summary>A conversation was deleted.</summary>
    public const string ConversationDeleted = "conversation.deleted";
    /// <summary>Conversations, or messages of some, grew older than their project keeps them.</summary>
    public const string ConversationsSwept = "conversation.swept";
    /// <summary>Something that was remembered of an end user was forgotten.</summary>
    public const string MemoryDeleted = "memory.deleted";
    /// <summary>All that an end user had said and that was remembered of them was erased.</summary>
    public const string UserDataErased = "user_data.erased";
    /// <summary>How long a project keeps conversations was changed.</summary>
    public const string RetentionChanged = "retention.changed";
}
