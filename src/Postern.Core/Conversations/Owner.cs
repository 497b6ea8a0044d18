using Postern.Core.Agents;
using Postern.Core.Projects;

namespace Postern.Core.Conversations;

/// <summary>
/// Whose a conversation or a memory is: one end user's with one agent. Nobody else reads it, appends to it or learns that it is there.
/// </summary>
/// <param name="Project">The project.</param>
/// <param name="Agent">The agent's own id, never an alias.</param>
/// <param name="Subject">The end user, byte for byte, as a credential names it; empty is nobody in particular, who has no memory.</param>
public readonly record struct Owner(ProjectId Project, AgentId Agent, string Subject)
{
    /// <summary>Whether no credential names the end user.</summary>
    public bool IsAnonymous => Subject.Length == 0;
}
