using Postern.Core.Sessions;
using Postern.Server.Storage;

namespace Postern.Server.Flow;

/// <summary>Keeps what is said in one conversation.</summary>
internal sealed class ConversationRecorder(ConversationStore store, Session session, TimeProvider clock) : IAsyncDisposable
{
    internal (ConversationStore, Session, TimeProvider) Parts => (store, session, clock);
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
