using System.Buffers;
using Postern.Core.Sessions;

namespace Postern.Server.Flow;

/// <summary>What may pass of a piece, and what stands behind it.</summary>
/// <param name="Pass">Bytes from the start that may be forwarded.</param>
/// <param name="Frames">Frames that began among them.</param>
/// <param name="NeedsMore">The bytes behind are the start of a head or of a close frame: look again when more have come.</param>
/// <param name="Close">The last frame that may pass is this close.</param>
/// <param name="Fault">The frame behind, or the rest of the current one, must not pass.</param>
internal readonly record struct Scan(int Pass, int Frames, bool NeedsMore = false, CloseFrame? Close = null, SessionEnd? Fault = null);

/// <summary>Follows the frames of one direction as they pass and enforces RFC 6455 and the limits; keeps no payload.</summary>
internal struct FrameScanner(bool fromClient, RelayLimits limits, long ticksPerSecond)
{
    // What is taken apart into finer pieces than this costs the receiver more than it costs the sender.
    private const int FewestBytesPerFragment = 16;

    private long remaining;         // of the frame that is passing
    private long messageBytes;
    private int fragments;
    private uint key;               // as it applies to the next byte
    private Opcode message;         // Continuation when no message is open
    private bool isControl;
    private bool isFinal;
    private Utf8Progress text;
    private long windowStart;
    private long windowBytes;
    private int windowFrames;

    /// <summary>What has passed ends with a whole frame: another may be put in here.</summary>
    public readonly bool AtEdge => remaining == 0;

    /// <summary>What has passed ends inside a fragmented message: only control frames may be put in.</summary>
    public readonly bool InMessage => message != Opcode.Continuation;

    /// <summary>Looks at the next piece. With <paramref name="stopAtEdge"/> nothing passes behind the end of the current frame.</summary>
    public Scan Look(ReadOnlySpan<byte> piece, long now, bool stopAtEdge = false)
    {
        var at = 0;
        var frames = 0;
        if (remaining > 0)
        {
            var part = piece[..(int)Math.Min(piece.Length, remaining)];
            if (!Take(part)) return new(0, 0, Fault: NotUtf8());
            at = part.Length;
        }
        while (at < piece.Length && !(stopAtEdge && AtEdge))
        {
            var rest = piece[at..];
            var status = FrameHeader.Read(rest, out var header);
            if (status == OperationStatus.NeedMoreData) return new(at, frames, NeedsMore: true);
            var broken = status == OperationStatus.InvalidData ? "A frame's length is malformed." : header.BrokenRule(fromClient, InMessage);
            if (broken is not null) return new(at, frames, Fault: new(SessionEndReason.ProtocolError, 1002, broken));
            if (header.Opcode == Opcode.Close) return LookAtClose(rest, header, at, frames);
            if (BrokenLimit(header, now) is { } fault) return new(at, frames, Fault: fault);

            // The text that is here is checked before the head passes: a frame once begun cannot be taken back.
            var open = message;
            Begin(header);
            var part = rest.Slice(header.Size, (int)Math.Min(rest.Length - header.Size, remaining));
            if (!Take(part))
            {
                (remaining, message) = (0, open);
                return new(at, frames, Fault: NotUtf8());
            }
            at += header.Size + part.Length;
            frames++;
        }
        return new(at, frames);
    }

    private readonly Scan LookAtClose(ReadOnlySpan<byte> frame, FrameHeader header, int at, int frames)
    {
        // A close is passed on whole or not at all: what it says decides how the session ends.
        var size = header.Size + (int)header.Length;
        if (frame.Length < size) return new(at, frames, NeedsMore: true);
        Span<byte> payload = stackalloc byte[125];
        payload = payload[..(int)header.Length];
        frame[header.Size..size].CopyTo(payload);
        if (header.Masked) Frames.Mask(payload, header.Mask);
        return Frames.ReadClose(payload, out var close)
            ? new(at + size, frames + 1, Close: close)
            : new(at, frames, Fault: new(SessionEndReason.ProtocolError, close.Code, close.Reason));
    }

    private SessionEnd? BrokenLimit(FrameHeader header, long now)
    {
        if (now - windowStart >= ticksPerSecond) (windowStart, windowFrames, windowBytes) = (now, 0, 0);
        windowFrames++;
        windowBytes += Math.Min(header.Length, int.MaxValue) + header.Size;
        var starts = header.Opcode != Opcode.Continuation;
        var isData = !header.IsControl;
        return isData && header.Length > limits.MaxMessageBytes - (starts ? 0 : messageBytes)
                ? new(SessionEndReason.MessageTooBig, 1009, $"A message is larger than {limits.MaxMessageBytes} bytes.")
            : isData && !starts && fragments >= Math.Max(64, limits.MaxMessageBytes / FewestBytesPerFragment)
                ? new(SessionEndReason.RateExceeded, 1008, "A message has too many fragments.")
            : windowFrames > limits.MaxFramesPerSecond
                ? new(SessionEndReason.RateExceeded, 1008, $"More than {limits.MaxFramesPerSecond} frames in a second.")
            : windowBytes > limits.MaxBytesPerSecond
                ? new(SessionEndReason.RateExceeded, 1008, $"More than {limits.MaxBytesPerSecond} bytes in a second.")
            : null;
    }

    private void Begin(FrameHeader header)
    {
        remaining = header.Length;
        key = header.Mask;
        isControl = header.IsControl;
        if (isControl) return;
        isFinal = header.Final;
        if (header.Opcode != Opcode.Continuation) (message, messageBytes, fragments, text) = (header.Opcode, 0, 0, default);
        messageBytes += header.Length;
        fragments++;
    }

    /// <summary>Follows payload of the current frame; false when a text message can no longer be UTF-8.</summary>
    private bool Take(ReadOnlySpan<byte> part)
    {
        var isText = !isControl && message == Opcode.Text;
        if (isText && !text.Feed(part, key)) return false;
        if (remaining > part.Length)
        {
            remaining -= part.Length;
            key = Frames.Rotate(key, part.Length);
            return true;
        }
        if (isText && isFinal && !text.AtCharacterEnd) return false;
        remaining = 0;
        if (!isControl && isFinal) message = Opcode.Continuation;
        return true;
    }

    private static SessionEnd NotUtf8() => new(SessionEndReason.ProtocolError, 1007, "A text message is not UTF-8.");
}
