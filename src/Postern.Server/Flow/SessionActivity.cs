namespace Postern.Server.Flow;

/// <summary>What one session has moved, and when it last did.</summary>
internal sealed class SessionActivity
{
    public long LastTicks;
    public long ClientFrames, ClientBytes, AgentFrames, AgentBytes;
}
