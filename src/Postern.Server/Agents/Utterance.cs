namespace Postern.Server.Agents;

/// <summary>What listening to one stretch of sound led to.</summary>
internal enum Listening
{
    /// <summary>Nothing to report.</summary>
    Nothing,
    /// <summary>The caller has begun to speak.</summary>
    Began,
    /// <summary>The caller has spoken and is silent, or has spoken for as long as is kept.</summary>
    Ended,
}

/// <summary>
/// Finds one utterance after another in a stream of samples, by loudness. Its time is the caller's: it is counted in samples, so that
/// it does not matter how fast or in what pieces they come.
/// </summary>
internal sealed class Utterance(int rate)
{
    private const int WindowMilliseconds = 20;
    private const int LeadMilliseconds = 100;
    private const int SilenceMilliseconds = 600;
    private const int TailMilliseconds = 100;
    private const int GapMilliseconds = 100;
    private const int ShortestMilliseconds = 60;
    private const double Loud = 400;

    /// <summary>The longest utterance that is kept.</summary>
    public const int LongestMilliseconds = 10_000;

    private readonly int windowSize = rate * WindowMilliseconds / 1000;
    private readonly List<short> window = [];
    private readonly Queue<short> lead = new();
    private readonly List<short> kept = [];
    private int loudFor, quietFor, voiced, spoken;

    /// <summary>Whether the caller is speaking.</summary>
    public bool IsOpen { get; private set; }

    /// <summary>From the first loud moment to the last one.</summary>
    public TimeSpan Spoken => TimeSpan.FromMilliseconds(spoken);

    /// <summary>Listens until something is to be reported; returns how many of <paramref name="samples"/> were taken.</summary>
    /// <param name="onset">Loudness for this long, without a gap, is the beginning: more of it while the agent speaks, whose echo is heard too.</param>
    public int Listen(ReadOnlySpan<short> samples, TimeSpan onset, out Listening heard)
    {
        for (var taken = 0; taken < samples.Length;)
        {
            var more = Math.Min(windowSize - window.Count, samples.Length - taken);
            window.AddRange(samples.Slice(taken, more));
            taken += more;
            if (window.Count == windowSize)
            {
                heard = IsOpen ? Follow() : Watch(onset);
                window.Clear();
                if (heard != Listening.Nothing)
                {
                    return taken;
                }
            }
        }
        heard = Listening.Nothing;
        return samples.Length;
    }

    /// <summary>What was said, with a short lead and tail; empty when it was no more than a click. Listening begins anew.</summary>
    public short[] Take()
    {
        var length = Math.Max(0, kept.Count - Math.Max(0, quietFor - TailMilliseconds) * rate / 1000);
        var said = voiced < ShortestMilliseconds ? [] : kept.Take(length).ToArray();
        IsOpen = false;
        kept.Clear();
        kept.TrimExcess();
        lead.Clear();
        (loudFor, quietFor, voiced) = (0, 0, 0);
        return said;
    }

    private Listening Watch(TimeSpan onset)
    {
        foreach (var sample in window)
        {
            lead.Enqueue(sample);
        }
        if (IsLoud())
        {
            (loudFor, quietFor) = (loudFor + WindowMilliseconds, 0);
        }
        else if ((quietFor += WindowMilliseconds) >= GapMilliseconds)
        {
            loudFor = 0;
        }
        if (loudFor == 0 || loudFor < onset.TotalMilliseconds)
        {
            while (lead.Count > rate * (LeadMilliseconds + (int)onset.TotalMilliseconds) / 1000)
            {
                lead.Dequeue();
            }
            return Listening.Nothing;
        }
        IsOpen = true;
        kept.AddRange(lead);
        (voiced, spoken, quietFor) = (loudFor, loudFor, 0);
        return Listening.Began;
    }

    private Listening Follow()
    {
        kept.AddRange(window);
        if (IsLoud())
        {
            spoken += quietFor + WindowMilliseconds;
            voiced += WindowMilliseconds;
            quietFor = 0;
        }
        else
        {
            quietFor += WindowMilliseconds;
        }
        return quietFor >= SilenceMilliseconds || kept.Count >= (long)rate * LongestMilliseconds / 1000 ? Listening.Ended : Listening.Nothing;
    }

    private bool IsLoud()
    {
        double sum = 0;
        foreach (var sample in window)
        {
            sum += (double)sample * sample;
        }
        return sum > Loud * Loud * windowSize;
    }
}
