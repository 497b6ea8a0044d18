using System.Globalization;

namespace Postern.Server.Agents;

/// <summary>What a hosted agent does; a dialect says it in its vendor's words.</summary>
internal abstract record AgentAct
{
    private AgentAct() { }

    /// <summary>It understood what the caller spoke.</summary>
    public sealed record Heard(string Transcript) : AgentAct;

    /// <summary>It says something.</summary>
    /// <param name="IsReply">An answer to the caller, not a word of its own accord.</param>
    public sealed record Says(string Text, bool IsReply) : AgentAct;

    /// <summary>It plays a piece of sound, in the format of the plan; belongs to what it said last.</summary>
    public sealed record Plays(byte[] Sound) : AgentAct;

    /// <summary>The caller spoke while it was playing: what is not heard yet is to be dropped.</summary>
    public sealed record Interrupted : AgentAct;
}

/// <summary>The built-in agent: it answers a text with the same text, and what it hears with the same sound.</summary>
internal sealed class EchoAgent(ConversationPlan plan, TimeProvider clock)
{
    /// <summary>Sound is played in so many pieces a second.</summary>
    public const int ChunksPerSecond = 10;

    /// <summary>Loudness of this length is a caller who begins to speak.</summary>
    public static readonly TimeSpan Onset = TimeSpan.FromMilliseconds(20);

    /// <summary>The same while the agent is heard, whose own sound may come back.</summary>
    public static readonly TimeSpan OnsetWhilePlaying = TimeSpan.FromMilliseconds(160);

    /// <summary>A caller whose sound just stops has finished after this.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly Utterance utterance = new(plan.Input.Rate);
    private byte? half;
    private long heardAt;
    private long playsUntil = long.MinValue;

    /// <summary>Whether <see cref="Tick"/> is to be called about twice a second.</summary>
    public bool IsListening => utterance.IsOpen;

    private bool IsPlaying => clock.GetTimestamp() < playsUntil;

    /// <summary>Its answer to a text.</summary>
    public static string Reply(string text) => "echo: " + text;

    /// <summary>What it understands of speech: how long it was.</summary>
    public static string Transcript(TimeSpan spoken) => string.Create(CultureInfo.InvariantCulture, $"({spoken.TotalSeconds:0.0} seconds of speech)");

    /// <summary>What it says first; nothing when it waits for the caller.</summary>
    public IEnumerable<AgentAct> Greet() => plan.FirstMessage.Length == 0 ? [] : [new AgentAct.Says(plan.FirstMessage, IsReply: false)];

    /// <summary>Answers a text.</summary>
    public IReadOnlyList<AgentAct> Read(string text)
    {
        var acts = new List<AgentAct>();
        Interrupt(acts);
        acts.Add(new AgentAct.Says(Reply(text), IsReply: true));
        return acts;
    }

    /// <summary>Listens to sound in the format of the plan; answers when the caller falls silent.</summary>
    public IReadOnlyList<AgentAct> Listen(ReadOnlySpan<byte> sound)
    {
        if (plan.TextOnly)
        {
            return [];
        }
        heardAt = clock.GetTimestamp();
        var acts = new List<AgentAct>();
        for (var samples = plan.Input.Decode(Whole(sound)).AsSpan(); !samples.IsEmpty;)
        {
            var taken = utterance.Listen(samples, IsPlaying ? OnsetWhilePlaying : Onset, out var heard);
            samples = samples[taken..];
            if (heard == Listening.Began)
            {
                Interrupt(acts);
            }
            else if (heard == Listening.Ended)
            {
                Answer(acts);
            }
        }
        return acts;
    }

    /// <summary>Answers a caller whose sound stopped coming.</summary>
    public IReadOnlyList<AgentAct> Tick()
    {
        var acts = new List<AgentAct>();
        if (utterance.IsOpen && clock.GetElapsedTime(heardAt) >= Patience)
        {
            Answer(acts);
        }
        return acts;
    }

    private void Interrupt(List<AgentAct> acts)
    {
        if (IsPlaying)
        {
            playsUntil = long.MinValue;
            acts.Add(new AgentAct.Interrupted());
        }
    }

    private void Answer(List<AgentAct> acts)
    {
        var spoken = utterance.Spoken;
        var said = AudioFormat.Resample(utterance.Take(), plan.Input.Rate, plan.Output.Rate);
        if (said.Length == 0)
        {
            return;
        }
        var transcript = Transcript(spoken);
        acts.Add(new AgentAct.Heard(transcript));
        acts.Add(new AgentAct.Says(Reply(transcript), IsReply: true));
        acts.AddRange(said.Chunk(plan.Output.Rate / ChunksPerSecond).Select(chunk => new AgentAct.Plays(plan.Output.Encode(chunk))));
        playsUntil = clock.GetTimestamp() + (long)((double)said.Length / plan.Output.Rate * clock.TimestampFrequency);
    }

    // A piece may end in the middle of a sample.
    private ReadOnlySpan<byte> Whole(ReadOnlySpan<byte> sound)
    {
        if (plan.Input.IsUlaw)
        {
            return sound;
        }
        if (half is { } first)
        {
            sound = new byte[] { first }.Concat(sound.ToArray()).ToArray();
        }
        half = sound.Length % 2 == 1 ? sound[^1] : null;
        return sound;
    }
}
