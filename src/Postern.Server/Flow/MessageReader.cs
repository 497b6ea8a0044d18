using System.Buffers;
using System.Text.Unicode;
using Postern.Core.Sessions;

namespace Postern.Server.Flow;

/// <summary>Joins the frames of one client message in a pooled buffer: [frames of the message][bytes not looked at yet].</summary>
internal sealed class MessageReader(int maxBytes, bool keepPings) : IDisposable
{
    // A frame of nothing costs its sender two bytes and us a whole turn: what is taken apart finer than this is an attack.
    private const int FewestBytesPerFragment = 16;

    private byte[] buffer = [];
    private int kept;           // frames of the message so far
    private int end;
    private int payloadBytes;
    private int fragments;
    private int controlFrames;
    private Opcode kind;
    private bool inMessage;

    /// <summary>What one frame led to: the end of the reading, a pong to send, or nothing yet.</summary>
    internal readonly record struct Frame(ClientMessage? Result, byte[]? Pong);

    public void Append(ReadOnlySpan<byte> bytes)
    {
        Reserve(bytes.Length);
        bytes.CopyTo(buffer.AsSpan(end));
        end += bytes.Length;
    }

    public Memory<byte> Space()
    {
        Reserve(1);
        return buffer.AsMemory(end);
    }

    public void Advance(int count) => end += count;

    /// <summary>Takes the next complete frame; false when more bytes are needed.</summary>
    public bool TakeFrame(out Frame frame)
    {
        frame = default;
        var unread = buffer.AsSpan(kept, end - kept);
        var status = FrameHeader.Read(unread, out var header);
        if (status == OperationStatus.NeedMoreData) return false;
        var broken = status == OperationStatus.InvalidData ? "The frame's length is malformed." : header.BrokenRule(fromClient: true, inMessage);
        if (broken is not null) return Break(1002, broken, out frame);
        if (!header.IsControl && header.Length > maxBytes - payloadBytes) return Break(1009, "The message is too big.", out frame);
        if (unread.Length < header.Size + header.Length) return false;

        var size = header.Size + (int)header.Length;
        if (header.IsControl) return TakeControl(header, size, out frame);

        if (!inMessage) kind = header.Opcode;
        inMessage = true;
        kept += size;
        payloadBytes += (int)header.Length;
        if (++fragments > Math.Max(64, maxBytes / FewestBytesPerFragment)) return Break(1008, "The message has too many fragments.", out frame);
        if (header.Final) frame = new(Join(), null);
        return true;
    }

    private bool TakeControl(FrameHeader header, int size, out Frame frame)
    {
        // A copy: the frame itself stays as it came, for whoever passes it on.
        Span<byte> payload = stackalloc byte[125];
        payload = payload[..(int)header.Length];
        buffer.AsSpan(kept + header.Size, payload.Length).CopyTo(payload);
        Frames.Mask(payload, header.Mask);
        frame = default;
        if (header.Opcode == Opcode.Close)
        {
            var valid = Frames.ReadClose(payload, out var close);
            frame = new(Ended(valid ? ReadOutcome.Closed : ReadOutcome.Broken, close), null);
            return true;
        }
        if (++controlFrames > 64) return Break(1008, "Too many pings.", out frame);
        if (keepPings)
        {
            kept += size;
            return true;
        }
        if (header.Opcode == Opcode.Ping) frame = new(null, Frames.Pong(payload));
        buffer.AsSpan(kept + size, end - kept - size).CopyTo(buffer.AsSpan(kept));
        end -= size;
        return true;
    }

    private ClientMessage Join()
    {
        var all = buffer.AsSpan(0, end).ToArray();
        var payload = new byte[payloadBytes];
        var written = 0;
        for (var at = 0; at < kept;)
        {
            FrameHeader.Read(all.AsSpan(at), out var header);
            at += header.Size + (int)header.Length;
            if (header.IsControl) continue;
            var part = payload.AsSpan(written, (int)header.Length);
            all.AsSpan(at - part.Length, part.Length).CopyTo(part);
            Frames.Mask(part, header.Mask);
            written += part.Length;
        }
        if (kind == Opcode.Text && !Utf8.IsValid(payload))
            return Ended(ReadOutcome.Broken, new(1007, "The message is not UTF-8."));
        return new(ReadOutcome.Message, kind == Opcode.Text, payload, all, all.AsMemory(kept), default);
    }

    /// <summary>No message, but all that came: a relay passes it on and judges it by its own rules.</summary>
    public ClientMessage Ended(ReadOutcome outcome, CloseFrame? close = null) =>
        new(outcome, false, default, buffer.AsSpan(0, end).ToArray(), default, close ?? new(Frames.Abnormal, ""));

    private bool Break(ushort code, string sentence, out Frame frame)
    {
        frame = new(Ended(ReadOutcome.Broken, new(code, sentence)), null);
        return true;
    }

    private void Reserve(int count)
    {
        if (buffer.Length - end >= count) return;
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(2 * buffer.Length, Math.Max(end + count, 1024)));
        buffer.AsSpan(0, end).CopyTo(larger);
        Dispose();
        buffer = larger;
    }

    public void Dispose()
    {
        // What was said to an agent does not stay behind in a shared pool.
        if (buffer.Length > 0) ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
        buffer = [];
    }
}
