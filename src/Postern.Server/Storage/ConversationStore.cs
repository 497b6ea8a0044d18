using System.Data.Common;
using System.Globalization;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Conversations;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>
/// Conversations in SQL, of every dialect, keyed by (project, agent, subject, id): the same id used by two users is two conversations,
/// and nothing is ever appended across them. What was said is sealed before it is handed to the writer.
/// </summary>
internal sealed class ConversationStore(Database database, GroupedWriter writer, SecretBox secrets)
{
    private const string Columns =
        "seq, project_id, agent_id, subject, id, is_session, claimed_subject, authorization_method, text_only, initiation, title, started_at, active_at, ended_at, "
        + "end_reason, close_code, detail, message_count, input_tokens, output_tokens, likes, dislikes, feedback, rating, comment";

    private const string MessageColumns = "id, role, from_agent, sealed, at, input_tokens, output_tokens";

    // Where a project keeps nothing, nothing is written, whoever asks.
    private const string Keeps = "not exists (select 1 from project where id = $1 and retention_days = 0)";
    private const string ByOwner = "project_id = $1 and agent_id = $2 and subject = $3 and id = $4";

    private const string InsertMessage =
        $"""
        insert into message (conversation, id, role, from_agent, sealed, at, input_tokens, output_tokens)
        select seq, $5, $6, $7, $8, $9, cast($10 as integer), cast($11 as integer) from conversation where {ByOwner} and is_session = $12 and {Keeps}
        on conflict (conversation, id) do nothing
        """;

    /// <summary>Writes what is new in a session. Turns and end of a conversation that was deleted meanwhile vanish.</summary>
    public Task WriteAsync(ConversationChange change)
    {
        var (owner, id, seal) = (change.Owner, change.Id, new ConversationSeal(secrets, change.Owner, change.Id));
        var initiation = seal.SealInitiation(change.Start?.Initiation ?? "");
        var messages = change.Turns.Select(turn => Message.Of(change.IdOf(turn), turn.Role, turn.Message, turn.At)).ToList();
        var added = Seal(seal, messages);
        return writer.WriteAsync(transaction =>
        {
            if (change.Start is { } start)
            {
                Insert(transaction, owner, id, start, initiation);
            }
            Add(transaction, owner, id, added, isSession: true);
            if (change.End is var (end, at, likes, dislikes))
            {
                transaction.Execute($"update conversation set ended_at = $5, active_at = $5, end_reason = $6, close_code = $7, detail = $8, likes = $9, dislikes = $10 where {ByOwner} and is_session = 1",
                    owner.Project.Value, owner.Agent.Value, owner.Subject, id, at.ToUnixTimeMilliseconds(), end.Reason.ToString(), (int)end.CloseCode, end.Detail, likes, dislikes);
            }
            return true;
        }, Row(owner, id));
    }

    /// <summary>
    /// Stores messages under the id that a client has chosen; one whose id is there already stays as it was. Committed when it returns.
    /// Nothing is stored where the project keeps nothing, nor in a session's own conversation.
    /// </summary>
    public Task AppendAsync(Owner owner, string id, IReadOnlyList<Message> messages, DateTimeOffset now)
    {
        var added = Seal(new ConversationSeal(secrets, owner, id), messages);
        return writer.WriteAsync(transaction =>
        {
            transaction.Execute(
                $"insert into conversation (project_id, agent_id, subject, id, is_session, started_at, active_at) select $1, $2, $3, $4, 0, $5, $5 where {Keeps} on conflict (project_id, agent_id, subject, id) do nothing",
                owner.Project.Value, owner.Agent.Value, owner.Subject, id, now.ToUnixTimeMilliseconds());
            Add(transaction, owner, id, added, isSession: false);
            return true;
        }, Row(owner, id));
    }

    /// <summary>Ends, in a transaction, a session's conversation that a killed process has left open.</summary>
    public static void EndLost(WriteTransaction transaction, string id, DateTimeOffset now) => transaction.Execute(
        "update conversation set ended_at = $1, end_reason = 'Lost', close_code = 1006, detail = 'the server was killed' where id = $2 and is_session = 1 and ended_at is null",
        now.ToUnixTimeMilliseconds(), id);

    /// <summary>Stores what a user thinks of a session; false when there is no such conversation.</summary>
    public async Task<bool> RateAsync(string id, ConversationFeedback feedback)
    {
        if (Read(Sight.All, id) is not { } row) // its id alone is known, and nothing of it is answered
        {
            return false;
        }
        var comment = new ConversationSeal(secrets, row.Owner, row.Id).SealComment(feedback.Comment);
        return await writer.WriteAsync(transaction => transaction.Execute(
            "update conversation set feedback = coalesce($1, feedback), rating = coalesce($2, rating), comment = coalesce($3, comment) where seq = $4",
            feedback.Verdict, feedback.Rating, comment, row.Seq) > 0);
    }

    /// <summary>Deletes a conversation and all that was said in it; false when somebody else has.</summary>
    public async Task<bool> DeleteAsync(ConversationRow row, string? keyId, DateTimeOffset now)
    {
        var deleted = await writer.WriteAsync(transaction =>
        {
            if (transaction.Execute("delete from conversation where seq = $1", row.Seq) == 0)
            {
                return false;
            }
            transaction.Audit(new AuditEvent(now, AuditNames.ConversationDeleted)
            {
                Project = row.Owner.Project, Agent = row.Owner.Agent, Key = keyId, Session = row.Id, Subject = row.Subject,
            });
            return true;
        }, Row(row.Owner, row.Id));
        database.ForgetErased();
        return deleted;
    }

    /// <summary>The session's conversation of this id. SQLite finds it beyond the sight too: whose it is the caller judges.</summary>
    public ConversationRow? Read(Sight sight, string id) => database.Query(sight, $"select {Columns} from conversation where id = $1 and is_session = 1", Row, id).FirstOrDefault();

    /// <summary>The conversations of an agent that have this id: those of <paramref name="subject"/> alone, or of everybody when it is null.</summary>
    /// <remarks>With a subject the whole key is looked up: a row of somebody else's is never touched, so that its being there takes no time.</remarks>
    public List<ConversationRow> Find(ProjectId project, AgentId agent, string? subject, string id) => subject is not null
        ? database.Query(Sight.Of(project, subject), $"select {Columns} from conversation where {ByOwner}", Row, project.Value, agent.Value, subject, id)
        : database.Query(Sight.OfProject(project), $"select {Columns} from conversation where project_id = $1 and agent_id = $2 and id = $3 order by seq", Row, project.Value, agent.Value, id);

    /// <summary>An answer that was given here, with its conversation; of this subject alone unless that is null.</summary>
    public (ConversationRow Row, Message Answer)? FindAnswer(ProjectId project, AgentId agent, string? subject, string messageId)
    {
        if (database.Query(
            subject is null ? Sight.OfProject(project) : Sight.Of(project, subject), $"select {Columns} from conversation where project_id = $1 and agent_id = $2 and ($3 = 0 or subject = $4) and seq in (select conversation from message where id = $5 and from_agent = 1) order by seq limit 1",
            Row, project.Value, agent.Value, subject is null ? 0 : 1, subject ?? "", messageId) is not [var row])
        {
            return null;
        }
        // It may be deleted between the two.
        var seal = new ConversationSeal(secrets, row.Owner, row.Id);
        return database.Query(Sight.Of(row.Owner), $"select {MessageColumns} from message where conversation = $1 and id = $2", seal.Open, row.Seq, messageId) is [var answer] ? (row, answer) : null;
    }

    /// <summary>One page of an agent's conversations, those with the newest activity first, and how many there are in all.</summary>
    public (List<ConversationRow> Rows, long Total) List(ConversationListing listing)
    {
        var (sight, values) = (listing.Sight, new List<object?>());
        var where = listing.Where(values);
        var total = database.Query(sight, $"select count(*) from conversation where {where}", static reader => reader.GetInt64(0), [.. values])[0];
        values.AddRange([listing.Limit, listing.Offset]);
        return (database.Query(sight, string.Create(CultureInfo.InvariantCulture, $"select {Columns} from conversation where {where} order by active_at desc, seq desc limit ${values.Count - 1} offset ${values.Count}"),
            Row, [.. values]), total);
    }

    /// <summary>As above in the order in which they began to be stored, from after a number on: nothing is left out or repeated while others write.</summary>
    public List<ConversationRow> ListBySeq(ConversationListing listing, long after)
    {
        var values = new List<object?>();
        var where = listing.Where(values);
        values.AddRange([after, listing.Limit]);
        return database.Query(listing.Sight, string.Create(CultureInfo.InvariantCulture, $"select {Columns} from conversation where {where} and seq > ${values.Count - 1} order by seq limit ${values.Count}"),
            Row, [.. values]);
    }

    /// <summary>All of a user's conversations, with whatever agent.</summary>
    public List<ConversationRow> ReadAll(ProjectId project, string subject) => database.Query(
        Sight.Of(project, subject), $"select {Columns} from conversation where project_id = $1 and subject = $2 order by seq", Row, project.Value, subject);

    /// <summary>Deletes what a listing finds, some hundreds at a time; returns how many.</summary>
    public async Task<int> DeleteAsync(ConversationListing listing, string? keyId, DateTimeOffset now)
    {
        var values = new List<object?>();
        var where = listing.Where(values);
        var deleted = await ConversationSweep.InBatchesAsync(writer, listing.Project, where, values, new AuditEvent(now, AuditNames.ConversationDeleted)
        {
            Project = listing.Project, Agent = listing.Agent, Key = keyId, Subject = listing.Subject,
        });
        database.ForgetErased();
        return deleted;
    }

    /// <summary>What was said in a session, in order.</summary>
    public List<Turn> ReadTurns(ConversationRow row) => [.. ReadMessages(row).Select((message, i) => new Turn(i, message.Role, message.Text, message.At))];

    /// <summary>What was said, in order.</summary>
    public List<Message> ReadMessages(ConversationRow row)
    {
        var seal = new ConversationSeal(secrets, row.Owner, row.Id);
        return database.Query(Sight.Of(row.Owner), $"select {MessageColumns} from message where conversation = $1 order by seq", seal.Open, row.Seq);
    }

    /// <summary>
    /// One page of the sessions, newest first unless asked otherwise, and where the next one begins; null at the end. A page that looks
    /// for a text may hold fewer than <see cref="ConversationQuery.Limit"/> and yet have a next: texts are opened one by one, so many at a time.
    /// </summary>
    public (List<ConversationRow> Rows, (long StartedAt, string Id)? Next) List(ConversationQuery query)
    {
        var rows = new List<ConversationRow>();
        var (after, opened) = (query.After, 0);
        while (true)
        {
            var page = Page(query with { After = after }, query.Limit + 1);
            foreach (var row in page.Take(query.Limit))
            {
                if (query.Search is null || Says(row, query.Search, ref opened))
                {
                    rows.Add(row);
                }
                after = (row.StartedAt.ToUnixTimeMilliseconds(), row.Id);
                if (rows.Count == query.Limit || opened > ConversationQuery.MostOpened)
                {
                    return (rows, row == page[^1] ? null : after);
                }
            }
            if (page.Count <= query.Limit)
            {
                return (rows, null);
            }
        }
    }

    /// <summary>One page of the project's users by id, with their first and last session: whoever is merely claimed to be one is listed apart, behind.</summary>
    public List<ConversationUser> ListUsers(ProjectId project, string search, (string Id, bool IsBound) after, int limit) => database.Query(
        Sight.OfProject(project),
        """
        select u.user_id, u.claimed, u.first_at, u.last_at, u.conversations, c.id, c.agent_id
        from (select coalesce(nullif(subject, ''), claimed_subject) as user_id, case subject when '' then 1 else 0 end as claimed,
                min(started_at) as first_at, max(started_at) as last_at, count(*) as conversations
              from conversation where project_id = $1 and is_session = 1 and lower(coalesce(nullif(subject, ''), claimed_subject)) like $2 escape '\'
              group by 1, 2) u
        join conversation c on c.seq = (select max(seq) from conversation where project_id = $1 and is_session = 1 and started_at = u.last_at
            and coalesce(nullif(subject, ''), claimed_subject) = u.user_id and case subject when '' then 1 else 0 end = u.claimed)
        where (u.user_id, u.claimed) > ($3, $4)
        order by u.user_id, u.claimed limit $5
        """,
        static reader => new ConversationUser(reader.GetString(0), reader.GetInt32(1) == 0, reader.Time(2), reader.Time(3), reader.GetInt64(4), reader.GetString(5), new AgentId(reader.GetString(6))),
        project.Value, ConversationQuery.Like(search), after.Id, after.IsBound ? 0 : 1, limit);

    private List<ConversationRow> Page(ConversationQuery query, int limit)
    {
        var values = new List<object?>();
        var where = query.Where(values);
        var (compare, order) = query.Ascending ? (">", "asc") : ("<", "desc");
        if (query.After is var (at, id))
        {
            where += string.Create(CultureInfo.InvariantCulture, $" and (started_at, id) {compare} (${values.Count + 1}, ${values.Count + 2})");
            values.AddRange([at, id]);
        }
        values.Add(limit);
        return database.Query(Sight.OfProject(query.Project), string.Create(CultureInfo.InvariantCulture, $"select {Columns} from conversation where is_session = 1 and {where} order by started_at {order}, id {order} limit ${values.Count}"),
            Row, [.. values]);
    }

    private bool Says(ConversationRow row, string text, ref int opened)
    {
        var messages = ReadMessages(row);
        opened += messages.Count;
        return messages.Exists(message => message.Text.Contains(text, StringComparison.OrdinalIgnoreCase));
    }

    private static void Insert(WriteTransaction transaction, Owner owner, string id, ConversationStart start, byte[] initiation) => transaction.Execute(
        $"""
        insert into conversation (project_id, agent_id, subject, id, is_session, claimed_subject, credential_id, authorization_method, initiation, text_only, started_at, active_at)
        select $1, $2, $3, $4, 1, cast($5 as text), cast($6 as text), $7, $8, $9, $10, $10 where {Keeps} on conflict (project_id, agent_id, subject, id) do nothing
        """,
        owner.Project.Value, owner.Agent.Value, owner.Subject, id, start.ClaimedSubject, start.Session.Credential?.Id.Value, start.AuthorizationMethod, initiation,
        start.TextOnly ? 1 : 0, start.Session.StartedAt.ToUnixTimeMilliseconds());

    private static void Add(WriteTransaction transaction, Owner owner, string id, Sealed added, bool isSession)
    {
        var (count, input, output) = (0, 0L, 0L);
        foreach (var (message, text) in added.Messages)
        {
            if (transaction.Execute(InsertMessage, owner.Project.Value, owner.Agent.Value, owner.Subject, id, message.Id, message.Role == TurnRole.User ? "user" : "agent",
                message.FromAgent ? 1 : 0, text, message.At.ToUnixTimeMilliseconds(), message.InputTokens, message.OutputTokens, isSession ? 1 : 0) > 0)
            {
                (count, input, output) = (count + 1, input + (message.InputTokens ?? 0), output + (message.OutputTokens ?? 0));
            }
        }
        if (count > 0)
        {
            transaction.Execute(
                $"""
                update conversation set message_count = message_count + $5, input_tokens = input_tokens + $6, output_tokens = output_tokens + $7,
                    active_at = case when active_at < $8 then $8 else active_at end, title = coalesce(title, $9) where {ByOwner}
                """,
                owner.Project.Value, owner.Agent.Value, owner.Subject, id, count, input, output, added.Messages.Max(one => one.Message.At).ToUnixTimeMilliseconds(), added.Title);
        }
    }

    private static Sealed Seal(ConversationSeal seal, IReadOnlyList<Message> messages) => new(
        [.. messages.Select(message => (message, seal.Seal(message)))],
        seal.SealTitle(messages.FirstOrDefault(static message => message.Role == TurnRole.User) is { } first ? ConversationTitle.Of(first.Text) : null));

    // Groups of two writers take the rows that they share in one order.
    internal static string Row(Owner owner, string id) => $"conversation {owner.Project} {owner.Agent} {owner.Subject} {id}";

    private ConversationRow Row(DbDataReader reader)
    {
        var (owner, id) = (new Owner(new ProjectId(reader.GetString(1)), new AgentId(reader.GetString(2)), reader.GetString(3)), reader.GetString(4));
        var seal = new ConversationSeal(secrets, owner, id);
        return new ConversationRow(
            reader.GetInt64(0), owner, id, reader.GetInt32(5) != 0, reader.Text(6), reader.GetString(7), reader.GetInt32(8) != 0, seal.OpenInitiation(reader, 9), seal.OpenTitle(reader, 10),
            reader.Time(11), reader.Time(12), reader.IsDBNull(13) ? null : reader.Time(13), reader.Text(14), reader.Number(15), reader.Text(16), reader.GetInt32(17),
            reader.GetInt64(18), reader.GetInt64(19), reader.GetInt32(20), reader.GetInt32(21), reader.Text(22), reader.Number(23), seal.OpenComment(reader, 24));
    }

    private sealed record Sealed(IReadOnlyList<(Message Message, byte[] Text)> Messages, byte[]? Title);
}
