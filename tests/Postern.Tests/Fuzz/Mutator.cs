namespace Postern.Tests.Fuzz;

/// <summary>Changes a seed in a few places: bits, bytes, ranges, and pieces that are known to hurt. Repeatable by its dice.</summary>
internal sealed class Mutator(IReadOnlyList<byte[]> seeds, Dice dice)
{
    private const int Longest = 9000;

    private static readonly byte[][] Pieces =
    [
        [0], "\r\n"u8.ToArray(), "."u8.ToArray(), ".."u8.ToArray(), "="u8.ToArray(), "%00"u8.ToArray(), "%zz"u8.ToArray(), "&"u8.ToArray(), ","u8.ToArray(), ", "u8.ToArray(),
        " "u8.ToArray(), "\t"u8.ToArray(), "\""u8.ToArray(), "\\"u8.ToArray(), "\\u0000"u8.ToArray(), "\\ud800"u8.ToArray(), "\\udc00\\ud83d"u8.ToArray(),
        [0xFF], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xEF, 0xBB, 0xBF], [0xE3, 0x80, 0x82], [0xD0, 0xB0], [0xCC, 0x81],
        "{"u8.ToArray(), "}"u8.ToArray(), "["u8.ToArray(), "]"u8.ToArray(), "[[[[[[[[[["u8.ToArray(), "null"u8.ToArray(), "true"u8.ToArray(), "-1"u8.ToArray(), "1e400"u8.ToArray(),
        "9223372036854775808"u8.ToArray(), "253402300800"u8.ToArray(), ":"u8.ToArray(), "://"u8.ToArray(), "@"u8.ToArray(), ":443"u8.ToArray(), ":0443"u8.ToArray(), ".evil.com"u8.ToArray(),
        "system__x"u8.ToArray(), "agent_id=agent_2"u8.ToArray(), "bearer."u8.ToArray(), "convai"u8.ToArray(), "psu_"u8.ToArray(), "ek_"u8.ToArray(), "none"u8.ToArray(),
        "\"type\":\"conversation_initiation_client_data\","u8.ToArray(), "\"agt\":\"agent_2\","u8.ToArray(), "\"enable_auth\":false,"u8.ToArray(), "\"alg\":\"none\","u8.ToArray(),
    ];

    private readonly byte[] buffer = new byte[Longest];
    private int length;

    /// <summary>A changed seed; valid until the next call. One in 64 is the seed itself.</summary>
    public ReadOnlySpan<byte> Next()
    {
        var seed = dice.Of(seeds);
        seed.CopyTo(buffer, 0);
        length = seed.Length;
        if (dice.Next(64) != 0)
        {
            for (var changes = 1 + dice.Next(1 + dice.Next(6)); changes > 0; changes--)
            {
                Change();
            }
        }
        return buffer.AsSpan(0, length);
    }

    private void Change()
    {
        var at = dice.Next(length + 1);
        var count = Math.Min(length - at, 1 + dice.Next(1 + dice.Next(32)));
        switch (dice.Next(9))
        {
            case 0 when at < length:
                buffer[at] ^= (byte)(1 << dice.Next(8));
                break;
            case 1 when at < length:
                buffer[at] = (byte)dice.Next(256);
                break;
            case 2 when at < length: // another character of the text itself
                buffer[at] = buffer[dice.Next(length)];
                break;
            case 3:
                Replace(at, count, []);
                break;
            case 4:
                Replace(at, 0, buffer.AsSpan(at, count).ToArray());
                break;
            case 5:
                Replace(at, 0, dice.Of(Pieces));
                break;
            case 6:
                Replace(at, count, dice.Of(Pieces));
                break;
            case 7: // a piece of another seed
                var other = dice.Of(seeds);
                var from = dice.Next(other.Length + 1);
                Replace(at, count, other.AsSpan(from, Math.Min(other.Length - from, 1 + dice.Next(64))));
                break;
            default:
                length = dice.Next(4) == 0 ? at : length;
                break;
        }
    }

    private void Replace(int at, int count, ReadOnlySpan<byte> with)
    {
        if (length - count + with.Length > Longest)
        {
            return;
        }
        buffer.AsSpan(at + count, length - at - count).CopyTo(buffer.AsSpan(at + with.Length));
        with.CopyTo(buffer.AsSpan(at));
        length += with.Length - count;
    }
}
