using System.Globalization;
using System.Text;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>Which agents a list asks for, and where its page begins (contract, section 4).</summary>
internal sealed record AgentPage(int Size, string Search, bool Archived, IReadOnlyList<string> Tags, bool Descending, AgentOrder Order, (string Sort, string Id)? After)
{
    private const long LastMillisecond = 253402300799999;

    /// <summary>The page, and what is wrong with the query.</summary>
    public static (AgentPage Page, IReadOnlyList<FieldProblem> Problems) Read(WireRequest request)
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
        (string Sort, string Id)? after = null;
        if (query.Text("cursor") is { } cursor && (after = ReadCursor(cursor, order)) is null)
        {
            query.Refuse("cursor", "Not a cursor of this list: leave it out to begin anew");
        }
        return (new AgentPage(size, search, archived, query.All("tags"), descending, order, after), query.Problems);
    }

    /// <summary>The page's agents and the cursor of the next one.</summary>
    public (IReadOnlyList<AgentRow> Rows, string? Next) Fetch(AgentStore store, ProjectId project)
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
        return (rows, found.Count <= Size ? null : WriteCursor(found[Size - 1].Sort, rows[^1].Id));
    }

    private bool Matches(AgentRow row)
    {
        var document = AgentAnswers.Document(row);
        return AgentAnswers.IsArchived(document) == Archived && (Tags.Count == 0 || AgentAnswers.Tags(document).Any(tag => Tags.Contains(tag, StringComparer.Ordinal)));
    }

    private string WriteCursor(string sort, AgentId id) => Base64Text.Encode(Encoding.UTF8.GetBytes($"{Letter(Order)}{id}\n{sort}"));

    private static char Letter(AgentOrder order) => order switch
    {
        AgentOrder.Created => 'c',
        AgentOrder.Name => 'n',
        AgentOrder.CallsOfAWeek => 'w',
        _ => throw new ArgumentOutOfRangeException(nameof(order)),
    };

    // It says no more than where to go on; the project is the key's in every query.
    private static (string Sort, string Id)? ReadCursor(string cursor, AgentOrder order)
    {
        var bytes = new byte[cursor.Length];
        if (!Base64Text.TryDecode(Encoding.UTF8.GetBytes(cursor), bytes, out var length) || !System.Text.Unicode.Utf8.IsValid(bytes.AsSpan(0, length)))
        {
            return null;
        }
        var text = Encoding.UTF8.GetString(bytes, 0, length);
        var end = text.IndexOf('\n', StringComparison.Ordinal);
        if (end < 1 || text[0] != Letter(order) || !AgentIdText.IsValid(text[1..end]))
        {
            return null;
        }
        var sort = text[(end + 1)..];
        var fits = order == AgentOrder.Name ? sort.Length <= AgentForm.LongestName && !sort.Any(char.IsControl)
            : long.TryParse(sort, NumberStyles.None, CultureInfo.InvariantCulture, out var at) && at <= LastMillisecond;
        return fits ? (sort, text[1..end]) : null;
    }
}
