using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>Which agents a list asks for, and where its page begins (contract, section 4).</summary>
internal sealed record AgentPage(int Size, string Search, bool Archived, IReadOnlyList<string> Tags, bool Descending, AgentOrder Order, (string Sort, string Id)? After)
{
    /// <summary>The page, and what is wrong with the query.</summary>
    public static (AgentPage Page, IReadOnlyList<FieldProblem> Problems) Read(WireRequest request, Cursors cursors)
    {
        var query = new QueryText(request);
        var size = query.Number("page_size", 1, 100, 30);
        var search = query.Text("search") ?? "";
        var archived = query.Flag("archived", absent: false);
        var descending = query.Word("sort_direction", "desc", "asc") == "desc";
        var order = query.Word("sort_by", "created_at", "name", "call_count_7d") switch
        {
            "name" => AgentOrder.Name,
            "call_count_7d" => AgentOrder.CallsOfAWeek,
            _ => AgentOrder.Created,
        };
        (string Sort, string Id)? after = query.Cursor(cursors, List(order))?.Split('\n', 2) is [var id, var sort] ? (sort, id) : null;
        return (new AgentPage(size, search, archived, query.All("tags"), descending, order, after), query.Problems);
    }

    /// <summary>The page's agents and the cursor of the next one.</summary>
    public (IReadOnlyList<AgentRow> Rows, string? Next) Fetch(AgentStore store, Cursors cursors, ProjectId project)
    {
        var found = new List<(AgentRow Row, string Sort)>();
        var after = After;
        while (found.Count <= Size)
        {
            // Archive and tags are known to the document alone: what does not match is read over.
            var batch = store.List(new AgentQuery(project, Search, Descending, Order, Size + 1, after));
            found.AddRange(batch.Where(one => Matches(one.Row)));
            if (batch.Count <= Size)
            {
                break;
            }
            after = (batch[^1].Sort, batch[^1].Row.Id.Value);
        }
        var rows = found.Take(Size).Select(one => one.Row).ToList();
        return (rows, found.Count <= Size ? null : cursors.Write(List(Order), $"{rows[^1].Id}\n{found[Size - 1].Sort}"));
    }

    private bool Matches(AgentRow row)
    {
        var document = AgentAnswers.Document(row);
        return AgentAnswers.IsArchived(document) == Archived && (Tags.Count == 0 || AgentAnswers.Tags(document).Any(tag => Tags.Contains(tag, StringComparer.Ordinal)));
    }

    // A place in one order is none in another.
    private static string List(AgentOrder order) => $"agents by {order}";
}
