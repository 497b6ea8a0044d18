using System.Buffers;
using System.Buffers.Binary;

namespace Postern.Server.Flow;

/// <summary>What a frame carries (RFC 6455, 5.2).</summary>
internal enum Opcode : byte { Continuation = 0, Text = 1, Binary = 2, Close = 8, Ping = 9, Pong = 10 }

/// <summary>The head of one WebSocket frame, as read from the wire (RFC 6455, 5.2).</summary>
/// <param name="Final">The frame ends its message.</param>
/// <param name="Reserved">The three reserved bits; anything but 0 needs an extension, and none is ever agreed.</param>
/// <param name="Opcode">May be a number that has no name.</param>
/// <param name="Masked">The payload is masked, as every frame of a client must be.</param>
/// <param name="Mask">The masking key, its first byte lowest; 0 when there is none.</param>
/// <param name="Length">Bytes of payload.</param>
/// <param name="Size">Bytes of this head itself, 2 to 14.</param>
internal readonly record struct FrameHeader(bool Final, byte Reserved, Opcode Opcode, bool Masked, uint Mask, long Length, int Size)
{
    public const int MaxSize = 14;

    public bool IsControl => ((byte)Opcode & 8) != 0;

    /// <summary>Reads a head from the start of <paramref name="bytes"/>: Done, NeedMoreData, or InvalidData when a
    /// length is not in its shortest form or has its highest bit set.</summary>
    public static OperationStatus Read(ReadOnlySpan<byte> bytes, out FrameHeader header)
    {
        header = default;
        if (bytes.Length < 2) return OperationStatus.NeedMoreData;
        var masked = (bytes[1] & 0x80) != 0;
        long length = bytes[1] & 0x7F;
        var at = 2;
        if (length == 126)
        {
            if (bytes.Length < 4) return OperationStatus.NeedMoreData;
            length = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
            if (length < 126) return OperationStatus.InvalidData;
            at = 4;
        }
        else if (length == 127)
        {
            if (bytes.Length < 10) return OperationStatus.NeedMoreData;
            length = BinaryPrimitives.ReadInt64BigEndian(bytes[2..]);
            if (length <= ushort.MaxValue) return OperationStatus.InvalidData;
            at = 10;
        }
        var mask = 0u;
        if (masked)
        {
            if (bytes.Length < at + 4) return OperationStatus.NeedMoreData;
            mask = BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);
            at += 4;
        }
        header = new((bytes[0] & 0x80) != 0, (byte)(bytes[0] & 0x70), (Opcode)(bytes[0] & 0x0F), masked, mask, length, at);
        return OperationStatus.Done;
    }

    /// <summary>Writes a head and returns its size; <paramref name="mask"/> is given exactly when Postern is the client.</summary>
    public static int Write(Span<byte> to, Opcode opcode, bool final, long length, uint? mask = null)
    {
        to[0] = (byte)((final ? 0x80 : 0) | (byte)opcode);
        var maskBit = (byte)(mask is null ? 0 : 0x80);
        var at = 2;
        if (length < 126)
        {
            to[1] = (byte)(maskBit | (byte)length);
        }
        else if (length <= ushort.MaxValue)
        {
            to[1] = (byte)(maskBit | 126);
            BinaryPrimitives.WriteUInt16BigEndian(to[2..], (ushort)length);
            at = 4;
        }
        else
        {
            to[1] = (byte)(maskBit | 127);
            BinaryPrimitives.WriteInt64BigEndian(to[2..], length);
            at = 10;
        }
        if (mask is { } key)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(to[at..], key);
            at += 4;
        }
        return at;
    }

    /// <summary>The rule this head breaks, as a sentence, or null (RFC 6455, 5.1, 5.2, 5.4, 5.5).</summary>
    /// <param name="fromClient">A client's frames are masked, a server's never.</param>
    /// <param name="inMessage">A fragmented message has begun and has not ended.</param>
    public string? BrokenRule(bool fromClient, bool inMessage) =>
        Reserved != 0 ? "A reserved bit is set, but no extension was agreed."
        : Masked != fromClient ? (fromClient ? "A client's frame is not masked." : "A server's frame is masked.")
        : IsControl ? (
            Opcode > Opcode.Pong ? "The opcode is not known."
            : !Final ? "A control frame is fragmented."
            : Length > 125 ? "A control frame is longer than 125 bytes."
            : null)
        : Opcode > Opcode.Binary ? "The opcode is not known."
        : Opcode == Opcode.Continuation && !inMessage ? "A continuation without a message to continue."
        : Opcode != Opcode.Continuation && inMessage ? "A new message before the last one ended."
        : null;
}
