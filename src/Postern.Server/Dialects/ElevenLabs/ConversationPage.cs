using System.Globalization;
using System.Text;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>Which conversations a list asks for, and where its page begins (contract, section 8).</summary>
internal sealed record ConversationPage(ConversationQuery Query)
{
    private const int LongestText = 256;

    /// <summary>The page, and what is wrong with the query. What concerns nothing that Postern knows is accepted and narrows nothing.</summary>
    public static (ConversationPage Page, IReadOnlyList<FieldProblem> Problems) Read(WireRequest request, DateTimeOffset now)
    {
        var query = new QueryText(request);
        var page = new ConversationQuery(default, now, query.Number("page_size", 1, 100, 30))
        {
            Agent = Bounded(query, "agent_id"), User = Bounded(query, "user_id"), Search = Bounded(query, "search"),
            StartedBeforeSeconds = query.Whole("call_start_before_unix"), StartedAfterSeconds = query.Whole("call_start_after_unix"),
            ShortestSeconds = query.Whole("call_duration_min_secs"), LongestSeconds = query.Whole("call_duration_max_secs"),
            LeastRating = query.Whole("rating_min"), BestRating = query.Whole("rating_max"), HasComment = query.Choice("has_feedback_comment"),
            TextOnly = query.Choice("text_only"), Ascending = query.Word("sort_direction", "desc", "asc") == "asc",
            States = States(query), After = ReadCursor(query),
        };
        return (new ConversationPage(page), query.Problems);
    }

    /// <summary>The page's conversations and the cursor of the next one.</summary>
    public (IReadOnlyList<ConversationRow> Rows, string? Next) Fetch(ConversationStore store, ProjectId project)
    {
        var (rows, next) = store.List(Query with { Project = project });
        return (rows, next is var (at, id) ? WriteCursor(at, id) : null);
    }

    // Both lists narrow; what a state is called is the vendor's business, which states there are is ours.
    private static List<ConversationState>? States(QueryText query)
    {
        var successful = query.Text("call_successful");
        var excluded = query.All("exclude_statuses").SelectMany(text => text.Split(',')).ToList();
        if (successful is not (null or "success" or "failure" or "unknown"))
        {
            query.Refuse("call_successful", "Input should be one of: success, failure, unknown");
        }
        return successful is null && excluded.Count == 0 ? null : [.. Enum.GetValues<ConversationState>()
            .Where(state => (successful is null || ConversationAnswers.Success(state) == successful) && !excluded.Contains(ConversationAnswers.Status(state)))];
    }

    private static string? Bounded(QueryText query, string name)
    {
        if (query.Text(name) is not { } text || (text.Length <= LongestText && !text.Contains('\0', StringComparison.Ordinal)))
        {
            return query.Text(name);
        }
        query.Refuse(name, $"Input should be a text of at most {LongestText} characters");
        return null;
    }

    private static string WriteCursor(long startedAt, string id) =>
        Base64Text.Encode(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{startedAt} {id}")));

    // It says no more than where to go on; the project is the key's in every query.
    private static (long StartedAt, string Id)? ReadCursor(QueryText query)
    {
        if (query.Text("cursor") is not { } cursor)
        {
            return null;
        }
        var bytes = new byte[cursor.Length];
        if (Base64Text.TryDecode(Encoding.UTF8.GetBytes(cursor), bytes, out var length)
            && Encoding.ASCII.GetString(bytes, 0, length).Split(' ') is [var time, var id]
            && long.TryParse(time, NumberStyles.None, CultureInfo.InvariantCulture, out var at) && AgentIdText.IsValid(id))
        {
            return (at, id);
        }
        query.Refuse("cursor", "Not a cursor of this list: leave it out to begin anew");
        return null;
    }
}
