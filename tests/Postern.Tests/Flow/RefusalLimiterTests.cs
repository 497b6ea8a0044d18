using System.Net;
using Postern.Core;
using Postern.Core.Credentials;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

public class RefusalLimiterTests
{
    private readonly MovableClock clock = new();

    [Theory]
    [Trait("attack", "B9")]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    [InlineData("::ffff:192.0.2.1", "192.0.2.1", true)]
    [InlineData("192.0.2.1", "192.0.2.2", false)]
    public void Addresses_OfOneNetwork_ShareTheirCount(string one, string other, bool shared)
    {
        var limiter = new RefusalLimiter(1, clock);

        Assert.False(limiter.Exceeds(IPAddress.Parse(one)));

        Assert.Equal(shared, limiter.Exceeds(IPAddress.Parse(other)));
    }

    [Fact]
    [Trait("attack", "B9")]
    public void Credential_FromManyAddresses_IsCountedAsOne()
    {
        var limiter = new RefusalLimiter(2, clock);
        var refused = new Denial(DenialReason.Revoked) { Credential = new CredentialId("one") };

        Assert.False(limiter.Exceeds(IPAddress.Parse("192.0.2.1"), refused));
        Assert.False(limiter.Exceeds(IPAddress.Parse("192.0.2.2"), refused));
        Assert.True(limiter.Exceeds(IPAddress.Parse("192.0.2.3"), refused));
        Assert.False(limiter.Exceeds(IPAddress.Parse("192.0.2.3"), new Denial(DenialReason.Revoked) { Credential = new CredentialId("two") }));

        clock.Advance(TimeSpan.FromMinutes(1));
        Assert.False(limiter.Exceeds(IPAddress.Parse("192.0.2.4"), refused));
    }
}
