using System.Net.WebSockets;
using Microsoft.Extensions.Logging.Abstractions;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Flow;

namespace Postern.Server.Dialects;

/// <summary>What a conversation with a hosted agent has at hand.</summary>
/// <param name="Dialect">Whose words are spoken: refuses, ends and judges the opening.</param>
/// <param name="Socket">The client; messages are read and written whole.</param>
/// <param name="Session">What was admitted.</param>
/// <param name="Leash">Ends the session from outside.</param>
/// <param name="Recorder">Keeps what is said.</param>
/// <param name="Activity">Counts frames and shows when the last one came.</param>
/// <param name="Agents">Whom it converses with.</param>
/// <param name="Options">Limits.</param>
internal sealed record TalkContext(
    SocketDialect Dialect, WebSocket Socket, Session Session, Leash Leash, ConversationRecorder Recorder, SessionActivity Activity,
    HostedAgents Agents, PosternOptions Options, TimeProvider Clock)
{
    /// <summary>For defects and what could not be recorded.</summary>
    public ILogger Log { get; init; } = NullLogger.Instance;
}
