namespace Postern.Tests;

/// <summary>A seeded generator (xorshift64*): what a test has thrown once it can throw again. Nothing secret comes from it.</summary>
internal sealed class Dice(ulong seed)
{
    private ulong state = seed * 0x9E3779B97F4A7C15 | 1;

    /// <summary>64 bits.</summary>
    public ulong Next()
    {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return state * 0x2545F4914F6CDD1D;
    }

    /// <summary>A number below <paramref name="limit"/>.</summary>
    public int Next(int limit) => (int)((Next() >> 33) % (uint)limit);

    /// <summary>True once in so many times.</summary>
    public bool OneIn(int chances) => Next(chances) == 0;

    public byte[] Bytes(int count)
    {
        var bytes = new byte[count];
        for (var i = 0; i < count; i++)
        {
            bytes[i] = (byte)(Next() >> 40);
        }
        return bytes;
    }

    /// <summary>One of these.</summary>
    public T Of<T>(IReadOnlyList<T> choices) => choices[Next(choices.Count)];
}
