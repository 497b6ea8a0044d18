using Postern.Core.Conversations;
using Postern.Core.Sessions;
using Postern.Server.Agents.Chat;
using Postern.Server.Storage;
using Upstream = Postern.Core.Agents.Upstream;

namespace Postern.Server.Agents;

/// <summary>The agents hosted here: which one a session converses with is what its agent's upstream says.</summary>
internal sealed class HostedAgents(PosternOptions options, MemoryStore memories, ILogger<HostedAgents> log, TimeProvider clock) : IDisposable
{
    private readonly ChatEndpoints endpoints = new(options);

    /// <summary>The agent of a session. What it remembers of the user is the session's subject's, whom the credential names; of nobody else anything.</summary>
    /// <param name="remembers">False: it neither reads nor writes what it remembers.</param>
    public IHostedAgent For(Session session, ConversationPlan plan, bool remembers = true)
    {
        var memory = remembers ? MemoryOf(session) : null;
        return session.Agent.Upstream is Upstream.Chat chat
            ? new ChatAgent(endpoints, chat, plan, memory, session.Id, options.Chat, log, clock)
            : new EchoAgent(plan, memory, clock);
    }

    public void Dispose() => endpoints.Dispose();

    private AgentMemory? MemoryOf(Session session) =>
        session.Terms.Subject is { Length: > 0 } subject ? new AgentMemory(memories, new Owner(session.Agent.Project, session.Agent.Id, subject), clock) : null;
}
