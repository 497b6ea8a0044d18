namespace Postern.Server.Agents;

/// <summary>What a hosted agent does while it answers; a dialect says it in its vendor's words.</summary>
internal abstract record AgentAct
{
    private AgentAct() { }

    /// <summary>The next piece of what it says, as soon as it is there.</summary>
    public sealed record Piece(string Text) : AgentAct;

    /// <summary>All that it said: the pieces together. Once in every answer that did not fail, behind the last piece.</summary>
    public sealed record Says(string Text) : AgentAct
    {
        /// <summary>Why it stopped.</summary>
        public AnswerEnd End { get; init; }

        /// <summary>What it cost, where that is known.</summary>
        public TokenCount? Tokens { get; init; }
    }

    /// <summary>It plays a piece of sound at the rate that was asked for.</summary>
    public sealed record Plays(short[] Samples) : AgentAct;

    /// <summary>It uses a tool.</summary>
    /// <param name="Arguments">A JSON object.</param>
    public sealed record Calls(string Id, string Tool, string Arguments) : AgentAct;

    /// <summary>What the tool gave it.</summary>
    /// <param name="Result">A JSON object; for an error the sentence.</param>
    public sealed record Returned(string Id, string Tool, string Result, bool IsError) : AgentAct;

    /// <summary>It cannot go on: the last act of an answer.</summary>
    /// <param name="Sentence">For the end user; tells nothing of what is behind the agent.</param>
    public sealed record Failed(AgentFailure Failure, string Sentence) : AgentAct;
}

/// <summary>Why an answer came to its end.</summary>
internal enum AnswerEnd
{
    /// <summary>Everything is said.</summary>
    Stop,
    /// <summary>It was as long as it may be.</summary>
    Length,
    /// <summary>The agent's own rules stopped it.</summary>
    Filtered,
}

/// <summary>What an answer cost.</summary>
internal sealed record TokenCount(long Input, long Output);

/// <summary>Why an agent cannot answer.</summary>
internal enum AgentFailure
{
    /// <summary>It could not be reached, or the connection was lost.</summary>
    Unreachable,
    /// <summary>It took too long.</summary>
    Timeout,
    /// <summary>It has too much to do; later it may answer.</summary>
    Busy,
    /// <summary>It refused, or what it said cannot be understood: an operator has to mend it.</summary>
    Broken,
}
