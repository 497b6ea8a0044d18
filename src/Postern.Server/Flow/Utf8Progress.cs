using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text;
using System.Text.Unicode;

namespace Postern.Server.Flow;

/// <summary>Checks that a text message is UTF-8 while it passes, masked and in pieces, without keeping it.</summary>
internal struct Utf8Progress
{
    private const int Block = 512;

    // The first bytes of a character that the last piece cut in two: at most 3.
    private uint pending;
    private byte pendingCount;

    /// <summary>No character is cut in two: a message may end here.</summary>
    public readonly bool AtCharacterEnd => pendingCount == 0;

    /// <summary>Takes the next piece; false as soon as the text can no longer become valid.</summary>
    /// <param name="piece">Any number of bytes, cut anywhere.</param>
    /// <param name="key">The masking key as it applies to the first byte of the piece; 0 for plain bytes.</param>
    public bool Feed(ReadOnlySpan<byte> piece, uint key)
    {
        if (pendingCount == 0)
        {
            var ascii = AsciiPrefix(piece, key);
            if (ascii == piece.Length) return true;
            piece = piece[ascii..];
            key = Frames.Rotate(key, ascii);
        }
        return FeedSlowly(piece, key);
    }

    /// <summary>How many bytes from the start are plain ASCII once unmasked, in whole vectors and then in fours.</summary>
    private static int AsciiPrefix(ReadOnlySpan<byte> piece, uint key)
    {
        var at = 0;
        ref var start = ref MemoryMarshal.GetReference(piece);
        if (Vector256.IsHardwareAccelerated)
        {
            var wide = Vector256.Create(key).AsByte();
            for (; at + Vector256<byte>.Count <= piece.Length; at += Vector256<byte>.Count)
            {
                if ((Vector256.LoadUnsafe(ref start, (nuint)at) ^ wide).ExtractMostSignificantBits() != 0) return at;
            }
        }
        for (; at + 4 <= piece.Length; at += 4)
        {
            if (((Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref start, at)) ^ key) & 0x80808080) != 0) return at;
        }
        for (; at < piece.Length; at++)
        {
            if (((piece[at] ^ (byte)(key >> (8 * (at & 3)))) & 0x80) != 0) return at;
        }
        return at;
    }

    private bool FeedSlowly(ReadOnlySpan<byte> piece, uint key)
    {
        Span<byte> plain = stackalloc byte[4 + Block];
        while (!piece.IsEmpty)
        {
            var count = Math.Min(piece.Length, Block);
            for (var i = 0; i < pendingCount; i++) plain[i] = (byte)(pending >> (8 * i));
            var text = plain[..(pendingCount + count)];
            piece[..count].CopyTo(text[pendingCount..]);
            Frames.Mask(text[pendingCount..], key);

            var cut = StartOfCutCharacter(text);
            if (!Utf8.IsValid(text[..cut]) || !Keep(text[cut..])) return false;
            piece = piece[count..];
            key = Frames.Rotate(key, count);
        }
        return true;
    }

    private static int StartOfCutCharacter(ReadOnlySpan<byte> text)
    {
        for (var back = 1; back <= 3 && back <= text.Length; back++)
        {
            var lead = text[^back];
            if (lead < 0x80) break;
            if (lead < 0xC0) continue;
            var needed = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
            return needed > back ? text.Length - back : text.Length;
        }
        return text.Length;
    }

    private bool Keep(ReadOnlySpan<byte> cut)
    {
        pending = 0;
        pendingCount = (byte)cut.Length;
        for (var i = 0; i < cut.Length; i++) pending |= (uint)cut[i] << (8 * i);
        return cut.IsEmpty || Rune.DecodeFromUtf8(cut, out _, out _) == OperationStatus.NeedMoreData;
    }
}
