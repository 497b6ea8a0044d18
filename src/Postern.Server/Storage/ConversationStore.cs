namespace Postern.Server.Storage;

/// <summary>Conversations in SQL.</summary>
internal sealed class ConversationStore(Database database, GroupedWriter writer)
{
    internal Database Database => database;
    internal GroupedWriter Writer => writer;
}
