using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Unicode;
using Postern.Core.Sessions;

namespace Postern.Server.Flow;

/// <summary>Whole frames as Postern itself writes them, masking, and what a close frame says.</summary>
internal static class Frames
{
    public const ushort NoCode = 1005;
    public const ushort Abnormal = 1006;

    /// <summary>Bytes a close reason may have: a control frame's 125 less the code (RFC 6455, 5.5).</summary>
    public const int MaxReasonBytes = 123;

    /// <summary>A text message to a client in one frame; the payload must be valid UTF-8.</summary>
    public static byte[] Text(ReadOnlySpan<byte> payload) => Server(Opcode.Text, payload);

    /// <summary>A binary message to a client in one frame.</summary>
    public static byte[] Binary(ReadOnlySpan<byte> payload) => Server(Opcode.Binary, payload);

    /// <summary>The answer to a ping, to a client.</summary>
    public static byte[] Pong(ReadOnlySpan<byte> payload) => Server(Opcode.Pong, payload);

    /// <summary>A close frame to a client; its reason is cut to 123 bytes of UTF-8 between two characters.</summary>
    public static byte[] Close(CloseFrame close)
    {
        Span<byte> payload = stackalloc byte[125];
        return Server(Opcode.Close, payload[..WriteClose(payload, close)]);
    }

    /// <summary>A text message to an upstream, masked with a fresh key.</summary>
    public static byte[] MaskedText(ReadOnlySpan<byte> payload) => Client(Opcode.Text, payload);

    /// <summary>A close frame to an upstream, masked with a fresh key.</summary>
    public static byte[] MaskedClose(CloseFrame close)
    {
        Span<byte> payload = stackalloc byte[125];
        return Client(Opcode.Close, payload[..WriteClose(payload, close)]);
    }

    private static byte[] Server(Opcode opcode, ReadOnlySpan<byte> payload)
    {
        Span<byte> head = stackalloc byte[FrameHeader.MaxSize];
        var size = FrameHeader.Write(head, opcode, final: true, payload.Length);
        var frame = new byte[size + payload.Length];
        head[..size].CopyTo(frame);
        payload.CopyTo(frame.AsSpan(size));
        return frame;
    }

    private static byte[] Client(Opcode opcode, ReadOnlySpan<byte> payload)
    {
        Span<byte> head = stackalloc byte[FrameHeader.MaxSize];
        Span<byte> key = stackalloc byte[4];
        RandomNumberGenerator.Fill(key);
        var mask = BinaryPrimitives.ReadUInt32LittleEndian(key);
        var size = FrameHeader.Write(head, opcode, final: true, payload.Length, mask);
        var frame = new byte[size + payload.Length];
        head[..size].CopyTo(frame);
        payload.CopyTo(frame.AsSpan(size));
        Mask(frame.AsSpan(size), mask);
        return frame;
    }

    /// <summary>Writes code and reason; 1005 and 1006 never travel, they become an empty payload.</summary>
    private static int WriteClose(Span<byte> to, CloseFrame close)
    {
        if (close.Code is 0 or NoCode or Abnormal) return 0;
        BinaryPrimitives.WriteUInt16BigEndian(to, close.Code);
        // FromUtf16 stops before a character that no longer fits and mends lone surrogates: the cut is always valid UTF-8.
        Utf8.FromUtf16(close.Reason, to.Slice(2, MaxReasonBytes), out _, out var written);
        return 2 + written;
    }

    /// <summary>Reads an unmasked close payload. False when it breaks RFC 6455, 5.5.1 or 7.4: then
    /// <paramref name="close"/> is the close to answer with (1002 or 1007). An empty payload reads as 1005.</summary>
    public static bool ReadClose(ReadOnlySpan<byte> payload, out CloseFrame close)
    {
        close = new(NoCode, "");
        if (payload.IsEmpty) return true;
        if (payload.Length == 1)
        {
            close = new(1002, "The close frame has half a code.");
            return false;
        }
        var code = BinaryPrimitives.ReadUInt16BigEndian(payload);
        if (!IsCodeOnTheWire(code))
        {
            close = new(1002, "The close code may not be used.");
            return false;
        }
        if (!Utf8.IsValid(payload[2..]))
        {
            close = new(1007, "The close reason is not UTF-8.");
            return false;
        }
        close = new(code, Encoding.UTF8.GetString(payload[2..]));
        return true;
    }

    /// <summary>Whether a close frame begins these bytes.</summary>
    public static bool IsClose(ReadOnlySpan<byte> bytes) => bytes.Length > 0 && (bytes[0] & 0x0f) == (byte)Opcode.Close;

    /// <summary>Whether a client's close frame seems to end these bytes; for one whose frames are no longer followed.</summary>
    public static bool EndWithClose(ReadOnlySpan<byte> bytes)
    {
        for (var length = 0; length <= 125 && bytes.Length >= length + 6; length++)
        {
            if (bytes[^(length + 6)] == 0x88 && bytes[^(length + 5)] == (0x80 | length)) return true;
        }
        return false;
    }

    /// <summary>Codes that may stand in a close frame: registered with IANA, or 3000 to 4999.</summary>
    public static bool IsCodeOnTheWire(ushort code) => code is >= 1000 and <= 1003 or >= 1007 and <= 1014 or >= 3000 and <= 4999;

    /// <summary>Masks or unmasks in place; <paramref name="phase"/> is the position of the first byte in the payload.</summary>
    public static void Mask(Span<byte> bytes, uint mask, int phase = 0)
    {
        var key = Rotate(mask, phase);
        if (Vector.IsHardwareAccelerated && bytes.Length >= Vector<byte>.Count)
        {
            var wide = Vector.AsVectorByte(new Vector<uint>(key));
            do
            {
                (new Vector<byte>(bytes) ^ wide).CopyTo(bytes);
                bytes = bytes[Vector<byte>.Count..];
            } while (bytes.Length >= Vector<byte>.Count);
        }
        for (var i = 0; i < bytes.Length; i++) bytes[i] ^= (byte)(key >> (8 * (i & 3)));
    }

    /// <summary>The key as it applies from payload position <paramref name="phase"/> on.</summary>
    public static uint Rotate(uint mask, int phase) => BitOperations.RotateRight(mask, 8 * (phase & 3));
}
