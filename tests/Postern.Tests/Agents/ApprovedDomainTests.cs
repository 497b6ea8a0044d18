using Postern.Core.Agents;

namespace Postern.Tests.Agents;

public class ApprovedDomainTests
{
    [Theory]
    [Trait("attack", "C2")]
    [Trait("attack", "C4")]
    [Trait("attack", "C5")]
    [Trait("attack", "C6")]
    // A host: any scheme, any port, no other host.
    [InlineData("example.com", "https://example.com", true)]
    [InlineData("example.com", "http://example.com", true)]
    [InlineData("example.com", "http://example.com:3000", true)]
    [InlineData("Example.COM", "https://EXAMPLE.com", true)]
    [InlineData("example.com", "https://example.com/page?a=b#c", true)]
    [InlineData("example.com", "https://www.example.com", false)]
    [InlineData("example.com", "https://example.com.evil.example", false)]
    [InlineData("example.com", "https://evilexample.com", false)]
    [InlineData("example.com", "https://evil.example/https://example.com", false)]
    [InlineData("example.com", "https://evil.example?https://example.com", false)]
    [InlineData("example.com", "https://example.com@evil.example", false)]
    [InlineData("example.com", "https://evil.example\\@example.com", false)]
    [InlineData("example.com", "https://example.com.", false)]
    [InlineData("example.com", "ftp://example.com", false)]
    [InlineData("example.com", "chrome-extension://example.com", false)]
    [InlineData("example.com", "https:example.com", false)]
    [InlineData("example.com", "//example.com", false)]
    [InlineData("example.com", "example.com", false)]
    [InlineData("example.com", "https://example.com,https://evil.example", false)]
    [InlineData("example.com", "https://example.com https://evil.example", false)]
    [InlineData("example.com", "null", false)]
    [InlineData("example.com", "", false)]
    [InlineData("example.com", "https://", false)]
    [InlineData("localhost:3000", "http://localhost:3000", true)]
    [InlineData("localhost:3000", "http://localhost:3001", false)]
    [InlineData("example.com:443", "https://example.com", true)]
    [InlineData("example.com:443", "http://example.com", false)]
    [InlineData("münchen.example", "https://xn--mnchen-3ya.example", true)]
    // A whole origin: that one alone.
    [InlineData("https://example.com", "https://example.com", true)]
    [InlineData("https://example.com/", "https://example.com", true)]
    [InlineData("https://example.com:443", "https://example.com", true)]
    [InlineData("https://example.com", "http://example.com", false)]
    [InlineData("https://example.com", "https://example.com:8443", false)]
    [InlineData("https://example.com:8443", "https://example.com:8443", true)]
    [InlineData("http://localhost:3000", "http://localhost:3000", true)]
    // A pattern: every subdomain, not the domain.
    [InlineData("*.example.com", "https://a.example.com", true)]
    [InlineData("*.example.com", "http://a.b.example.com:8080", true)]
    [InlineData("*.example.com", "https://example.com", false)]
    [InlineData("*.example.com", "https://.example.com", false)]
    [InlineData("*.example.com", "https://aexample.com", false)]
    [InlineData("*.example.com", "https://a.example.com.evil.example", false)]
    [InlineData("https://*.example.com", "https://a.example.com", true)]
    [InlineData("https://*.example.com", "http://a.example.com", false)]
    public void Page_OfADomain_IsAllowedWhereItIs(string written, string page, bool allowed)
    {
        Assert.True(ApprovedDomain.TryParse(written, out var domain, out var problem), problem);
        Assert.Equal(allowed, domain.Allows(page));
        Assert.True(ApprovedDomain.TryParse(domain.ToString(), out var again, out _));
        Assert.Equal(domain, again);
    }

    // What is stored already is read on: an entry that is left out would open the agent to all.
    [Theory]
    [InlineData("*.com", "*.example.com")]
    [InlineData("https://*.com", "*.example.com")]
    [InlineData("*.localhost", "*.example.com")]
    [InlineData("javascript:1", "example.com")]
    [InlineData("data:1", "example.com")]
    [InlineData("intranet", "http://intranet:8080")]
    [InlineData("null", "example.com")]
    [InlineData("example.com", null)]
    [InlineData("*.example.com", null)]
    [InlineData("localhost:3000", null)]
    [InlineData("[::1]:3000", null)]
    [InlineData("127.0.0.1", null)]
    [InlineData("http://intranet:8080", null)]
    public void NewEntry_OfAWholeTopLevelDomainOrNoDomain_IsRefusedWithWhatToWrite(string written, string? instead)
    {
        Assert.True(ApprovedDomain.TryParse(written, out var domain, out _));
        Assert.Equal(instead is null, domain.WhyRefused is null);
        Assert.Contains(instead ?? "", domain.WhyRefused ?? "", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("*")]
    [InlineData("*.")]
    [InlineData("**.example.com")]
    [InlineData("a.*.example.com")]
    [InlineData("*example.com")]
    [InlineData("ftp://example.com")]
    [InlineData("javascript://example.com")]
    [InlineData("https://user@example.com")]
    [InlineData("https://example.com/path")]
    [InlineData("https://example.com?query")]
    [InlineData("example .com")]
    [InlineData("example.com:0443")]
    [InlineData("example.com:99999")]
    [InlineData("example..com")]
    [InlineData("null ")]
    [InlineData("*.[::1]")]
    public void Entry_ThatIsNone_IsRefusedWithWhatToWrite(string written)
    {
        var isNull = written.Trim() == "null";
        Assert.Equal(isNull, ApprovedDomain.TryParse(written, out var domain, out var problem));
        Assert.True(isNull ? !domain.Allows("null") : problem.Contains("example.com", StringComparison.Ordinal));
    }
}
