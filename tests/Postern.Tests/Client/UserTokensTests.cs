using System.Net;
using System.Text;
using Postern.Client;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Tests.Credentials;
using Postern.Tests.Dialects.Algolia;

namespace Postern.Tests.Client;

/// <summary>What the package makes, the server takes, for exactly the user who was meant; and it makes nothing that could be read otherwise.</summary>
public sealed class UserTokensTests
{
    private static readonly UserTokenKey Key = new(UserTokenForge.Kid, UserTokenForge.Secret);
    private static readonly SetClock Clock = new(UserTokenForge.Now);

    [Theory]
    [InlineData("alice")]
    [InlineData("a")]
    [InlineData("alice@example.com")]
    [InlineData("Jørgen / søn & co <b>'x'</b>")]
    [InlineData("张伟")]
    [InlineData("😀\u2028\ufeff")]
    [InlineData("{}[]:,")]
    public void Token_OfAnySubject_NamesExactlyThatUser(string subject)
    {
        Assert.Equal(subject, UserTokenForge.Subject(UserTokens.ForgeUserToken(Key, subject, TimeSpan.FromHours(24), Clock)));
        var longest = string.Concat(Enumerable.Repeat(subject, 256))[..(256 / Encoding.UTF8.GetByteCount(subject) * subject.Length)];
        Assert.Equal(longest, UserTokenForge.Subject(UserTokens.ForgeUserToken(Key, longest, TimeSpan.FromSeconds(1), Clock)));
    }

    [Fact]
    public void Token_SaysWhenItWasMadeAndWhenItEnds()
    {
        var parts = UserTokens.ForgeUserToken(Key, "alice", TimeSpan.FromMinutes(5), Clock).Split('.');

        Assert.Equal("""{"alg":"HS256","typ":"JWT","kid":"11111111-2222-3333-4444-555555555555"}""", Decode(parts[0]));
        Assert.Equal("""{"sub":"alice","exp":1800000300,"iat":1800000000}""", Decode(parts[1]));
    }

    // What a concatenating signer would make another user of is one strange id here, and taken only of a key that is said to encode.
    [Theory]
    [Trait("attack", "A12")]
    [InlineData("mallory\",\"sub\":\"alice")]
    [InlineData("alice\",\"x\":\"")]
    [InlineData("\\u0061lice")]
    [InlineData("\\")]
    public void Subject_WithAQuoteOrABackslash_IsEncodedAndNeverAnotherUser(string subject)
    {
        var token = UserTokens.ForgeUserToken(Key, subject, TimeSpan.FromMinutes(5), Clock);

        Assert.Null(UserTokenForge.Subject(token));
        Assert.Equal(subject, UserTokenForge.Subject(token, UserTokenForge.Directory(UserTokenForge.Key(encodes: true))));
    }

    [Fact]
    [Trait("attack", "A16")]
    public void Subject_NoUserId_IsRefusedByASentence()
    {
        foreach (var subject in new[] { "", "a\0b", "a\nb", "a\u007fb", "a\u0085b", "\ud800", "a\udc00\ud800b" })
        {
            var refused = Assert.Throws<ArgumentException>(() => UserTokens.ForgeUserToken(Key, subject, TimeSpan.FromMinutes(5), Clock));
            Assert.Contains("user id", refused.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Subject_LongerThan256Bytes_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => UserTokens.ForgeUserToken(Key, new string('a', 257), TimeSpan.FromMinutes(5), Clock));
        Assert.Throws<ArgumentException>(() => UserTokens.ForgeUserToken(Key, new string('é', 129), TimeSpan.FromMinutes(5), Clock));
    }

    // Whatever the subject: either the package refuses it, or the server reads the very same.
    [Fact]
    public void Subject_AnyOfManyRandomOnes_IsRefusedOrReadTheSame()
    {
        var (dice, directory, refused) = (new Dice(7), UserTokenForge.Directory(UserTokenForge.Key(encodes: true)), 0);
        string[] pieces = ["a", "\"", "\\", "\\u0061", ",", ":", "{", "}", "\u0000", "\u001f", "\u0080", "\u00e9", "\u2028", "\ud83d\ude00", "\ud83d", "\ude00", "\uffff", "sub", "\"sub\":\"", "/", "<", "'"];
        for (var i = 0; i < 20_000; i++)
        {
            var subject = string.Concat(Enumerable.Range(0, 1 + dice.Next(6)).Select(_ => pieces[dice.Next(pieces.Length)]));
            try
            {
                Assert.Equal(subject, UserTokenForge.Subject(UserTokens.ForgeUserToken(Key, subject, TimeSpan.FromMinutes(5), Clock), directory));
            }
            catch (ArgumentException)
            {
                refused++;
                Assert.False(Subject.IsValid(subject));
            }
        }
        Assert.InRange(refused, 1000, 19_000);
    }

    [Fact]
    public void Lifetime_OutOfRange_IsRefused()
    {
        foreach (var lifetime in new[] { TimeSpan.Zero, TimeSpan.FromSeconds(-1), TimeSpan.FromMilliseconds(999), TimeSpan.FromHours(24) + TimeSpan.FromTicks(1), TimeSpan.MaxValue })
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => UserTokens.ForgeUserToken(Key, "alice", lifetime, Clock));
        }
    }

    [Fact]
    [Trait("attack", "A8")]
    public void Key_IncompleteOrShown_IsRefusedAndSilent()
    {
        Assert.Throws<ArgumentException>(() => new UserTokenKey(UserTokenForge.Kid, "sk-alg-test"));
        Assert.Throws<ArgumentException>(() => new UserTokenKey("", UserTokenForge.Secret));
        Assert.Throws<ArgumentException>(() => new UserTokenKey("a b", UserTokenForge.Secret));
        Assert.Throws<ArgumentException>(() => new UserTokenKey(new string('k', 65), UserTokenForge.Secret));
        Assert.DoesNotContain(UserTokenForge.Secret, Key.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Token_OfAKeyOfTheServer_IsAcceptedThere()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var (id, value) = await client.CreateKeyAsync();

        Assert.Equal((HttpStatusCode.Forbidden, null), await client.VerdictAsync(UserTokens.ForgeUserToken(new UserTokenKey(id, value), "alice", TimeSpan.FromMinutes(5))));
    }

    [Fact]
    public void Package_References_AreTheRuntimeAlone() =>
        Assert.All(typeof(UserTokens).Assembly.GetReferencedAssemblies(), name => Assert.StartsWith("System.", name.Name, StringComparison.Ordinal));

    private static string Decode(string part)
    {
        var bytes = new byte[part.Length];
        Assert.True(Base64Text.TryDecode(Encoding.ASCII.GetBytes(part), bytes, out var length));
        return Encoding.UTF8.GetString(bytes, 0, length);
    }
}
