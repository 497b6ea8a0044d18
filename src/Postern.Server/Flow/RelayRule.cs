using Postern.Core.Sessions;

namespace Postern.Server.Flow;

/// <summary>What a relayed session is held to while it goes on, beyond who may open it.</summary>
/// <param name="Judge">Judges each message of the client before it passes: whether it is text, and what it says. Called one at a time.</param>
internal sealed record RelayRule(Func<bool, ReadOnlyMemory<byte>, Passage> Judge)
{
    /// <summary>What the upstream is told before anything of the client's; null for nothing.</summary>
    public byte[]? Greeting { get; init; }

    /// <summary>What the client is told in place of a text message of the upstream; where that is null, it passes as it came.</summary>
    public Func<ReadOnlyMemory<byte>, byte[]?>? Translate { get; init; }

    /// <summary>Whether <see cref="Judge"/> ever answers; else nothing is put in between the upstream's messages.</summary>
    public bool Answers { get; init; } = true;

    /// <summary>What the client is told once when so much time of the session is over; null for nothing.</summary>
    public (TimeSpan After, byte[] Event)? Warning { get; init; }
}

/// <summary>What becomes of one message of the client.</summary>
/// <param name="Instead">Null: it passes as it came. Empty: it does not pass. Else this text passes in its place.</param>
/// <param name="Answers">What the client is told about it, before anything of it passes.</param>
internal readonly record struct Passage(byte[]? Instead, IReadOnlyList<byte[]> Answers)
{
    /// <summary>What the client is told in the upstream's place if that does not answer in time; null for nothing.</summary>
    public Unanswered? Unless { get; init; }

    /// <summary>Frame by frame unchanged.</summary>
    public static readonly Passage AsItCame = new(null, []);

    /// <summary>Nothing of it passes, and the session ends with it.</summary>
    public SessionEnd? End { get; init; }

    /// <summary>Nothing of it passes.</summary>
    public static Passage Refused(params IReadOnlyList<byte[]> answers) => new([], answers);

    /// <summary>Nothing of it passes, and the session ends so.</summary>
    public static Passage Ending(SessionEnd end) => new([], []) { End = end };
}

/// <summary>An answer that some upstreams leave out and clients wait for.</summary>
/// <param name="Word">What stands in the upstream's own answer.</param>
/// <param name="After">How long it is waited for.</param>
/// <param name="Instead">What the client is told then.</param>
internal sealed record Unanswered(byte[] Word, TimeSpan After, byte[] Instead);
