using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Postern.Server;
using Postern.Server.Hosting;
using Postern.Server.Settings;

namespace Postern.Tests.Hosting;

/// <summary>The certificate that Postern makes itself: trusted through one file, renewed without anybody noticing.</summary>
public sealed class DevCertificateTests : IDisposable
{
    private static readonly string[] Names = ["localhost", "127.0.0.1", "::1"];
    private static readonly DateTimeOffset Start = new(2027, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private readonly string folder = Directory.CreateTempSubdirectory("postern-dev-").FullName;

    [Theory]
    [InlineData("localhost")]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task Server_WithItsOwnCertificate_IsTrustedThroughTheAuthorityFile(string name)
    {
        await using var postern = await TestPostern.StartAsync(https: true);
        using var authority = X509CertificateLoader.LoadCertificateFromFile(Path.Combine(postern.Folder, "dev-ca.pem"));

        var (_, protocol) = await TlsClient.HandshakeAsync(postern.Https, name, authority);

        Assert.Equal(SslApplicationProtocol.Http2, protocol);
        await Assert.ThrowsAsync<AuthenticationException>(() => TlsClient.HandshakeAsync(postern.Https, "agents.example.com", authority));
    }

    [Fact]
    public async Task Server_OfAnotherFolder_IsNotTrusted()
    {
        await using var postern = await TestPostern.StartAsync(https: true);
        DevCertificate.Ensure(folder, Names, TimeProvider.System.GetUtcNow());
        using var other = X509CertificateLoader.LoadCertificateFromFile(Path.Combine(folder, "dev-ca.pem"));

        await Assert.ThrowsAsync<AuthenticationException>(() => TlsClient.HandshakeAsync(postern.Https, "localhost", other));
    }

    [Fact]
    public void Ensure_Again_ChangesNothing()
    {
        var before = Make(Start);

        Assert.Equal(before, Make(Start.AddDays(30)));
    }

    [Fact]
    public void Ensure_LessThanThirtyDaysLeft_RenewsUnderTheSameAuthority()
    {
        var before = Make(Start);
        var after = Make(Start.AddDays(61));

        Assert.Equal(before.Authority, after.Authority);
        Assert.NotEqual(before.Server, after.Server);
    }

    [Fact]
    public void Ensure_OtherNames_RenewsUnderTheSameAuthority()
    {
        var before = Make(Start);
        var after = Make(Start, [.. Names, "agents.example.com"]);

        Assert.Equal(before.Authority, after.Authority);
        Assert.NotEqual(before.Server, after.Server);
        Assert.Equal(after, Make(Start, [.. Names, "agents.example.com"]));
    }

    [Fact]
    public void Ensure_AuthorityAtItsEnd_BeginsAnew()
    {
        var before = Make(Start);

        Assert.NotEqual(before.Authority, Make(Start.AddDays(3640)).Authority);
    }

    [Fact]
    public void Ensure_ClockSetBack_StillMakesACertificate()
    {
        Make(Start);
        var after = Make(Start.AddDays(-40), [.. Names, "agents.example.com"]);

        Assert.NotEmpty(after.Server);
    }

    [Theory]
    [InlineData("dev-ca.key")]
    [InlineData("dev-ca.pem")]
    [InlineData("dev-server.key")]
    [InlineData("dev-server.pem")]
    public void Ensure_AFileIsLostOrBroken_MakesAWholePair(string file)
    {
        Make(Start);
        File.Delete(Path.Combine(folder, file));
        Make(Start);
        File.WriteAllText(Path.Combine(folder, file), "rubbish");
        Make(Start);

        using var pair = X509Certificate2.CreateFromPemFile(Path.Combine(folder, "dev-server.pem"), Path.Combine(folder, "dev-server.key"));
        using var authority = X509CertificateLoader.LoadCertificateFromFile(Path.Combine(folder, "dev-ca.pem"));
        using var chain = new X509Chain { ChainPolicy = { TrustMode = X509ChainTrustMode.CustomRootTrust, CustomTrustStore = { authority }, RevocationMode = X509RevocationMode.NoCheck, VerificationTime = Start.UtcDateTime } };
        Assert.True(chain.Build(pair));
    }

    [Theory]
    [InlineData("dev-ca.key")]
    [InlineData("dev-server.key")]
    public void Ensure_Keys_AreForThisUserAlone(string file)
    {
        Make(Start);
        if (OperatingSystem.IsWindows()) Assert.Skip("Windows has no file modes.");
        else Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(folder, file)));
    }

    [Theory]
    [InlineData(null, "localhost 127.0.0.1 ::1")]
    [InlineData("https://agents.example.com:8443", "localhost 127.0.0.1 ::1 agents.example.com")]
    [InlineData("https://[2001:0db8:0::1]", "localhost 127.0.0.1 ::1 2001:db8::1")]
    [InlineData("https://localhost:8443", "localhost 127.0.0.1 ::1")]
    public void NamesFor_PublicAddress_HoldsItsHost(string? address, string names) =>
        Assert.Equal(names, string.Join(' ', DevCertificate.NamesFor(new PosternOptions { PublicAddress = address is null ? null : PublicAddress.Parse(address) })));

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private (string Authority, string Server) Make(DateTimeOffset now, string[]? names = null)
    {
        var (certificate, _) = DevCertificate.Ensure(folder, names ?? Names, now);
        return (File.ReadAllText(Path.Combine(folder, "dev-ca.pem")), File.ReadAllText(certificate));
    }
}
