using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Projects;
using Postern.Core.Sessions;

namespace Postern.Server.Storage;

/// <summary>Who said something.</summary>
internal enum TurnRole
{
    /// <summary>The end user.</summary>
    User,
    /// <summary>The agent.</summary>
    Agent,
}

/// <summary>One thing said.</summary>
internal sealed record Turn(int Position, TurnRole Role, string Message, DateTimeOffset At);

/// <summary>A conversation as it begins.</summary>
/// <param name="AuthorizationMethod">What opened it, in the words of <c>elevenlabs.md</c> section 8.</param>
/// <param name="Initiation">The client's first message as it came; empty when there was none.</param>
internal sealed record ConversationStart(Session Session, string AuthorizationMethod, string? ClaimedSubject, string Initiation, bool TextOnly);

/// <summary>What is new in a conversation: written in one transaction, harmless when written twice.</summary>
internal sealed record ConversationChange(string Id, ConversationStart? Start, IReadOnlyList<Turn> Turns)
{
    public (SessionEnd End, DateTimeOffset At, int Likes, int Dislikes)? End { get; init; }
}

/// <summary>A conversation as stored.</summary>
internal sealed record ConversationRow(
    string Id, ProjectId Project, AgentId Agent, string? Subject, string? ClaimedSubject, string AuthorizationMethod, string Initiation, bool TextOnly,
    DateTimeOffset StartedAt, DateTimeOffset? EndedAt, string? EndReason, int? CloseCode, string? Detail, int MessageCount,
    int Likes, int Dislikes, string? Feedback, int? Rating, string? Comment)
{
    /// <summary>The end user: whom the credential named, else whom the client claimed to be.</summary>
    public string? User => Subject ?? ClaimedSubject;
}

/// <summary>What a user thinks of a conversation as a whole; null members stay as they are.</summary>
internal sealed record ConversationFeedback(string? Verdict, int? Rating, string? Comment);

/// <summary>Conversations in SQL.</summary>
internal sealed class ConversationStore(Database database, GroupedWriter writer)
{
    private const string Columns =
        "id, project_id, agent_id, subject, claimed_subject, authorization_method, initiation, text_only, started_at, ended_at, end_reason, close_code, detail, "
        + "message_count, likes, dislikes, feedback, rating, comment";

    /// <summary>Writes what is new. Turns and end of a conversation that was deleted meanwhile vanish.</summary>
    public Task WriteAsync(ConversationChange change) => writer.WriteAsync(transaction =>
    {
        if (change.Start is { } start)
        {
            Insert(transaction, start);
        }
        if (change.Turns is [.., var last] && transaction.Execute("update conversation set message_count = $1 where id = $2", last.Position + 1, change.Id) > 0)
        {
            foreach (var turn in change.Turns)
            {
                transaction.Execute("insert into turn (conversation_id, position, role, message, at) values ($1, $2, $3, $4, $5) on conflict (conversation_id, position) do nothing",
                    change.Id, turn.Position, turn.Role == TurnRole.User ? "user" : "agent", turn.Message, turn.At.ToUnixTimeMilliseconds());
            }
        }
        if (change.End is var (end, at, likes, dislikes))
        {
            transaction.Execute("update conversation set ended_at = $1, end_reason = $2, close_code = $3, detail = $4, likes = $5, dislikes = $6 where id = $7",
                at.ToUnixTimeMilliseconds(), end.Reason.ToString(), (int)end.CloseCode, end.Detail, likes, dislikes, change.Id);
        }
    });

    /// <summary>Ends, in a transaction, a conversation that a killed process has left open.</summary>
    public static void EndLost(WriteTransaction transaction, string id, DateTimeOffset now) => transaction.Execute(
        "update conversation set ended_at = $1, end_reason = 'Lost', close_code = 1006, detail = 'the server was killed' where id = $2 and ended_at is null",
        now.ToUnixTimeMilliseconds(), id);

    /// <summary>Stores what a user thinks; false when there is no such conversation.</summary>
    public Task<bool> RateAsync(string id, ConversationFeedback feedback) => writer.WriteAsync(transaction => transaction.Execute(
        "update conversation set feedback = coalesce($1, feedback), rating = coalesce($2, rating), comment = coalesce($3, comment) where id = $4",
        feedback.Verdict, feedback.Rating, feedback.Comment, id) > 0);

    /// <summary>Deletes a conversation and all that was said in it; false when the project has none of this id.</summary>
    public Task<bool> DeleteAsync(ProjectId project, string id, string? keyId, DateTimeOffset now) => writer.WriteAsync(transaction =>
    {
        if (transaction.Scalar("delete from conversation where id = $1 and project_id = $2 returning agent_id", id, project.Value) is not string agent)
        {
            return false;
        }
        transaction.Audit(new AuditEvent(now, AuditNames.ConversationDeleted) { Project = project, Agent = new AgentId(agent), Key = keyId, Session = id });
        return true;
    });

    /// <summary>The conversation of this id, of whatever project.</summary>
    public ConversationRow? Read(string id) => Query($"select {Columns} from conversation where id = $1", Row, id).SingleOrDefault();

    /// <summary>What was said, in order.</summary>
    public List<Turn> ReadTurns(string id) => Query("select position, role, message, at from turn where conversation_id = $1 order by position",
        static reader => new Turn(reader.GetInt32(0), reader.GetString(1) == "user" ? TurnRole.User : TurnRole.Agent, reader.GetString(2), reader.Time(3)), id);

    /// <summary>One page, newest first unless asked otherwise; at most <see cref="ConversationQuery.Limit"/> rows.</summary>
    public List<ConversationRow> List(ConversationQuery query)
    {
        var values = new List<object?>();
        var where = query.Where(values);
        var (compare, order) = query.Ascending ? (">", "asc") : ("<", "desc");
        if (query.After is var (at, id))
        {
            where += string.Create(CultureInfo.InvariantCulture, $" and (started_at, id) {compare} (${values.Count + 1}, ${values.Count + 2})");
            values.AddRange([at, id]);
        }
        values.Add(query.Limit);
        return Query(string.Create(CultureInfo.InvariantCulture, $"select {Columns} from conversation where {where} order by started_at {order}, id {order} limit ${values.Count}"),
            Row, [.. values]);
    }

    /// <summary>One page of the project's users by id, with their first and last conversation.</summary>
    public List<ConversationUser> ListUsers(ProjectId project, string search, string after, int limit) => Query(
        """
        select u.user_id, u.first_at, u.last_at, u.conversations, c.id, c.agent_id
        from (select coalesce(subject, claimed_subject) as user_id, min(started_at) as first_at, max(started_at) as last_at, count(*) as conversations
              from conversation where project_id = $1 and coalesce(subject, claimed_subject) > $2 and lower(coalesce(subject, claimed_subject)) like $3 escape '\'
              group by coalesce(subject, claimed_subject)) u
        join conversation c on c.id = (select max(id) from conversation
            where project_id = $1 and coalesce(subject, claimed_subject) = u.user_id and started_at = u.last_at)
        order by u.user_id limit $4
        """,
        static reader => new ConversationUser(reader.GetString(0), reader.Time(1), reader.Time(2), reader.GetInt64(3), reader.GetString(4), new AgentId(reader.GetString(5))),
        project.Value, after, ConversationQuery.Like(search), limit);

    private static void Insert(WriteTransaction transaction, ConversationStart start)
    {
        var session = start.Session;
        transaction.Execute(
            """
            insert into conversation (id, project_id, agent_id, subject, claimed_subject, credential_id, authorization_method, initiation, text_only, started_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (id) do nothing
            """,
            session.Id, session.Agent.Project.Value, session.Agent.Id.Value, session.Terms.Subject, start.ClaimedSubject, session.Credential?.Id.Value,
            start.AuthorizationMethod, start.Initiation, start.TextOnly ? 1 : 0, session.StartedAt.ToUnixTimeMilliseconds());
    }

    private static ConversationRow Row(DbDataReader reader) => new(
        reader.GetString(0), new ProjectId(reader.GetString(1)), new AgentId(reader.GetString(2)), reader.Text(3), reader.Text(4), reader.GetString(5), reader.GetString(6),
        reader.GetInt32(7) != 0, reader.Time(8), reader.IsDBNull(9) ? null : reader.Time(9), reader.Text(10), Number(reader, 11), reader.Text(12), reader.GetInt32(13),
        reader.GetInt32(14), reader.GetInt32(15), reader.Text(16), Number(reader, 17), reader.Text(18));

    private static int? Number(DbDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetInt32(column);

    [SuppressMessage("Security", "CA2100", Justification = "Texts are constants of this folder; values travel as parameters.")]
    private List<T> Query<T>(string sql, Func<DbDataReader, T> row, params ReadOnlySpan<object?> values)
    {
        try
        {
            using var connection = database.Open();
            using var command = Database.Command(connection, sql, values);
            using var reader = command.ExecuteReader();
            var rows = new List<T>();
            while (reader.Read())
            {
                rows.Add(row(reader));
            }
            return rows;
        }
        catch (DbException e)
        {
            throw new StorageException("The database did not answer.", e);
        }
    }
}
