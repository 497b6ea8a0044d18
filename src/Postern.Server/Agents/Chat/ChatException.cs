namespace Postern.Server.Agents.Chat;

/// <summary>Why a chat endpoint gave no answer, or not all of it. The message is for the log alone: it names neither key, path nor what the endpoint said.</summary>
internal sealed class ChatException(AgentFailure failure, string message, Exception? inner = null) : Exception(message, inner)
{
    public AgentFailure Failure { get; } = failure;

    /// <summary>The endpoint's status; 0 when it is not that which failed.</summary>
    public int Status { get; init; }

    /// <summary>The endpoint's words for the error and the parameter.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary>What an end user may know.</summary>
    public static string Sentence(AgentFailure failure) => failure switch
    {
        AgentFailure.Unreachable => "The agent cannot be reached at the moment.",
        AgentFailure.Timeout => "The agent did not answer in time.",
        AgentFailure.Busy => "The agent has too much to do at the moment: try again in a moment.",
        AgentFailure.Broken => "The agent could not answer.",
    };
}
