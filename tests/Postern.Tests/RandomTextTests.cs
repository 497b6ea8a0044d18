using Postern.Core;
using Postern.Core.Credentials;
using Postern.Tests.Credentials;

namespace Postern.Tests;

public sealed class RandomTextTests
{
    // Chi-square over 62 characters: 61 degrees of freedom; 130 is passed by chance once in a million.
    [Fact]
    public void Base62_AMillionCharacters_AreEvenlySpread()
    {
        const int Texts = 20_000, Length = 50;
        var counts = new Dictionary<char, int>();
        for (var i = 0; i < Texts; i++)
        {
            foreach (var c in RandomText.Base62(Length))
            {
                counts[c] = counts.GetValueOrDefault(c) + 1;
            }
        }
        var expected = Texts * Length / 62.0;
        var chi = counts.Values.Sum(count => (count - expected) * (count - expected) / expected);

        Assert.Equal(62, counts.Count);
        Assert.True(chi < 130, $"chi-square {chi:0.0}");
    }

    [Fact]
    public void Time_OneAfterAnother_SortsAsTheTimesDo()
    {
        var start = DateTimeOffset.FromUnixTimeMilliseconds(1_790_000_000_000);
        var texts = Enumerable.Range(0, 10_000).Select(i => RandomText.Time(start.AddMilliseconds(i * 37))).ToList();

        Assert.All(texts, text => Assert.Equal(8, text.Length));
        Assert.Equal(texts.Order(StringComparer.Ordinal), texts);
        Assert.Equal(texts.Count, texts.Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public void Bytes_AMillion_AreEvenlySpread()
    {
        var counts = new int[256];
        var bytes = new byte[1000];
        for (var i = 0; i < 1000; i++)
        {
            RandomText.Bytes(bytes);
            foreach (var b in bytes)
            {
                counts[b]++;
            }
        }
        var expected = 1_000_000 / 256.0;
        var chi = counts.Sum(count => (count - expected) * (count - expected) / expected);

        Assert.True(chi < 380, $"chi-square {chi:0.0}"); // 255 degrees of freedom
    }

    [Fact]
    public async Task Ids_FromManyThreads_AreNeverEqual()
    {
        var batches = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
            Enumerable.Range(0, 10_000).Select(_ => RandomText.Base62(RandomText.IdLength)).ToList())));

        Assert.Equal(80_000, batches.SelectMany(batch => batch).Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public void CredentialIds_OfLaterTimes_SortBehind()
    {
        var ids = Enumerable.Range(0, 1000).Select(i => CredentialId.Create(Forge.Now.AddMilliseconds(i)).Value).ToList();
        var decoded = ids.Select(Decode).ToList();

        Assert.Equal(1000, ids.Distinct(StringComparer.Ordinal).Count());
        Assert.Equal(decoded.Order(StringComparer.Ordinal), decoded);
    }

    private static string Decode(string id)
    {
        var bytes = new byte[16];
        Assert.True(Base64Text.TryDecode(System.Text.Encoding.ASCII.GetBytes(id), bytes, out var written) && written == 16);
        return Convert.ToHexString(bytes);
    }
}
