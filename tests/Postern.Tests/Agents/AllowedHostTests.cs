using Postern.Core.Agents;

namespace Postern.Tests.Agents;

public sealed class AllowedHostTests
{
    [Theory]
    [Trait("attack", "C6")]
    [InlineData("example.com", "https://example.com", true)]
    [InlineData("example.com", "http://example.com", false)]
    [InlineData("example.com", "https://example.com:8443", false)]
    [InlineData("example.com:443", "https://example.com", true)]
    [InlineData("example.com:8443", "https://example.com:8443", true)]
    [InlineData("example.com:8443", "https://example.com", false)]
    [InlineData("example.com:80", "http://example.com", false)]
    [InlineData("https://example.com", "https://example.com", true)]
    [InlineData("https://example.com", "http://example.com", false)]
    [InlineData("https://example.com/path?x#y", "https://example.com", true)]
    [InlineData("http://example.com", "http://example.com", true)]
    [InlineData("http://example.com", "https://example.com", false)]
    [InlineData("http://example.com:80", "http://example.com", true)]
    [InlineData("http://example.com:8080", "http://example.com:8080", true)]
    [InlineData("localhost", "http://localhost", true)]
    [InlineData("localhost", "https://localhost", true)]
    [InlineData("localhost", "http://localhost:3000", false)]
    [InlineData("localhost:3000", "http://localhost:3000", true)]
    [InlineData("localhost:3000", "https://localhost:3000", true)]
    [InlineData("localhost:3000", "http://localhost:3001", false)]
    [InlineData("localhost:80", "http://localhost", true)]
    [InlineData("localhost:80", "https://localhost", false)]
    [InlineData("localhost:443", "https://localhost", true)]
    [InlineData("localhost:443", "http://localhost", false)]
    [InlineData("https://localhost:3000", "http://localhost:3000", false)]
    [InlineData("127.0.0.1:5000", "http://127.0.0.1:5000", true)]
    [InlineData("127.0.0.2:5000", "http://127.0.0.2:5000", false)]
    [InlineData("[::1]:3000", "http://[::1]:3000", true)]
    [InlineData("[::1]", "https://[::1]", true)]
    [InlineData("EXAMPLE.com", "https://example.com", true)]
    [InlineData("  example.com ", "https://example.com", true)]
    [InlineData("xn--bcher-kva.example", "https://xn--bcher-kva.example", true)]
    [InlineData("bücher.example", "https://xn--bcher-kva.example", true)]
    [InlineData("bücher.example:8443", "https://xn--bcher-kva.example:8443", true)]
    public void Entry_AndOrigin_MatchExactly(string entry, string origin, bool allowed)
    {
        Assert.True(AllowedHost.TryParse(entry, out var host, out var problem), problem);
        Assert.Equal(allowed, host.Allows(origin));
    }

    [Theory]
    [Trait("attack", "C6")]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("*")]
    [InlineData("*.example.com")]
    [InlineData("user@example.com")]
    [InlineData("user:pw@example.com")]
    [InlineData("example.com:")]
    [InlineData("example.com:0")]
    [InlineData("example.com:0443")]
    [InlineData("example.com:65536")]
    [InlineData("example.com:443x")]
    [InlineData("example.com:+443")]
    [InlineData("example.com:443:443")]
    [InlineData("exam ple.com")]
    [InlineData("exam\tple.com")]
    [InlineData("example.com\0")]
    [InlineData("example..com")]
    [InlineData(".example.com")]
    [InlineData("example.com.")]
    [InlineData("example,com")]
    [InlineData("a.example,b.example")]
    [InlineData("https:example.com")]
    [InlineData("https:\\\\example.com")]
    [InlineData("https://")]
    [InlineData("https:///example.com")]
    [InlineData("ftp://example.com")]
    [InlineData("wss://example.com")]
    [InlineData("file://")]
    [InlineData("chrome-extension://abcdef")]
    [InlineData("javascript://example.com")]
    [InlineData("[::1")]
    [InlineData("[]")]
    [InlineData("[::1]x")]
    [InlineData("[::1]:")]
    [InlineData("[example.com]")]
    public void Entry_NoHost_IsRefusedWithASentence(string entry)
    {
        Assert.False(AllowedHost.TryParse(entry, out _, out var problem));
        Assert.Contains($"'{entry}'", problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Example.com:443", "example.com")]
    [InlineData("https://example.com:443", "example.com")]
    [InlineData("http://example.com:80", "http://example.com")]
    [InlineData("http://example.com:443", "http://example.com:443")]
    [InlineData("https://localhost:3000", "https://localhost:3000")]
    [InlineData("http://localhost:3000/", "http://localhost:3000")]
    [InlineData("localhost:3000", "localhost:3000")]
    [InlineData("localhost:443", "localhost:443")]
    [InlineData("https://app.example.com:8443/x", "app.example.com:8443")]
    [InlineData("bücher.example", "xn--bcher-kva.example")]
    public void Entry_Printed_IsTheNormalForm(string entry, string normal)
    {
        Assert.True(AllowedHost.TryParse(entry, out var host, out _));
        Assert.Equal(normal, host.ToString());
        Assert.True(AllowedHost.TryParse(normal, out var again, out _));
        Assert.Equal(host, again);
    }

    [Theory]
    [Trait("attack", "C2")]
    [Trait("attack", "C3")]
    [Trait("attack", "C4")]
    [Trait("attack", "C5")]
    [InlineData("null")]
    [InlineData("")]
    [InlineData("*")]
    [InlineData("file://")]
    [InlineData("file://example.com")]
    [InlineData("chrome-extension://example.com")]
    [InlineData("capacitor://localhost")]
    [InlineData("ionic://localhost")]
    [InlineData("app://example.com")]
    [InlineData("https://example.com,https://example.com")]
    [InlineData("https://example.com, https://evil.example")]
    [InlineData("https://evil.example https://example.com")]
    [InlineData("https://example.com ")]
    [InlineData(" https://example.com")]
    [InlineData("https://example.com.evil.com")]
    [InlineData("https://evilexample.com")]
    [InlineData("https://sub.example.com")]
    [InlineData("https://example.co")]
    [InlineData("https://example.com.")]
    [InlineData("https://.example.com")]
    [InlineData("https://example.com/")]
    [InlineData("https://example.com/x")]
    [InlineData("https://example.com?x")]
    [InlineData("https://example.com#x")]
    [InlineData("https://user@example.com")]
    [InlineData("https://example.com@evil.com")]
    [InlineData("https://evil.com#@example.com")]
    [InlineData("https://evil.com\\@example.com")]
    [InlineData("https:\\\\example.com")]
    [InlineData("https:/example.com")]
    [InlineData("https:example.com")]
    [InlineData("//example.com")]
    [InlineData("example.com")]
    [InlineData("https://exam\tple.com")]
    [InlineData("https://example.com\n")]
    [InlineData("https://example.com\0")]
    [InlineData("https://example.com%00")]
    [InlineData("https://example%2ecom")]
    [InlineData("https://example.com:443")]
    [InlineData("https://example.com:0443")]
    [InlineData("https://example.com:65979")]
    [InlineData("https://example.com:")]
    [InlineData("https://example.com:-1")]
    [InlineData("https://example.com:8443")]
    [InlineData("HTTPS://example.com")]
    [InlineData("Https://example.com")]
    [InlineData("https://EXAMPLE.com")]
    [InlineData("https://Example.com")]
    [InlineData("https://example。com")]
    [InlineData("https://ｅxample.com")]
    [InlineData("https://exаmple.com")] // a Cyrillic letter
    [InlineData("https://xn--exmple-4nf.com")]
    [InlineData("https://exämple.com")]
    [InlineData("http://example.com")]
    [InlineData("ws://example.com")]
    [InlineData("wss://example.com")]
    [InlineData("https://https://example.com")]
    [InlineData("https://[example.com]")]
    public void Origin_AnyOtherThanTheCanonicalOne_IsRefused(string origin)
    {
        Assert.True(AllowedHost.TryParse("example.com", out var host, out _));
        Assert.False(host.Allows(origin));
        Assert.NotNull(AllowedHost.HostOf(origin));
    }

    // The one canonical text matches, whatever is put before, behind or into it does not.
    [Fact]
    [Trait("attack", "C4")]
    [Trait("attack", "C5")]
    public void Origin_GeneratedNeighbours_NeverMatch()
    {
        var dice = new Dice(20270115);
        string[] hosts = ["example.com", "app.example.com", "localhost:3000", "a.b.c.example", "x.io:8443", "127.0.0.1:5000", "[::1]:3000", "xn--bcher-kva.example"];
        string[] pieces = ["evil", "evil.", ".evil", ".com", "-", ".", "..", "@", "user@", ":80", ":443", ":1", "/", "\\", "?", "#", "%2e", "%00", "\t", " ", "\0", ",", "a", "A", "0", "。", "é", "null", "https://", "*"];
        var tried = 0;
        foreach (var entry in hosts)
        {
            Assert.True(AllowedHost.TryParse(entry, out var host, out _));
            var origin = (entry.StartsWith('[') || entry.StartsWith('l') || entry.StartsWith('1') ? "http://" : "https://") + entry;
            var (http, https) = ("http" + origin[origin.IndexOf(':', StringComparison.Ordinal)..], "https" + origin[origin.IndexOf(':', StringComparison.Ordinal)..]);
            Assert.True(host.Allows(origin), origin);
            for (var i = 0; i < 20_000; i++)
            {
                var other = Neighbour(origin, dice.Of(pieces), dice);
                if (other == origin || (origin.StartsWith("http:", StringComparison.Ordinal) && (other == http || other == https)))
                {
                    continue;
                }
                tried++;
                Assert.False(host.Allows(other), $"{entry} allows {other}");
            }
        }

        Assert.True(tried > 150_000, $"{tried}");
    }

    private static string Neighbour(string origin, string piece, Dice dice)
    {
        var at = dice.Next(origin.Length + 1);
        return dice.Next(6) switch
        {
            0 => origin.Insert(at, piece),
            1 => origin + piece,
            2 => origin.Insert(origin.IndexOf("://", StringComparison.Ordinal) + 3, piece),
            3 => origin[..at],
            4 => origin.Remove(Math.Min(at, origin.Length - 1), 1),
            _ => string.Concat(origin.AsSpan(0, at), origin.AsSpan(at).ToString().ToUpperInvariant()),
        };
    }
}
