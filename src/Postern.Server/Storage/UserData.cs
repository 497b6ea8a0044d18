using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>What is stored of one end user in a whole project, and how long a project keeps anything.</summary>
internal sealed class UserData(Database database, GroupedWriter writer)
{
    /// <summary>The days that a project may choose.</summary>
    public static readonly IReadOnlyList<int> Choices = [0, 30, 60, 90];

    private const int DefaultDays = 90;
    private const string Theirs = "project_id = $1 and subject = $2 and ($3 = '' or agent_id = $3)";

    /// <summary>
    /// Removes every message, title, vote and memory of this user, all in one transaction; the empty conversations stay. The texts are then
    /// gone from SQLite's files; see docs/conversations.md for PostgreSQL's.
    /// </summary>
    /// <param name="agents">Only what concerns these; empty is all.</param>
    public async Task EraseAsync(ProjectId project, string subject, IReadOnlyList<AgentId> agents, string? keyId, DateTimeOffset now)
    {
        await writer.WriteAsync(transaction =>
        {
            var (messages, memories) = (0, 0);
            foreach (var agent in agents.Count == 0 ? [""] : agents.Select(agent => agent.Value))
            {
                messages += EraseConversations(transaction, project.Value, subject, agent);
                memories += transaction.Execute($"delete from memory where {Theirs}", project.Value, subject, agent);
                transaction.Execute($"delete from memory_size where {Theirs}", project.Value, subject, agent);
            }
            transaction.Audit(new AuditEvent(now, AuditNames.UserDataErased)
            {
                Project = project, Key = keyId, Subject = subject, Detail = $"{messages} messages, {memories} memories",
            });
            return true;
        });
        database.ForgetErased();
    }

    private static int EraseConversations(WriteTransaction transaction, string project, string subject, string agent)
    {
        const string Conversations = $"select seq from conversation where {Theirs}";
        transaction.Execute($"delete from vote where conversation in ({Conversations})", project, subject, agent);
        var messages = transaction.Execute($"delete from message where conversation in ({Conversations})", project, subject, agent);
        transaction.Execute($"update conversation set title = null, initiation = null, comment = null, message_count = 0, input_tokens = 0, output_tokens = 0 where {Theirs}", project, subject, agent);
        return messages;
    }

    /// <summary>How many days a project keeps conversations; 0 is not at all.</summary>
    public int RetentionDays(ProjectId project) => database.Query("select retention_days from project where id = $1", static reader => reader.GetInt32(0), project.Value) is [var days] ? days : DefaultDays;

    /// <summary>Changes that. What was kept longer goes with the next sweep.</summary>
    public Task KeepAsync(ProjectId project, int days, string? keyId, DateTimeOffset now) => writer.WriteAsync(transaction =>
    {
        transaction.Execute("update project set retention_days = $1 where id = $2", days, project.Value);
        transaction.Audit(new AuditEvent(now, AuditNames.RetentionChanged) { Project = project, Key = keyId, Detail = $"{days} days" });
        return true;
    });

}
