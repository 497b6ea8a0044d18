using Postern.Core.Conversations;

namespace Postern.Server.Storage;

/// <summary>What was observed, thought, done and reached.</summary>
internal sealed record MemoryEpisode(string Observation, string Thoughts, string Action, string Result);

/// <summary>What is to be remembered of an end user.</summary>
/// <param name="Text">In short.</param>
/// <param name="RawExtract">The words that it comes from.</param>
internal sealed record MemoryDraft(string Text, string RawExtract)
{
    public IReadOnlyList<string> Keywords { get; init; } = [];
    public IReadOnlyList<string> Topics { get; init; } = [];
    public IReadOnlyList<string> Tags { get; init; } = [];
    public IReadOnlyList<string> RecallTriggers { get; init; } = [];

    /// <summary>Of an episodic memory; a semantic one has none.</summary>
    public MemoryEpisode? Episode { get; init; }

    /// <summary>What the agent keeps of one sentence.</summary>
    public static MemoryDraft Of(string text) => new(text, text);
}

/// <summary>One thing that is remembered.</summary>
internal sealed record MemoryRecord(string Id, Owner Owner, MemoryDraft Content, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    /// <summary>The vendor's word for what it is.</summary>
    public string Kind => Content.Episode is null ? "semantic" : "episodic";
}

/// <summary>Which memories to find by pages; a null member does not narrow.</summary>
internal sealed record MemoryQuery(Core.Projects.ProjectId Project, Core.Agents.AgentId Agent)
{
    /// <summary>Whose alone.</summary>
    public string? Subject { get; init; }
    public string? Kind { get; init; }
    /// <summary>Changed then or later.</summary>
    public DateTimeOffset? From { get; init; }
    /// <summary>Changed before then.</summary>
    public DateTimeOffset? Before { get; init; }
    public int Limit { get; init; } = int.MaxValue;
    public long Offset { get; init; }
}

/// <summary>What to look for in a memory.</summary>
/// <param name="Texts">Each word counts.</param>
internal sealed record MemorySearch(IReadOnlyList<string> Texts, int Limit)
{
    private const int ShortestWord = 3;
    private readonly HashSet<string> words = [.. Texts.SelectMany(Words)];

    /// <summary>With one of these; empty is any.</summary>
    public IReadOnlyList<string> Topics { get; init; } = [];
    public string? Kind { get; init; }

    /// <summary>Whether a record may be found at all.</summary>
    public bool Admits(MemoryRecord record) => (Kind is null || record.Kind == Kind) && (Topics.Count == 0 || Topics.Intersect(record.Content.Topics, StringComparer.Ordinal).Any());

    /// <summary>How many of the words stand in it.</summary>
    public int Hits(MemoryRecord record) =>
        new[] { record.Content.Text, record.Content.RawExtract }.Concat(record.Content.Keywords).Concat(record.Content.Tags).Concat(record.Content.RecallTriggers)
            .SelectMany(Words).Distinct(StringComparer.Ordinal).Count(words.Contains);

    // Letters and digits in whatever case; the short ones stand everywhere.
    private static IEnumerable<string> Words(string text)
    {
        for (int start = 0, i = 0; i <= text.Length; i++)
        {
            if (i == text.Length || !char.IsLetterOrDigit(text[i]))
            {
                if (i - start >= ShortestWord)
                {
                    yield return text[start..i].ToLowerInvariant();
                }
                start = i + 1;
            }
        }
    }
}
