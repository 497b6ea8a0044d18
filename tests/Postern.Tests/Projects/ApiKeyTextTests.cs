using Postern.Core;
using Postern.Core.Projects;
using Postern.Tests.Credentials;

namespace Postern.Tests.Projects;

public sealed class ApiKeyTextTests
{
    private const string Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    [Fact]
    public void Create_AThousand_AreWellFormedAndDifferent()
    {
        var keys = Enumerable.Range(0, 1000).Select(_ => ApiKeyText.Create()).ToList();

        Assert.Equal(1000, keys.Distinct().Count());
        Assert.All(keys, key => Assert.True(ApiKeyText.IsWellFormed(key)));
        Assert.All(keys, key => Assert.Equal(4 + 43 + 6, key.Length));
        Assert.All(keys, key => Assert.Equal(key[..8], ApiKeyText.Shown(key)));
    }

    [Fact]
    [Trait("attack", "B9")]
    public void Checksum_EverySingleCharacterChange_IsNoticed()
    {
        var key = ApiKeyText.Create();
        for (var at = 4; at < key.Length; at++)
        {
            foreach (var other in Alphabet.Where(other => other != key[at]))
            {
                Assert.False(ApiKeyText.IsWellFormed(string.Concat(key.AsSpan(0, at), [other], key.AsSpan(at + 1))));
            }
            Assert.False(ApiKeyText.IsWellFormed(key.Remove(at, 1)));
            Assert.False(ApiKeyText.IsWellFormed(key.Insert(at, "0")));
            if (key[at] != key[at - 1] && at > 4)
            {
                Assert.False(ApiKeyText.IsWellFormed(string.Concat(key.AsSpan(0, at - 1), [key[at], key[at - 1]], key.AsSpan(at + 1))));
            }
        }
    }

    // A million guesses of the right shape: none is right, and hardly one gets as far as a look-up.
    [Fact]
    [Trait("attack", "B9")]
    public void Guesses_AMillion_AreStoppedByTheChecksum()
    {
        var directory = new Core.Directory(Forge.Ring);
        var real = ApiKeyText.Create();
        directory.Put(new ApiKey("key_1", ProjectId.Default, "test", ApiKeyText.Shown(real), ApiKeyText.Hash(real), Scopes.All, Forge.Now, null));
        var wellFormed = 0;
        Parallel.For(0, 2, _ =>
        {
            for (var i = 0; i < 500_000; i++)
            {
                wellFormed += ApiKeyText.IsWellFormed(ApiKeyText.Prefix + RandomText.Base62(49)) ? 1 : 0;
            }
        });

        Assert.True(wellFormed <= 1, $"{wellFormed}");
        Assert.False(directory.Verify(real, Scopes.All).IsDenied(out var _, out var _));
        Assert.Equal(DenialReason.KeyInvalid, directory.Verify(ApiKeyText.Create(), Scopes.Mint).Denial?.Reason);
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("pst_", false)]
    [InlineData("short", false)]
    [InlineData("0123456789012345678901234567890", false)] // 31
    [InlineData("01234567890123456789012345678901", true)] // 32: an operator's own
    [InlineData("PST_6789012345678901234567890123", true)] // 32, and the prefix is another
    public void Import_OwnKeys_HaveAtLeast32Characters(string text, bool wellFormed)
    {
        Assert.Equal(wellFormed, ApiKeyText.IsWellFormed(text));
        Assert.False(ApiKeyText.IsWellFormed(text + new string('x', 257)));
    }

    [Theory]
    [InlineData(Scopes.Mint, Scopes.Mint, null)]
    [InlineData(Scopes.All, Scopes.Mint | Scopes.Admin, null)]
    [InlineData(Scopes.AgentsRead, Scopes.Mint, "mint")]
    [InlineData(Scopes.None, Scopes.AgentsRead | Scopes.AgentsWrite, "agents_read, agents_write")]
    [InlineData(Scopes.AgentsRead, Scopes.AgentsRead | Scopes.AgentsWrite, "agents_write")]
    public void Verify_MissingScope_IsNamed(Scopes held, Scopes needed, string? missing)
    {
        var directory = new Core.Directory(Forge.Ring);
        var text = ApiKeyText.Create();
        directory.Put(new ApiKey("key_1", ProjectId.Default, "test", ApiKeyText.Shown(text), ApiKeyText.Hash(text), held, Forge.Now, null));

        var denial = directory.Verify(text, needed).Denial;

        Assert.Equal(missing is null ? null : DenialReason.ScopeMissing, denial?.Reason);
        Assert.Equal(missing, denial?.Detail);
    }

    [Fact]
    public void Verify_RevokedOrNothing_IsRefused()
    {
        var directory = new Core.Directory(Forge.Ring);
        var text = ApiKeyText.Create();
        var key = new ApiKey("key_1", ProjectId.Default, "test", ApiKeyText.Shown(text), ApiKeyText.Hash(text), Scopes.All, Forge.Now, null);
        directory.Put(key);
        directory.Put(key with { RevokedAt = Forge.Now });

        Assert.Equal(DenialReason.KeyInvalid, directory.Verify(text, Scopes.Mint).Denial?.Reason);
        Assert.Equal(DenialReason.KeyMissing, directory.Verify(null, Scopes.Mint).Denial?.Reason);
        Assert.Equal(DenialReason.KeyMissing, directory.Verify("", Scopes.Mint).Denial?.Reason);
    }
}
