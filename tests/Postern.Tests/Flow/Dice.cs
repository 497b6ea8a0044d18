namespace Postern.Tests.Flow;

/// <summary>A seeded sequence (xorshift64*): the same seed, the same test, on every runtime.</summary>
internal sealed class Dice(ulong seed)
{
    private ulong state = seed * 0x9E3779B97F4A7C15 + 1;

    public ulong Next()
    {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return state * 0x2545F4914F6CDD1D;
    }

    /// <summary>0 to <paramref name="below"/> − 1.</summary>
    public int Next(int below) => (int)((Next() >> 33) % (ulong)below);

    public bool OneIn(int chances) => Next(chances) == 0;

    public byte[] Bytes(int count)
    {
        var bytes = new byte[count];
        for (var i = 0; i < count; i++) bytes[i] = (byte)(Next() >> 40);
        return bytes;
    }
}
