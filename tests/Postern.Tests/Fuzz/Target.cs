using System.Text;
using Postern.Core;
using Postern.Server.Dialects;
using Postern.Server.Dialects.ElevenLabs;

namespace Postern.Tests.Fuzz;

/// <summary>Something that hostile input reaches. Used by one thread.</summary>
internal abstract class Target
{
    protected static readonly SocketDialect Dialect = new ElevenLabsDialect();

    /// <summary>Of a hundred inputs, how many come here.</summary>
    public abstract int Share { get; }

    /// <summary>Honest inputs.</summary>
    public abstract IReadOnlyList<byte[]> Seeds { get; }

    /// <summary>Takes one input. What it throws has escaped; what it finds wrong it throws too.</summary>
    public abstract void Try(ReadOnlySpan<byte> input, Dice dice);

    protected static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    // A header comes as Latin-1 or as UTF-8, as the server is set.
    protected static string Text(ReadOnlySpan<byte> input, Dice dice) => dice.Next(4) == 0 ? Encoding.UTF8.GetString(input) : Encoding.Latin1.GetString(input);

    /// <summary>No answer above 4xx but 503, no close reason that does not fit a close frame.</summary>
    protected static void Answered(Denial? denial)
    {
        if (denial is null)
        {
            return;
        }
        var status = Dialect.Refuse(denial).Status;
        Require(status is >= 400 and < 500 or 503, $"status {status} for {denial.Reason}");
        var close = Dialect.Turn(denial).Close;
        Require(Encoding.UTF8.GetByteCount(close.Reason) <= 123 && close.Code is >= 1000 and < 5000, $"close {close.Code} '{close.Reason}'");
    }

    protected static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new FuzzFinding(otherwise);
        }
    }
}

/// <summary>A promise that an input has broken.</summary>
#pragma warning disable CA1064 // stays in this assembly
internal sealed class FuzzFinding(string message) : Exception(message);
#pragma warning restore CA1064
