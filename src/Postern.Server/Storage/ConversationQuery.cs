using System.Globalization;
using Postern.Core.Agents;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>An end user as the conversations know one.</summary>
/// <param name="IsBound">Credentials have named this user; else clients have only claimed to be.</param>
internal sealed record ConversationUser(string Id, bool IsBound, DateTimeOffset First, DateTimeOffset Last, long Conversations, string LastConversation, AgentId LastAgent);

/// <summary>Which conversations to list; a null member does not narrow. <see cref="After"/> is the last one of the page before.</summary>
internal sealed record ConversationQuery(ProjectId Project, DateTimeOffset Now, int Limit)
{
    public bool Ascending { get; init; }
    public (long StartedAt, string Id)? After { get; init; }
    public string? Agent { get; init; }
    public string? User { get; init; }
    public long? StartedBeforeSeconds { get; init; }
    public long? StartedAfterSeconds { get; init; }
    public long? LongestSeconds { get; init; }
    public long? ShortestSeconds { get; init; }
    public bool? TextOnly { get; init; }
    public long? LeastRating { get; init; }
    public long? BestRating { get; init; }
    public bool? HasComment { get; init; }

    /// <summary>A text that was said, in whatever case. It is looked for in memory, as no database can read what is sealed.</summary>
    public string? Search { get; init; }

    /// <summary>The most messages that one page opens to look for a text; the next page goes on from there.</summary>
    public const int MostOpened = 20_000;

    /// <summary>Any of these states.</summary>
    public IReadOnlyList<ConversationState>? States { get; init; }

    /// <summary>Ends that count as failures; every other one is an orderly end.</summary>
    public static readonly IReadOnlyList<string> Failures =
        ["FirstMessageRefused", "ProtocolError", "MessageTooBig", "RateExceeded", "UpstreamUnreachable", "UpstreamLost", "SlowReader", "InternalError", "Lost"];

    private static readonly string FailureList = string.Join(", ", Failures.Select(reason => $"'{reason}'"));

    /// <summary>A pattern for <c>like … escape '\'</c> that finds the text anywhere.</summary>
    public static string Like(string text) => "%" + text.ToLowerInvariant()
        .Replace("\\", "\\\\", StringComparison.Ordinal).Replace("%", "\\%", StringComparison.Ordinal).Replace("_", "\\_", StringComparison.Ordinal) + "%";

    /// <summary>The condition, its values appended to <paramref name="values"/>.</summary>
    public string Where(List<object?> values)
    {
        var conditions = new List<string>();
        Add("project_id = $", Project.Value);
        Add("agent_id = $", Agent);
        Add("coalesce(nullif(subject, ''), claimed_subject) = $", User);
        Add("started_at < $", Milliseconds(StartedBeforeSeconds));
        Add("started_at > $", Milliseconds(StartedAfterSeconds));
        var duration = string.Create(CultureInfo.InvariantCulture, $"(coalesce(ended_at, {Now.ToUnixTimeMilliseconds()}) - started_at)");
        Add(duration + " <= $", Milliseconds(LongestSeconds));
        Add(duration + " >= $", Milliseconds(ShortestSeconds));
        Add("text_only = $", TextOnly is { } only ? only ? 1 : 0 : null);
        Add("rating >= $", LeastRating);
        Add("rating <= $", BestRating);
        if (HasComment is { } has)
        {
            conditions.Add(has ? "comment is not null" : "comment is null");
        }
        if (States is { } states)
        {
            conditions.Add(states.Count == 0 ? "1 = 0" : "(" + string.Join(" or ", states.Select(Condition)) + ")");
        }
        return string.Join(" and ", conditions);

        void Add(string condition, object? value)
        {
            if (value is not null)
            {
                values.Add(value);
                conditions.Add(string.Create(CultureInfo.InvariantCulture, $"{condition}{values.Count}"));
            }
        }
    }

    private static string Condition(ConversationState state) => state switch
    {
        ConversationState.InProgress => "ended_at is null",
        ConversationState.Failed => $"end_reason in ({FailureList})",
        ConversationState.Done => $"(ended_at is not null and end_reason not in ({FailureList}))",
        _ => throw new ArgumentOutOfRangeException(nameof(state)),
    };

    // Beyond the calendar no number narrows; it must not overflow either.
    private static object? Milliseconds(long? seconds) => seconds is { } value ? Math.Clamp(value, -1_000_000_000_000, 1_000_000_000_000) * 1000 : null;
}

/// <summary>Where a conversation stands.</summary>
internal enum ConversationState
{
    /// <summary>It goes on.</summary>
    InProgress,
    /// <summary>It ended in an orderly way.</summary>
    Done,
    /// <summary>Something went wrong.</summary>
    Failed,
}
