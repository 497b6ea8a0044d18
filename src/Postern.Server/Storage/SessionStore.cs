using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Core.Sessions;

namespace Postern.Server.Storage;

/// <summary>A session that nobody has ended yet, on whatever node.</summary>
internal sealed record OpenSession(ProjectId Project, CredentialId? Credential, bool InRoom);

/// <summary>Sessions of every node: this one holds only its own, and tells the others by the change table which to end.</summary>
internal sealed class SessionStore(Database database, GroupedWriter writer)
{
    /// <summary>The kind of change that ends a session.</summary>
    public const string EndKind = "session_end";

    /// <summary>The open session of this id; null when there is none.</summary>
    public OpenSession? FindOpen(string id)
    {
        using var connection = database.Open();
        using var command = Database.Command(connection, "select project_id, credential_id, in_room from session where id = $1 and ended_at is null", id);
        using var reader = command.ExecuteReader();
        return reader.Read()
            ? new OpenSession(new ProjectId(reader.GetString(0)), reader.Text(1) is { } credential ? new CredentialId(credential) : null, reader.GetInt32(2) != 0)
            : null;
    }

    /// <summary>Has the node that holds a session end it; <see cref="Read"/> there tells which and why.</summary>
    public Task EndAsync(string id, SessionEndReason reason) => writer.WriteAsync(transaction =>
    {
        transaction.LockChanges();
        transaction.Changed(EndKind, $"{reason} {id}");
    });

    /// <summary>A change of <see cref="EndKind"/>.</summary>
    public static (SessionEndReason Reason, string Id) Read(string change) =>
        change.Split(' ') is [var reason, var id] && Enum.TryParse<SessionEndReason>(reason, out var why) ? (why, id) : (SessionEndReason.Operator, "");
}
