using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>What is sealed of a vote.</summary>
internal sealed record VoteText(IReadOnlyList<string> Tags, string? Notes);

/// <summary>What somebody thinks of one answer.</summary>
internal sealed record Vote(string Id, AgentId Agent, string MessageId, int Value, VoteText Text, string? Model, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

/// <summary>Votes on single answers; the last one for a message stands.</summary>
internal sealed class VoteStore(Database database, GroupedWriter writer, SecretBox secrets, ConversationStore conversations)
{
    /// <summary>
    /// Stores a vote on an answer of this agent; null when there is none of this id. Without a subject anybody votes who knows the id,
    /// which only they know who have heard the answer: messages whose ids clients have chosen are not found, so that no guess shows
    /// what somebody else has said.
    /// </summary>
    public async Task<Vote?> PutAsync(ProjectId project, AgentId agent, string? subject, string messageId, int value, VoteText text, DateTimeOffset now)
    {
        if (conversations.FindAnswer(project, agent, subject, messageId) is not var (row, message))
        {
            return null;
        }
        var sealedText = new ConversationSeal(secrets, row.Owner, row.Id).SealVote(messageId, text);
        var at = now.ToUnixTimeMilliseconds();
        // The conversation's row is held first: a deletion that came between would leave the vote without one.
        return await writer.WriteAsync(transaction => transaction.Execute("update conversation set likes = likes where seq = $1", row.Seq) == 0 ? null : transaction.Read(
            """
            insert into vote (id, conversation, message_id, value, sealed, created_at, updated_at) select $1, conversation, id, $2, $3, $4, $4 from message where conversation = $5 and id = $6
            on conflict (conversation, message_id) do update set value = excluded.value, sealed = excluded.sealed, updated_at = excluded.updated_at
            returning id, created_at
            """,
            reader => new Vote(reader.GetString(0), agent, messageId, value, text, message.Model, reader.Time(1), now),
            "vote_" + RandomText.Base62(RandomText.IdLength), value, sealedText, at, row.Seq, messageId), ConversationStore.Row(row.Owner, row.Id));
    }

    /// <summary>The votes in a conversation, by message.</summary>
    public List<Vote> Read(ConversationRow row)
    {
        var seal = new ConversationSeal(secrets, row.Owner, row.Id);
        return database.Query(Sight.Of(row.Owner), "select id, message_id, value, sealed, created_at, updated_at from vote where conversation = $1 order by created_at, id",
            reader => new Vote(reader.GetString(0), row.Owner.Agent, reader.GetString(1), reader.GetInt32(2), seal.OpenVote(reader.GetString(1), (byte[])reader.GetValue(3)), null,
                reader.Time(4), reader.Time(5)), row.Seq);
    }
}
