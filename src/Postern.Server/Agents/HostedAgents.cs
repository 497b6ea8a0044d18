using Postern.Core.Sessions;

namespace Postern.Server.Agents;

/// <summary>The agents hosted here: which one a session converses with is what its agent's upstream says.</summary>
internal sealed class HostedAgents(TimeProvider clock)
{
    /// <summary>The agent of a session. What it remembers of the user is the session's subject's, whom the credential names; of nobody else anything.</summary>
    /// <param name="remembers">False: it neither reads nor writes what it remembers.</param>
    public IHostedAgent For(Session session, ConversationPlan plan, bool remembers = true) => new EchoAgent(plan, clock);
}
