namespace Postern.Server.Flow;

/// <summary>What has passed in one direction. Written by its pump alone, read by anybody.</summary>
internal sealed class Traffic
{
    private long frames;
    private long bytes;
    private long waitingSince;

    public long Frames => Volatile.Read(ref frames);
    public long Bytes => Volatile.Read(ref bytes);

    /// <summary>Timestamp since which the receiver has not taken what was sent to it; 0 when nothing waits.</summary>
    public long WaitingSince => Volatile.Read(ref waitingSince);

    public void Passed(int newFrames, int newBytes)
    {
        Volatile.Write(ref frames, frames + newFrames);
        Volatile.Write(ref bytes, bytes + newBytes);
    }

    public void Waits(long since) => Volatile.Write(ref waitingSince, since);
}

/// <summary>The pulse of one session: counters of both directions and when anything last came.</summary>
internal sealed class SessionActivity(TimeProvider clock)
{
    private long last = clock.GetTimestamp();

    public Traffic FromClient { get; } = new();
    public Traffic FromUpstream { get; } = new();

    /// <summary>Timestamp of the session's clock at which a side last sent something.</summary>
    public long Last => Volatile.Read(ref last);

    /// <summary>Notes that a side sent something; returns the timestamp, so that the clock is read once.</summary>
    public long Touch()
    {
        var now = clock.GetTimestamp();
        Volatile.Write(ref last, now);
        return now;
    }
}
