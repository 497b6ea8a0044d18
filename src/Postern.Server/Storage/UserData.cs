using Postern.Core.Audit;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>What is stored of one end user in a whole project, and how long a project keeps anything.</summary>
internal sealed class UserData(Database database, GroupedWriter writer)
{
    /// <summary>
    /// Removes every message, title, vote and memory of this user, all in one transaction; the empty conversations stay. The texts are then
    /// gone from SQLite's files; see docs/conversations.md for PostgreSQL's.
    /// </summary>
    public async Task EraseAsync(ProjectId project, string subject, string? keyId, DateTimeOffset now)
    {
        const string Theirs = "select seq from conversation where project_id = $1 and subject = $2";
        await writer.WriteAsync(transaction =>
        {
            transaction.Execute($"delete from vote where conversation in ({Theirs})", project.Value, subject);
            var messages = transaction.Execute($"delete from message where conversation in ({Theirs})", project.Value, subject);
            transaction.Execute(
                "update conversation set title = null, initiation = null, comment = null, message_count = 0, input_tokens = 0, output_tokens = 0 where project_id = $1 and subject = $2",
                project.Value, subject);
            var memories = transaction.Execute("delete from memory where project_id = $1 and subject = $2", project.Value, subject);
            transaction.Execute("delete from memory_size where project_id = $1 and subject = $2", project.Value, subject);
            transaction.Audit(new AuditEvent(now, AuditNames.UserDataErased)
            {
                Project = project, Key = keyId, Subject = subject, Detail = $"{messages} messages, {memories} memories",
            });
            return true;
        });
        database.ForgetErased();
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

    private const int DefaultDays = 90;
}
