using Postern.Core;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>Stable random ids for the end users of a project, for clients that want one beside the user's own.</summary>
internal sealed class SpeakerStore(Database database, GroupedWriter writer, TimeProvider clock)
{
    /// <summary>The id of this user: the same one every time.</summary>
    public async Task<string> FindOrCreateAsync(ProjectId project, string name)
    {
        const string Known = "select id from speaker where project_id = $1 and name = $2";
        if (Read(Known, project.Value, name) is { } found)
        {
            return found; // the usual case does not queue behind those who write
        }
        return await writer.WriteAsync(transaction =>
        {
            transaction.Execute("insert into speaker (project_id, name, id, created_at) values ($1, $2, $3, $4) on conflict (project_id, name) do nothing",
                project.Value, name, "speaker_" + RandomText.Base62(RandomText.IdLength), clock.GetUtcNow().ToUnixTimeMilliseconds());
            return (string)transaction.Scalar(Known, project.Value, name)!;
        });
    }

    /// <summary>The user of this id; null when the project has none.</summary>
    public string? NameOf(ProjectId project, string id) => Read("select name from speaker where project_id = $1 and id = $2", project.Value, id);

    [System.Diagnostics.CodeAnalysis.SuppressMessage("Security", "CA2100", Justification = "Texts are constants of this class; values travel as parameters.")]
    private string? Read(string sql, params ReadOnlySpan<object?> values)
    {
        using var connection = database.Open();
        using var command = Database.Command(connection, sql, values);
        return command.ExecuteScalar() as string;
    }
}
