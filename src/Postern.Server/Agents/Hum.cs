namespace Postern.Server.Agents;

/// <summary>What the echo agent plays for a written word when sound is asked for: a quiet tone, as long as the word is.</summary>
internal static class Hum
{
    private const double Pitch = 220;
    private const double Loudness = 2000;
    private const double SecondsPerCharacter = 0.03;

    public static short[] For(string text, int rate)
    {
        var samples = new short[(int)(rate * Math.Clamp(text.Length * SecondsPerCharacter, 0.2, 2))];
        for (var i = 0; i < samples.Length; i++)
        {
            samples[i] = (short)(Loudness * Math.Sin(2 * Math.PI * Pitch * i / rate));
        }
        return samples;
    }
}
