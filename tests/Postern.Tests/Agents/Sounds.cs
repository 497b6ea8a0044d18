using Postern.Server.Agents;

namespace Postern.Tests.Agents;

/// <summary>Sounds to speak with.</summary>
internal static class Sounds
{
    public static short[] Tone(int milliseconds, int rate = 16000, int hertz = 440, double loudness = 8000) =>
        [.. Enumerable.Range(0, rate * milliseconds / 1000).Select(i => (short)(loudness * Math.Sin(2 * Math.PI * hertz * i / rate)))];

    public static short[] Silence(int milliseconds, int rate = 16000) => new short[rate * milliseconds / 1000];

    public static byte[] Bytes(this short[] samples, AudioFormat? format = null) => (format ?? AudioFormat.Default).Encode(samples);

    /// <summary>Where one run of samples begins in another; -1 when it does not stand in it.</summary>
    public static int IndexOf(this short[] all, short[] part) => all.AsSpan().IndexOf(part);
}
