namespace Postern.Server.Dialects;

/// <summary>Until when what was sent is heard: sound is sent faster than it plays.</summary>
internal struct Playback(TimeProvider clock)
{
    private long until = long.MinValue;

    public readonly bool IsPlaying => clock.GetTimestamp() < until;

    public void Add(int samples, int rate) =>
        until = Math.Max(until, clock.GetTimestamp()) + (long)((double)samples / rate * clock.TimestampFrequency);

    public void Stop() => until = long.MinValue;
}
