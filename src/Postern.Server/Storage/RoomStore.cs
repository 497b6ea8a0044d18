using Postern.Core.Credentials;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>A session in a room that nobody has ended yet, on whatever node.</summary>
internal sealed record OpenRoom(ProjectId Project, CredentialId? Credential);

/// <summary>Rooms of every node: each holds its own, and is told by the change table which to end.</summary>
internal sealed class RoomStore(Database database, GroupedWriter writer, TimeProvider clock)
{
    /// <summary>The kind of change that tells the node that holds a room that its client has hung up.</summary>
    public const string HungUp = "hung up";

    /// <summary>The room of this id; null when there is none.</summary>
    public OpenRoom? Find(string id)
    {
        using var connection = database.Open();
        using var command = Database.Command(connection, "select project_id, credential_id from session where id = $1 and ended_at is null and in_room = 1 and end_by > $2", id, clock.GetUtcNow().ToUnixTimeMilliseconds());
        using var reader = command.ExecuteReader();
        return reader.Read()
            ? new OpenRoom(new ProjectId(reader.GetString(0)), reader.Text(1) is { } credential ? new CredentialId(credential) : null)
            : null;
    }

    /// <summary>Has the node that holds the session end it.</summary>
    public Task HangUpAsync(string id) => writer.WriteAsync(transaction => transaction.Changed(HungUp, id));
}
