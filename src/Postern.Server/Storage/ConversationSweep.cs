using System.Globalization;
using Postern.Core.Audit;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>How far a sweep has come in one project.</summary>
internal sealed record SweepProgress(ProjectId Project, int RetentionDays, int Conversations, int Messages);

/// <summary>
/// Removes what a project keeps no longer: conversations without activity since, and single messages older than that in those which
/// go on. Some hundreds at a time, so that nobody who writes waits long; a sweep that is broken off has done what it said.
/// </summary>
internal sealed class ConversationSweep(Database database, GroupedWriter writer)
{
    private const int Batch = 500;
    private static readonly TimeSpan Period = TimeSpan.FromHours(23);

    /// <summary>
    /// Whether it is this process's turn: of all nodes one sweeps a day. With its turn it forgets what mints of days ago have fixed, and the
    /// directory's changes that were there at the turn before; a node that has not seen those reads everything again (see DirectoryFeed).
    /// </summary>
    public Task<bool> TakeTurnAsync(DateTimeOffset now) => writer.WriteAsync(transaction =>
    {
        transaction.LockDirectory();
        if (transaction.Execute("update counter set value = $1 where name = 'conversation_sweep' and value < $2", now.ToUnixTimeMilliseconds(), (now - Period).ToUnixTimeMilliseconds()) == 0)
        {
            return false;
        }
        transaction.Execute("delete from fixed_values where until < $1", now.ToUnixTimeMilliseconds());
        transaction.Execute("delete from change where seq < (select value from counter where name = 'change_kept_from')");
        transaction.Execute("update counter set value = (select value from counter where name = 'change') where name = 'change_kept_from'");
        return true;
    });

    /// <summary>Sweeps every project; tells after each batch how far it is.</summary>
    public async Task<IReadOnlyList<SweepProgress>> RunAsync(DateTimeOffset now, Action<SweepProgress> progress, CancellationToken ct)
    {
        var done = new List<SweepProgress>();
        foreach (var (project, days) in database.Query("select id, retention_days from project order by id", static reader => (new ProjectId(reader.GetString(0)), reader.GetInt32(1))))
        {
            var before = now - TimeSpan.FromDays(days);
            var audit = new AuditEvent(now, AuditNames.ConversationsSwept) { Project = project, Detail = string.Create(CultureInfo.InvariantCulture, $"older than {days} days") };
            var state = new SweepProgress(project, days, 0, 0);
            // What goes on is not cut off, however little is kept: it is never written where nothing is, and its time comes.
            const string Old = "project_id = $1 and active_at < $2 and (is_session = 0 or ended_at is not null)";
            await InBatchesAsync(writer, project, Old, [project.Value, before.ToUnixTimeMilliseconds()], audit, count => progress(state = state with { Conversations = state.Conversations + count }), ct);
            while (!ct.IsCancellationRequested && await OldMessagesAsync(project, before, audit) is > 0 and var count)
            {
                progress(state = state with { Messages = state.Messages + count });
            }
            done.Add(state);
        }
        if (done.Exists(static one => one.Conversations + one.Messages > 0))
        {
            database.ForgetErased();
        }
        return done;
    }

    /// <summary>Deletes the conversations that a condition finds, each batch with its audit row; returns how many.</summary>
    public static async Task<int> InBatchesAsync(
        GroupedWriter writer, ProjectId project, string where, IReadOnlyList<object?> values, AuditEvent audit, Action<int>? progress = null, CancellationToken ct = default)
    {
        var (sql, total) = ($"delete from conversation where seq in (select seq from conversation where {where} order by seq limit {Batch})", 0);
        while (!ct.IsCancellationRequested)
        {
            var deleted = await writer.WriteAsync(transaction =>
            {
                var count = transaction.Execute(sql, [.. values]);
                if (count > 0)
                {
                    transaction.Audit(audit, count);
                }
                return count;
            }, $"conversation {project}");
            if (deleted == 0)
            {
                break;
            }
            total += deleted;
            progress?.Invoke(deleted);
        }
        return total;
    }

    // The title is the beginning of a message that goes.
    private Task<int> OldMessagesAsync(ProjectId project, DateTimeOffset before, AuditEvent audit) => writer.WriteAsync(transaction =>
    {
        var seqs = transaction.Texts(
            $"""
            select cast(seq as text) from conversation c where project_id = $1 and started_at < $2
                and exists (select 1 from message m where m.conversation = c.seq and m.at < $2) order by seq limit {Batch / 10}
            """, project.Value, before.ToUnixTimeMilliseconds());
        var total = 0;
        foreach (var seq in seqs.Select(text => long.Parse(text, CultureInfo.InvariantCulture)))
        {
            transaction.Execute("delete from vote where conversation = $1 and message_id in (select id from message where conversation = $1 and at < $2)", seq, before.ToUnixTimeMilliseconds());
            var count = transaction.Execute("delete from message where conversation = $1 and at < $2", seq, before.ToUnixTimeMilliseconds());
            transaction.Execute("update conversation set title = null, message_count = message_count - $1 where seq = $2", count, seq);
            total += count;
        }
        if (total > 0)
        {
            transaction.Audit(audit with { Detail = $"messages {audit.Detail}" }, total);
        }
        return total;
    }, $"conversation {project}");
}
