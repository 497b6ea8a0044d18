using System.Globalization;

namespace Postern.Server.Agents;

/// <summary>What the caller said in one turn.</summary>
/// <param name="Samples">At <see cref="Rate"/>.</param>
/// <param name="Spoken">From the first loud moment to the last.</param>
internal sealed record Speech(short[] Samples, int Rate, TimeSpan Spoken)
{
    /// <summary>What is understood of it: how long it was.</summary>
    public string Transcript => string.Create(CultureInfo.InvariantCulture, $"({Spoken.TotalSeconds:0.0} seconds of speech)");
}

/// <summary>The buffer of the caller's sound: found turns by loudness, or held until the client commits it.</summary>
internal sealed class Hearing(AudioFormat format, bool detectsTurns, TimeProvider clock)
{
    /// <summary>Loudness of this length is a caller who begins to speak.</summary>
    private static readonly TimeSpan Onset = TimeSpan.FromMilliseconds(20);

    /// <summary>The same while the agent is heard, whose own sound may come back.</summary>
    private static readonly TimeSpan OnsetWhilePlaying = TimeSpan.FromMilliseconds(160);

    /// <summary>A caller whose sound just stops has finished after this.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private const int LongestSeconds = 30;

    private readonly Utterance utterance = new(format.Rate);
    private readonly List<short> waiting = [];
    private byte? half;
    private long heard;
    private long heardAt;

    public AudioFormat Format => format;

    public bool DetectsTurns => detectsTurns;

    /// <summary>Where in the caller's sound it stands.</summary>
    public long Milliseconds => heard * 1000 / format.Rate;

    /// <summary>Whether the caller is speaking: then <see cref="IsOver"/> is to be asked about twice a second.</summary>
    public bool IsOpen => utterance.IsOpen;

    /// <summary>Whether the caller's sound has just stopped coming.</summary>
    public bool IsOver => utterance.IsOpen && clock.GetElapsedTime(heardAt) >= Patience;

    /// <summary>Takes sound; false when the buffer holds no more.</summary>
    public bool Hold(ReadOnlySpan<byte> sound)
    {
        var samples = Decode(sound);
        if (waiting.Count + samples.Length > LongestSeconds * format.Rate)
        {
            return false;
        }
        waiting.AddRange(samples);
        heard += samples.Length;
        return true;
    }

    /// <summary>Listens to sound until something is to be reported; what is not listened to yet stays in <paramref name="samples"/>.</summary>
    public Listening Listen(ref ReadOnlyMemory<short> samples, bool isPlaying)
    {
        heardAt = clock.GetTimestamp();
        var taken = utterance.Listen(samples.Span, isPlaying ? OnsetWhilePlaying : Onset, out var listening);
        samples = samples[taken..];
        heard += taken;
        return listening;
    }

    /// <summary>The samples of a piece, which may begin or end in the middle of one.</summary>
    public short[] Decode(ReadOnlySpan<byte> sound)
    {
        if (format.IsUlaw)
        {
            return format.Decode(sound);
        }
        if (half is { } first)
        {
            sound = new[] { first }.Concat(sound.ToArray()).ToArray();
        }
        half = sound.Length % 2 == 1 ? sound[^1] : null;
        return format.Decode(sound);
    }

    /// <summary>What was said in the turn that is over, null when it was no more than a click; or what was held.</summary>
    public Speech? Take()
    {
        var spoken = detectsTurns ? utterance.Spoken : TimeSpan.FromSeconds((double)waiting.Count / format.Rate);
        var samples = detectsTurns ? utterance.Take() : [.. waiting];
        waiting.Clear();
        waiting.TrimExcess();
        return samples.Length == 0 ? null : new Speech(samples, format.Rate, spoken);
    }
}
