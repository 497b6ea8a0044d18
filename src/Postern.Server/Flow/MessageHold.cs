using System.Buffers;
using Postern.Core.Sessions;

namespace Postern.Server.Flow;

/// <summary>
/// Holds one side's frames back until their message is whole and has been judged; control frames pass at once. What it is given has
/// passed the scanner: the frames are well-formed and within the limits.
/// </summary>
/// <param name="judge">Decides about each message.</param>
/// <param name="answer">Tells the client something; null where the rule never answers.</param>
/// <param name="expect">Waits for the upstream's answer to a message that passes now; null likewise.</param>
internal sealed class MessageHold(Func<bool, ReadOnlyMemory<byte>, Passage> judge, Func<byte[], ValueTask>? answer, Func<Unanswered, ValueTask>? expect) : IDisposable
{
    private bool toClient;
    private byte[] buffer = [];     // [handed out][frames of the message][bytes not looked at yet]
    private int given;
    private int kept;
    private int end;
    private Opcode kind;
    private bool inMessage;

    /// <summary>Holds an upstream's frames back instead, until they have been put into the client's words.</summary>
    public static MessageHold Translating(Func<ReadOnlyMemory<byte>, byte[]?> translate) =>
        new((isText, message) => new Passage(isText ? translate(message) : null, []), null, null) { toClient = true };

    /// <summary>Set by a message that ends the session; nothing passes any more.</summary>
    public SessionEnd? Fault { get; private set; }

    /// <summary>Takes frames, or pieces of frames, in order.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (buffer.Length - end < bytes.Length)
        {
            Grow(bytes.Length);
        }
        bytes.CopyTo(buffer.AsSpan(end));
        end += bytes.Length;
    }

    /// <summary>The next bytes that may pass, valid until the next call; empty when more must come first.</summary>
    public async ValueTask<ReadOnlyMemory<byte>> NextAsync()
    {
        Forget();
        while (TakeFrame(out var start, out var header))
        {
            var frame = buffer.AsMemory(start, header.Size + (int)header.Length);
            if (header.IsControl)
            {
                var control = frame.ToArray();
                buffer.AsSpan(start + control.Length, end - start - control.Length).CopyTo(buffer.AsSpan(start));
                (end, kept) = (end - control.Length, start);
                return control;
            }
            (kind, inMessage) = (inMessage ? kind : header.Opcode, !header.Final);
            if (!header.Final)
            {
                continue;
            }
            var passage = judge(kind == Opcode.Text, Join());
            foreach (var text in passage.Answers)
            {
                await answer!(text);
            }
            if (passage.End is { } fault)
            {
                Fault = fault;
                return default;
            }
            if (passage.Unless is { } unanswered)
            {
                await expect!(unanswered);
            }
            var message = buffer.AsMemory(given, kept - given);
            given = kept;
            if (passage.Instead is not { } instead)
            {
                return message;
            }
            if (instead.Length > 0)
            {
                return toClient ? Frames.Text(instead) : Frames.MaskedText(instead);
            }
        }
        return default;
    }

    private bool TakeFrame(out int start, out FrameHeader header)
    {
        start = kept;
        var unread = buffer.AsSpan(kept, end - kept);
        if (FrameHeader.Read(unread, out header) != OperationStatus.Done || unread.Length < header.Size + header.Length)
        {
            return false;
        }
        kept += header.Size + (int)header.Length;
        return true;
    }

    private byte[] Join()
    {
        var payload = new byte[kept - given];
        var written = 0;
        for (var at = given; at < kept;)
        {
            FrameHeader.Read(buffer.AsSpan(at), out var header);
            var part = payload.AsSpan(written, (int)header.Length);
            buffer.AsSpan(at + header.Size, part.Length).CopyTo(part);
            Frames.Mask(part, header.Mask);
            written += part.Length;
            at += header.Size + part.Length;
        }
        return payload[..written];
    }

    // An idle session holds no buffer.
    private void Forget()
    {
        if (given == end)
        {
            Dispose();
            return;
        }
        buffer.AsSpan(given, end - given).CopyTo(buffer);
        (kept, end, given) = (kept - given, end - given, 0);
    }

    private void Grow(int more)
    {
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(2 * buffer.Length, end + more));
        buffer.AsSpan(0, end).CopyTo(larger);
        var (was, stop, at) = (given, end, kept);
        Dispose();
        (buffer, given, end, kept) = (larger, was, stop, at);
    }

    public void Dispose()
    {
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
        }
        (buffer, given, kept, end) = ([], 0, 0, 0);
    }
}
