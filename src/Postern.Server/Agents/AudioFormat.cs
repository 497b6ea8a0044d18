using System.Buffers.Binary;

namespace Postern.Server.Agents;

/// <summary>How sound travels: PCM16 mono little-endian at a rate, or µ-law at 8 kHz (ITU-T G.711).</summary>
internal readonly record struct AudioFormat(bool IsUlaw, int Rate)
{
    /// <summary>What is spoken where nothing is configured.</summary>
    public static readonly AudioFormat Default = new(false, 16000);

    /// <summary>Such as <c>pcm_16000</c>.</summary>
    public string Name => IsUlaw ? "ulaw_8000" : $"pcm_{Rate}";

    /// <summary>The format of this name, the default for any other: clients fail on formats that are not among these.</summary>
    public static AudioFormat Parse(string? name) => name switch
    {
        "pcm_8000" => new(false, 8000),
        "pcm_22050" => new(false, 22050),
        "pcm_24000" => new(false, 24000),
        "pcm_44100" => new(false, 44100),
        "pcm_48000" => new(false, 48000),
        "ulaw_8000" => new(true, 8000),
        _ => Default,
    };

    /// <summary>The samples in <paramref name="bytes"/>; half a sample at the end is left out.</summary>
    public short[] Decode(ReadOnlySpan<byte> bytes)
    {
        var samples = new short[IsUlaw ? bytes.Length : bytes.Length / 2];
        for (var i = 0; i < samples.Length; i++)
        {
            samples[i] = IsUlaw ? FromUlaw(bytes[i]) : BinaryPrimitives.ReadInt16LittleEndian(bytes[(2 * i)..]);
        }
        return samples;
    }

    /// <summary>The bytes of <paramref name="samples"/>.</summary>
    public byte[] Encode(ReadOnlySpan<short> samples)
    {
        var bytes = new byte[IsUlaw ? samples.Length : samples.Length * 2];
        for (var i = 0; i < samples.Length; i++)
        {
            if (IsUlaw)
            {
                bytes[i] = ToUlaw(samples[i]);
            }
            else
            {
                BinaryPrimitives.WriteInt16LittleEndian(bytes.AsSpan(2 * i), samples[i]);
            }
        }
        return bytes;
    }

    /// <summary>The same sound at another rate, by straight lines between samples; the very same samples when the rates are equal.</summary>
    public static short[] Resample(short[] samples, int from, int to)
    {
        if (from == to || samples.Length == 0)
        {
            return samples;
        }
        var resampled = new short[(int)((long)samples.Length * to / from)];
        for (var i = 0; i < resampled.Length; i++)
        {
            var (left, rest) = Math.DivRem((long)i * from, to);
            var right = Math.Min(left + 1, samples.Length - 1);
            resampled[i] = (short)(samples[left] + (samples[right] - samples[left]) * rest / to);
        }
        return resampled;
    }

    private const int UlawBias = 0x84;
    private const int UlawClip = 32635;

    private static short FromUlaw(byte code)
    {
        var bits = ~code & 0xff;
        var magnitude = (((bits & 0x0f) << 3) + UlawBias << ((bits & 0x70) >> 4)) - UlawBias;
        return (short)((bits & 0x80) != 0 ? -magnitude : magnitude);
    }

    private static byte ToUlaw(short sample)
    {
        var sign = sample < 0 ? 0x80 : 0;
        var magnitude = Math.Min(Math.Abs((int)sample), UlawClip) + UlawBias;
        var exponent = 7;
        for (var mask = 0x4000; exponent > 0 && (magnitude & mask) == 0; mask >>= 1)
        {
            exponent--;
        }
        return (byte)~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0f);
    }
}
