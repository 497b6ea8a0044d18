using System.Globalization;
using System.Text;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>Which agents a list asks for, and where its page begins (contract, section 4).</summary>
internal sealed record AgentPage(int Size, string Search, bool Archived, IReadOnlyList<string> Tags, bool Descending, bool ByName, (string Sort, string Id)? After)
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
        // Calls are not counted for agents: that order is the one of creation.
        var byName = query.Word("sort_by", "created_at", "name", "call_count_7d") == "name";
        (string Sort, string Id)? after = null;
        if (query.Text("cursor") is { } cursor && (after = ReadCursor(cursor, byName)) is null)
        {
            query.Refuse("cursor", "Not a cursor of this list: leave it out to begin anew");
        }
        return (new AgentPage(size, search, archived, query.All("tags"), descending, byName, after), query.Problems);
    }

    /// <summary>The page's agents and the cursor of the next one.</summary>
    public (IReadOnlyList<AgentRow> Rows, string? Next) Fetch(AgentStore store, ProjectId project)
    {
        var rows = new List<AgentRow>();
        var after = After;
        while (rows.Count <= Size)
        {
            // Archive and tags are known to the document alone: what does not match is read over.
            var batch = store.List(new AgentQuery(project, Search, Descending, ByName, Size + 1, after));
            rows.AddRange(batch.Where(Matches));
            if (batch.Count <= Size)
            {
                break;
            }
            after = SortOf(batch[^1]);
        }
        if (rows.Count <= Size)
        {
            return (rows, null);
        }
        rows.RemoveRange(Size, rows.Count - Size);
        return (rows, WriteCursor(SortOf(rows[^1])));
    }

    private bool Matches(AgentRow row)
    {
        var document = AgentAnswers.Document(row);
        return AgentAnswers.IsArchived(document) == Archived && (Tags.Count == 0 || AgentAnswers.Tags(document).Any(tag => Tags.Contains(tag, StringComparer.Ordinal)));
    }

    private (string Sort, string Id) SortOf(AgentRow row) =>
        (ByName ? row.Name : row.CreatedAt.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture), row.Id.Value);

    private string WriteCursor((string Sort, string Id) last) =>
        Base64Text.Encode(Encoding.UTF8.GetBytes($"{(ByName ? 'n' : 'c')}{last.Id}\n{last.Sort}"));

    // It says no more than where to go on; the project is the key's in every query.
    private static (string Sort, string Id)? ReadCursor(string cursor, bool byName)
    {
        var bytes = new byte[cursor.Length];
        if (!Base64Text.TryDecode(Encoding.UTF8.GetBytes(cursor), bytes, out var length) || !System.Text.Unicode.Utf8.IsValid(bytes.AsSpan(0, length)))
        {
            return null;
        }
        var text = Encoding.UTF8.GetString(bytes, 0, length);
        var end = text.IndexOf('\n', StringComparison.Ordinal);
        if (end < 1 || text[0] != (byName ? 'n' : 'c') || !AgentIdText.IsValid(text[1..end]))
        {
            return null;
        }
        var sort = text[(end + 1)..];
        var fits = byName ? sort.Length <= AgentForm.LongestName && !sort.Any(char.IsControl)
            : long.TryParse(sort, NumberStyles.None, CultureInfo.InvariantCulture, out var at) && at <= LastMillisecond;
        return fits ? (sort, text[1..end]) : null;
    }
}
