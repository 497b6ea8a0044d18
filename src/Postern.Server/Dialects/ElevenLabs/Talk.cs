using Postern.Core.Sessions;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>Speaks the vendor's conversation protocol with a hosted agent.</summary>
internal sealed class Talk(TalkContext context)
{
    public Task<SessionEnd> RunAsync() => throw new NotSupportedException(context.Session.Id);
}
