using System.Diagnostics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;
using Postern.Server;
using Postern.Server.Hosting;
using Postern.Tests.Flow;

namespace Postern.Tests.Hosting;

/// <summary>A configured certificate: its chain is sent, a changed file is in use within seconds, a bad one never is.</summary>
public sealed class CertificateSourceTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("postern-cert-").FullName;
    private readonly X509Certificate2 root = TestCertificates.Root();

    private string CertificatePath => Path.Combine(folder, "server.pem");

    private string KeyPath => Path.Combine(folder, "server.key");

    [Fact]
    public async Task Files_Changed_AreInUseWithinSecondsAndBadOnesNever()
    {
        var first = Write(root, "localhost");
        await using var postern = await StartAsync();
        Assert.Equal(first, (await TlsClient.HandshakeAsync(postern.Https, "localhost", root)).Thumbprint);

        var second = Write(root, "localhost");
        await UntilAsync(postern, second);

        // A key that does not belong, then rubbish: nobody notices.
        using var stranger = ECDsa.Create();
        await File.WriteAllTextAsync(KeyPath, stranger.ExportPkcs8PrivateKeyPem(), TestContext.Current.CancellationToken);
        await Task.Delay(2500, TestContext.Current.CancellationToken);
        Assert.Equal(second, (await TlsClient.HandshakeAsync(postern.Https, "localhost", root)).Thumbprint);
        await File.WriteAllTextAsync(CertificatePath, "rubbish", TestContext.Current.CancellationToken);
        await Task.Delay(2500, TestContext.Current.CancellationToken);
        Assert.Equal(second, (await TlsClient.HandshakeAsync(postern.Https, "localhost", root)).Thumbprint);

        await UntilAsync(postern, Write(root, "localhost"));
    }

    [Fact]
    public async Task Chain_WithAnIntermediate_IsSentWhole()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Test intermediate", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        using var signed = request.Create(root, root.NotBefore, root.NotAfter, [7]);
        using var intermediate = signed.CopyWithPrivateKey(key);
        var leaf = Write(intermediate, "localhost");
        await File.AppendAllTextAsync(CertificatePath, intermediate.ExportCertificatePem(), TestContext.Current.CancellationToken);
        await using var postern = await StartAsync();

        Assert.Equal(leaf, (await TlsClient.HandshakeAsync(postern.Https, "localhost", root)).Thumbprint);
    }

    [Theory]
    [InlineData("absent")]
    [InlineData("rubbish")]
    [InlineData("other key")]
    public void Files_UnusableAtStart_AreRefusedByName(string what)
    {
        Write(root, "localhost");
        if (what == "absent") File.Delete(CertificatePath);
        if (what == "rubbish") File.WriteAllText(CertificatePath, "rubbish");
        using var stranger = ECDsa.Create();
        if (what == "other key") File.WriteAllText(KeyPath, stranger.ExportPkcs8PrivateKeyPem());

        var refused = Assert.Throws<RefusedException>(() => CertificateSource.Check(Options(folder)));

        Assert.Contains(CertificatePath, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }

    [Fact]
    public void Files_ChangedToBadOnes_AreToldOnce()
    {
        Write(root, "localhost");
        var clock = new TickingClock();
        var log = new CountingLog();
        using var source = CertificateSource.Open(Options(folder), clock, log);
        var before = source.Handshake;

        clock.Tick();
        Assert.Empty(log.Events);
        File.WriteAllText(CertificatePath, "rubbish");
        clock.Tick();
        clock.Tick();
        Assert.Equal([1011], log.Events);
        Assert.Same(before, source.Handshake);

        Write(root, "localhost");
        clock.Tick();
        Assert.Equal([1011, 1010], log.Events);
        Assert.NotSame(before, source.Handshake);
    }

    [Fact]
    public void DevelopmentCertificate_AtItsEnd_IsRenewedWhileServing()
    {
        var clock = new TickingClock();
        var log = new CountingLog();
        using var source = CertificateSource.Open(new PosternOptions { Data = folder }, clock, log);
        var before = source.Handshake;

        clock.Now += TimeSpan.FromDays(10);
        clock.Tick();
        Assert.Same(before, source.Handshake);
        clock.Now += TimeSpan.FromDays(51);
        clock.Tick();
        Assert.NotSame(before, source.Handshake);
        Assert.Equal([1010], log.Events);
    }

    public void Dispose()
    {
        root.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private Task<TestPostern> StartAsync() => TestPostern.StartAsync((data, _) => Options(data), https: true);

    private PosternOptions Options(string data) => new()
    {
        Http = new(System.Net.IPAddress.Loopback, 0), Https = new(System.Net.IPAddress.Loopback, 0), Data = data, Log = { Level = "error" },
        Certificate = { CertificatePath = CertificatePath, KeyPath = KeyPath },
    };

    private string Write(X509Certificate2 issuer, string name)
    {
        using var certificate = TestCertificates.Server(issuer, name);
        using var key = certificate.GetECDsaPrivateKey()!;
        File.WriteAllText(KeyPath, key.ExportPkcs8PrivateKeyPem());
        File.WriteAllText(CertificatePath, certificate.ExportCertificatePem() + "\n");
        return certificate.GetCertHashString();
    }

    private async Task UntilAsync(TestPostern postern, string thumbprint)
    {
        var waited = Stopwatch.StartNew();
        while ((await TlsClient.HandshakeAsync(postern.Https, "localhost", root)).Thumbprint != thumbprint)
        {
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(10), "The new certificate is not in use after 10 seconds.");
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>A clock whose timer rings when told.</summary>
    private sealed class TickingClock : TimeProvider
    {
        private TimerCallback? ring;

        public DateTimeOffset Now { get; set; } = System.GetUtcNow();

        public override DateTimeOffset GetUtcNow() => Now;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            ring = callback;
            return System.CreateTimer(static _ => { }, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        public void Tick() => ring!(null);
    }

    private sealed class CountingLog : ILogger
    {
        public List<int> Events { get; } = [];

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel level) => true;

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Events.Add(id.Id);
    }
}
