using Postern.Core.Agents;
using Postern.Core.Conversations;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>
/// Seals what was said before conversations were sealed and moves it to where they are now, once, at the first start after migration 3;
/// then drops the readable tables. All or nothing: a start that is killed meanwhile does it again.
/// </summary>
internal static class ConversationMove
{
    /// <summary>Moves what is there; returns how many conversations it found.</summary>
    public static int Run(Database database, SecretBox secrets)
    {
        using var transaction = new WriteTransaction(database.Open(Sight.All));
        transaction.Begin();
        transaction.LockDirectory(); // of several starts one moves, the others find nothing
        var present = transaction.Scalar(database.IsPostgres
            ? "select 1 from pg_tables where schemaname = current_schema() and tablename = 'former_conversation'"
            : "select 1 from sqlite_master where name = 'former_conversation'") is not null;
        var ids = present ? transaction.Texts("select id from former_conversation order by started_at, id") : [];
        foreach (var id in ids)
        {
            Move(transaction, secrets, id);
        }
        if (present)
        {
            transaction.Execute("drop table former_turn");
            transaction.Execute("drop table former_conversation");
        }
        transaction.Commit();
        if (ids.Count > 0)
        {
            database.ForgetErased();
        }
        return ids.Count;
    }

    private static void Move(WriteTransaction transaction, SecretBox secrets, string id)
    {
        var former = transaction.Read("select project_id, agent_id, coalesce(subject, ''), initiation, comment from former_conversation where id = $1",
            reader => new Former(new Owner(new ProjectId(reader.GetString(0)), new AgentId(reader.GetString(1)), reader.GetString(2)), reader.GetString(3), reader.Text(4)), id)!;
        var seal = new ConversationSeal(secrets, former.Owner, id);
        transaction.Execute(
            """
            insert into conversation (project_id, agent_id, subject, id, is_session, claimed_subject, credential_id, authorization_method, text_only, initiation, started_at, active_at,
                ended_at, end_reason, close_code, detail, message_count, likes, dislikes, feedback, rating, comment)
            select project_id, agent_id, coalesce(subject, ''), id, 1, claimed_subject, credential_id, authorization_method, text_only, $1, started_at, coalesce(ended_at, started_at),
                ended_at, end_reason, close_code, detail, message_count, likes, dislikes, feedback, rating, null from former_conversation where id = $2
            """, seal.SealInitiation(former.Initiation), id);
        var seq = transaction.Scalar("select seq from conversation where id = $1 and is_session = 1", id);
        transaction.Execute("update conversation set comment = $1 where seq = $2", seal.SealComment(former.Comment), seq);
        string? title = null;
        foreach (var position in transaction.Texts("select cast(position as text) from former_turn where conversation_id = $1 order by position", id).Select(text => int.Parse(text, System.Globalization.CultureInfo.InvariantCulture)))
        {
            var message = transaction.Read("select role, message, at from former_turn where conversation_id = $1 and position = $2",
                reader => Message.Of($"turn_{position}", reader.GetString(0) == "user" ? TurnRole.User : TurnRole.Agent, reader.GetString(1), reader.Time(2)), id, position)!;
            title ??= message.Role == TurnRole.User ? ConversationTitle.Of(message.Text) : null;
            transaction.Execute("insert into message (conversation, id, role, from_agent, sealed, at) values ($1, $2, $3, 0, $4, $5)",
                seq, message.Id, message.Role == TurnRole.User ? "user" : "agent", seal.Seal(message), message.At.ToUnixTimeMilliseconds());
        }
        transaction.Execute("update conversation set title = $1 where seq = $2", seal.SealTitle(title), seq);
    }

    private sealed record Former(Owner Owner, string Initiation, string? Comment);
}
