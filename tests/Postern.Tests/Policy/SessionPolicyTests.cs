using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Policy;
using Postern.Tests.Credentials;
using Postern.Tests.Storage;

namespace Postern.Tests.Policy;

public sealed class SessionPolicyTests
{
    private const string Listed = "https://app.example.com", Other = "https://evil.example";

    // access: private, default-private or open; the allowlist; whether an Origin must be sent; the credential's own origins; what comes.
    [Theory]
    [Trait("attack", "C1")]
    [Trait("attack", "C2")]
    [Trait("attack", "C7")]
    [InlineData("open", "", false, null, null, null)]
    [InlineData("open", "", false, null, Other, null)]
    [InlineData("open", "", true, null, null, null)] // nothing to compare with
    [InlineData("open", "app.example.com", false, null, Listed, null)]
    [InlineData("open", "app.example.com", false, null, Other, DenialReason.OriginRefused)]
    [InlineData("open", "app.example.com", false, null, "null", DenialReason.OriginRefused)]
    [InlineData("open", "app.example.com", false, null, "", DenialReason.OriginRefused)]
    [InlineData("open", "app.example.com", false, null, null, null)]
    [InlineData("open", "app.example.com", true, null, null, DenialReason.OriginMissing)]
    [InlineData("open", "app.example.com", true, null, Listed, null)]
    [InlineData("open", "app.example.com", true, null, Other, DenialReason.OriginRefused)]
    [InlineData("private", "", false, null, null, DenialReason.CredentialMissing)]
    [InlineData("default", "", false, null, null, DenialReason.AgentPrivateByDefault)]
    [InlineData("private", "app.example.com", false, null, Listed, DenialReason.CredentialMissing)] // a right origin is no credential
    [InlineData("private", "app.example.com", false, null, Other, DenialReason.OriginRefused)] // and comes first
    [InlineData("private", "", false, "", Other, null)]
    [InlineData("private", "app.example.com", false, "", Listed, null)]
    [InlineData("private", "app.example.com", false, "", Other, DenialReason.OriginRefused)] // both set: both must pass
    [InlineData("private", "app.example.com", true, "", null, DenialReason.OriginMissing)]
    [InlineData("private", "", false, "app.example.com", Listed, null)]
    [InlineData("private", "", false, "app.example.com", Other, DenialReason.OriginRefused)]
    [InlineData("private", "", false, "app.example.com", null, null)]
    [InlineData("private", "evil.example", false, "app.example.com", Other, DenialReason.OriginRefused)]
    [InlineData("private", "evil.example", false, "app.example.com", Listed, DenialReason.OriginRefused)]
    [InlineData("private", "", false, "not a host", Listed, DenialReason.OriginRefused)]
    public void Origin_AccessAndCredential_Matrix(string access, string allowlist, bool require, string? credential, string? origin, DenialReason? expected)
    {
        var agent = Node.Agent() with { Access = Access(access, allowlist, require) };
        var verified = credential is null ? null : Credential(Forge.Grant() with { Origins = credential.Length == 0 ? [] : [credential] });

        Assert.Equal(expected, SessionPolicy.Decide(agent, verified, Request(origin), Forge.Now).Denial?.Reason);
    }

    [Theory]
    [Trait("attack", "B8")]
    [InlineData(-1, null)]
    [InlineData(0, DenialReason.Expired)]
    [InlineData(1, DenialReason.Expired)]
    public void StartBy_Boundary_HasNoLeeway(long ticks, DenialReason? expected) =>
        Assert.Equal(expected, SessionPolicy.Decide(Node.Agent(), Credential(Forge.Grant()), Request(null), Forge.Grant().StartBy.AddTicks(ticks)).Denial?.Reason);

    [Theory]
    [Trait("attack", "B15")]
    [InlineData(600, null, 600)]
    [InlineData(600, 300, 300)]
    [InlineData(600, 600, 600)]
    [InlineData(600, 86400, 600)]
    [InlineData(1, 300, 1)]
    public void EndBy_AgentAndGrant_TheNarrowerCounts(int agentSeconds, int? grantSeconds, int expected)
    {
        var agent = Node.Agent() with { Limits = new AgentLimits(TimeSpan.FromSeconds(agentSeconds)) };
        var credential = Credential(Forge.Grant() with { MaxDuration = grantSeconds is { } s ? TimeSpan.FromSeconds(s) : null });

        Assert.False(SessionPolicy.Decide(agent, credential, Request(null), Forge.Now).IsDenied(out _, out var terms));

        Assert.Equal(Forge.Now.AddSeconds(expected), terms.EndBy);
        Assert.Equal(("user-1", (int?)1), (terms.Subject, terms.Uses));
    }

    [Fact]
    public void OriginRefused_Detail_IsTheHost()
    {
        var agent = Node.Agent() with { Access = Access("open", "app.example.com", false) };
        Assert.Equal("evil.example:8443", SessionPolicy.Decide(agent, null, Request("https://evil.example:8443"), Forge.Now).Denial?.Detail);
    }

    private static AgentAccess Access(string access, string allowlist, bool require) => Node.Agent().Access with
    {
        Private = access != "open",
        PrivateByDefault = access == "default",
        RequireOrigin = require,
        Allowlist = allowlist.Length == 0 ? [] : AllowedHost.TryParse(allowlist, out var host, out _) ? [host] : throw new ArgumentException(allowlist),
    };

    private static VerifiedCredential Credential(Grant grant) => new(new CredentialId("id"), CredentialKind.SignedUrl, grant, "key-1");

    private static ConnectRequest Request(string? origin) => new(CredentialKind.SignedUrl, null, null, origin, null);
}
