using System.Globalization;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>Which conversations a list asks for, and where its page begins (contract, section 8).</summary>
internal sealed record ConversationPage(ConversationQuery Query)
{
    private const string List = "conversations";
    private const int LongestText = 256;

    /// <summary>The page, and what is wrong with the query. What concerns nothing that Postern knows is accepted and narrows nothing.</summary>
    public static (ConversationPage Page, IReadOnlyList<FieldProblem> Problems) Read(WireRequest request, Cursors cursors, DateTimeOffset now)
    {
        var query = new QueryText(request);
        var page = new ConversationQuery(default, now, query.Number("page_size", 1, 100, 30))
        {
            Agent = Bounded(query, "agent_id"), User = Bounded(query, "user_id"), Search = Bounded(query, "search"),
            StartedBeforeSeconds = query.Whole("call_start_before_unix"), StartedAfterSeconds = query.Whole("call_start_after_unix"),
            ShortestSeconds = query.Whole("call_duration_min_secs"), LongestSeconds = query.Whole("call_duration_max_secs"),
            LeastRating = query.Whole("rating_min"), BestRating = query.Whole("rating_max"), HasComment = query.Choice("has_feedback_comment"),
            TextOnly = query.Choice("text_only"), Ascending = query.Word("sort_direction", "desc", "asc") == "asc",
            States = States(query), After = query.Cursor(cursors, List)?.Split(' ') is [var at, var id] ? (long.Parse(at, CultureInfo.InvariantCulture), id) : null,
        };
        return (new ConversationPage(page), query.Problems);
    }

    /// <summary>The page's conversations and the cursor of the next one.</summary>
    public (IReadOnlyList<ConversationRow> Rows, string? Next) Fetch(ConversationStore store, Cursors cursors, ProjectId project)
    {
        var (rows, next) = store.List(Query with { Project = project });
        return (rows, next is var (at, id) ? cursors.Write(List, string.Create(CultureInfo.InvariantCulture, $"{at} {id}")) : null);
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
}
