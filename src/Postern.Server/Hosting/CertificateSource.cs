using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Postern.Server.Observability;

namespace Postern.Server.Hosting;

/// <summary>The certificate that HTTPS shows at this moment: the configured one, or the development one; read again when it changes.</summary>
internal sealed class CertificateSource : IDisposable
{
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(2);

    private readonly PosternOptions options;
    private readonly TimeProvider clock;
    private readonly ILogger log;
    private readonly ITimer timer;
    private volatile SslServerAuthenticationOptions handshake;
    private string seen;
    private DateTimeOffset renewalLooked;

    private CertificateSource(PosternOptions options, TimeProvider clock, ILogger log)
    {
        (this.options, this.clock, this.log) = (options, clock, log);
        var (certificate, key) = Locate();
        seen = Mark(certificate, key);
        handshake = Read(certificate, key);
        timer = clock.CreateTimer(_ => Refresh(), null, Look, Look);
    }

    /// <summary>What a TLS handshake that begins now is answered with.</summary>
    public SslServerAuthenticationOptions Handshake => handshake;

    /// <summary>Whether the certificate is one that Postern made itself.</summary>
    public bool IsDevelopment => options.Certificate.CertificatePath.Length == 0;

    /// <summary>Reads the certificate, making the development one where none is configured; <see cref="RefusedException"/> where it cannot be read.</summary>
    public static CertificateSource Open(PosternOptions options, TimeProvider clock, ILogger log)
    {
        try
        {
            return new CertificateSource(options, clock, log);
        }
        catch (Exception cause) when (IsUnreadable(cause))
        {
            throw new RefusedException(options.Certificate.CertificatePath.Length == 0
                ? $"The development certificate in {options.Data} cannot be made or read: {OneLine(cause)}"
                : $"The certificate {options.Certificate.CertificatePath} with the key {options.Certificate.KeyPath} cannot be used: {OneLine(cause)}");
        }
    }

    /// <summary>Refuses a configured certificate that cannot be used, without watching it.</summary>
    public static void Check(PosternOptions options) => Open(options, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance).Dispose();

    public void Dispose() => timer.Dispose();

    private void Refresh()
    {
        // Timers do not wait for each other: one look at a time, and the next look does what this one would have done.
        if (!Monitor.TryEnter(timer)) return;
        var (certificate, key) = (options.Certificate.CertificatePath, options.Certificate.KeyPath);
        try
        {
            (certificate, key) = Locate();
            var mark = Mark(certificate, key);
            if (mark == seen) return;
            seen = mark;
            handshake = Read(certificate, key);
            Log.CertificateRead(log, certificate);
        }
        catch (Exception cause) when (IsUnreadable(cause))
        {
            Log.CertificateKept(log, certificate, OneLine(cause));
        }
        finally
        {
            Monitor.Exit(timer);
        }
    }

    private (string Certificate, string Key) Locate()
    {
        if (!IsDevelopment) return (options.Certificate.CertificatePath, options.Certificate.KeyPath);
        var now = clock.GetUtcNow();
        var paths = DevCertificate.PathsIn(options.Data);
        if (now - renewalLooked < TimeSpan.FromHours(1) && now >= renewalLooked) return paths;
        renewalLooked = now;
        return DevCertificate.Ensure(options.Data, DevCertificate.NamesFor(options), now);
    }

    private static SslServerAuthenticationOptions Read(string certificatePath, string keyPath)
    {
        var chain = new X509Certificate2Collection();
        chain.ImportFromPemFile(certificatePath);
        var leaf = X509Certificate2.CreateFromPemFile(certificatePath, keyPath);
        return new SslServerAuthenticationOptions
        {
            // Without the context only the leaf is sent, and clients refuse a certificate whose intermediate they do not hold.
            ServerCertificateContext = SslStreamCertificateContext.Create(leaf, chain, offline: true),
            ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
            AllowRenegotiation = false,
        };
    }

    private static string Mark(string certificate, string key) =>
        string.Join('|', new[] { certificate, key }.Select(path => new FileInfo(path)).Select(file => file.Exists ? $"{file.LastWriteTimeUtc.Ticks}:{file.Length}" : "absent"));

    private static bool IsUnreadable(Exception cause) =>
        cause is IOException or CryptographicException or UnauthorizedAccessException or ArgumentException or RefusedException;

    private static string OneLine(Exception cause) => cause.Message.ReplaceLineEndings(" ");
}
