namespace Postern.Server.Agents;

/// <summary>An agent hosted here, for one session. It holds nothing of the conversation: who calls it does.</summary>
internal interface IHostedAgent
{
    /// <summary>Whether it understands sound and answers with it; one that does not takes texts only.</summary>
    bool HasVoice { get; }

    /// <summary>
    /// Answers the last word of a conversation, act by act as they come: pieces, then the whole, then sound; or a failure. Cancelled, it
    /// stops at once, and so does what is behind it; it throws nothing else.
    /// </summary>
    IAsyncEnumerable<AgentAct> AnswerAsync(AgentTurn turn, CancellationToken ct);
}

/// <summary>What an agent is to answer.</summary>
/// <param name="Conversation">What was said so far, oldest first; the last one is to be answered.</param>
internal sealed record AgentTurn(IReadOnlyList<Said> Conversation)
{
    /// <summary>The sound of the last word, when it was spoken.</summary>
    public Speech? Heard { get; init; }

    /// <summary>The rate at which the answer is to be played; null for a written one.</summary>
    public int? PlayAt { get; init; }

    /// <summary>What this session adds to the agent's prompt.</summary>
    public string Instructions { get; init; } = "";

    /// <summary>The user's last word.</summary>
    public string LastWord => Conversation.LastOrDefault(said => said.By == SaidBy.User)?.Text ?? "";
}

/// <summary>Something said.</summary>
internal sealed record Said(SaidBy By, string Text);

/// <summary>Who said it.</summary>
internal enum SaidBy
{
    User,
    Agent,
    /// <summary>The application, which tells both something.</summary>
    Application,
}
