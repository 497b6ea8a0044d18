namespace Postern.Core.Sessions;

/// <summary>Why a session ended. Closed: every dialect has an answer for each value.</summary>
public enum SessionEndReason
{
    /// <summary>The client closed the connection, with or without a close frame.</summary>
    ClientClosed,
    /// <summary>The agent closed the conversation in an orderly way.</summary>
    AgentClosed,
    /// <summary>The longest duration of the session was reached.</summary>
    MaxDuration,
    /// <summary>Neither side sent anything for the idle limit.</summary>
    Idle,
    /// <summary>The credential, its subject, its key or its agent was revoked.</summary>
    Revoked,
    /// <summary>An operator ended the session.</summary>
    Operator,
    /// <summary>The server is shutting down.</summary>
    Shutdown,
    /// <summary>The first client message was refused; the detail names the field.</summary>
    FirstMessageRefused,
    /// <summary>The client broke the WebSocket or the vendor's protocol.</summary>
    ProtocolError,
    /// <summary>A message was larger than the limit.</summary>
    MessageTooBig,
    /// <summary>More frames or bytes per second than the limit.</summary>
    RateExceeded,
    /// <summary>The upstream could not be reached, refused the upgrade or did not answer in time.</summary>
    UpstreamUnreachable,
    /// <summary>The upstream connection died without a close frame.</summary>
    UpstreamLost,
    /// <summary>A side did not take what was sent to it within the limit.</summary>
    SlowReader,
    /// <summary>A defect of Postern.</summary>
    InternalError,
}

/// <summary>How one session ended: decided once, in one place, whatever ended it.</summary>
/// <param name="Reason">What ended it.</param>
/// <param name="CloseCode">The WebSocket close code told to the client, or 1005/1006 when there was none (RFC 6455, 7.4.1).</param>
/// <param name="Detail">For people: what exactly happened, without any secret.</param>
public sealed record SessionEnd(SessionEndReason Reason, ushort CloseCode, string Detail = "");

/// <summary>A WebSocket close: code and a reason of at most 123 bytes of UTF-8 (RFC 6455, 5.5).</summary>
public readonly record struct CloseFrame(ushort Code, string Reason);
