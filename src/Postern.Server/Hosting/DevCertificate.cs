using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Postern.Server.Settings;

namespace Postern.Server.Hosting;

/// <summary>The development certificate: an authority of this data folder alone, and a server certificate signed by it.</summary>
/// <remarks>Clients trust <c>dev-ca.pem</c>; the server certificate changes under it without anybody noticing.</remarks>
internal static class DevCertificate
{
    /// <summary>What clients of the development certificate are told to trust.</summary>
    public const string AuthorityFile = "dev-ca.pem";

    private const string AuthorityKeyFile = "dev-ca.key";
    private const string ServerFile = "dev-server.pem";
    private const string ServerKeyFile = "dev-server.key";

    /// <summary>A certificate with less than this left is replaced.</summary>
    public static readonly TimeSpan LeastLeft = TimeSpan.FromDays(30);

    private static readonly TimeSpan AuthorityLife = TimeSpan.FromDays(3650);
    private static readonly TimeSpan ServerLife = TimeSpan.FromDays(90);

    /// <summary>The names a development certificate is for: this machine and the host of the public address.</summary>
    public static IReadOnlyList<string> NamesFor(PosternOptions options) =>
        [.. new[] { "localhost", "127.0.0.1", "::1", options.PublicAddress?.Host.Trim('[', ']') }.OfType<string>()
            .Select(name => IPAddress.TryParse(name, out var address) ? address.ToString() : name).Distinct(StringComparer.OrdinalIgnoreCase)];

    /// <summary>The paths of a server certificate and its key for these names, valid for 30 days at least; made or renewed where needed.</summary>
    public static (string CertificatePath, string KeyPath) Ensure(string folder, IReadOnlyList<string> names, DateTimeOffset now)
    {
        var (certificatePath, keyPath) = PathsIn(folder);
        using var authority = Load(Path.Combine(folder, AuthorityFile), Path.Combine(folder, AuthorityKeyFile));
        using var present = Load(certificatePath, keyPath);
        if (authority is not null && Lasts(authority, now) && present is not null && Lasts(present, now)
            && Names(present).SequenceEqual(names.Order(StringComparer.Ordinal)) && SignedBy(present, authority))
        {
            return (certificatePath, keyPath);
        }

        using var signer = authority is not null && Lasts(authority, now) ? new X509Certificate2(authority) : MakeAuthority(folder, now);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var made = MakeServer(signer, key, names, now);
        // The key first: a reader between the two writes finds a pair that does not match and keeps what it has.
        DataFolder.WriteSecret(keyPath, key.ExportPkcs8PrivateKeyPem());
        File.WriteAllText(certificatePath, made.ExportCertificatePem() + "\n");
        return (certificatePath, keyPath);
    }

    /// <summary>Where the server certificate and its key are.</summary>
    public static (string CertificatePath, string KeyPath) PathsIn(string folder) => (Path.Combine(folder, ServerFile), Path.Combine(folder, ServerKeyFile));

    private static X509Certificate2 MakeAuthority(string folder, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Postern development authority", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        var authority = request.CreateSelfSigned(now.AddDays(-1), now + AuthorityLife);
        DataFolder.WriteSecret(Path.Combine(folder, AuthorityKeyFile), key.ExportPkcs8PrivateKeyPem());
        File.WriteAllText(Path.Combine(folder, AuthorityFile), authority.ExportCertificatePem() + "\n");
        return authority;
    }

    private static X509Certificate2 MakeServer(X509Certificate2 authority, ECDsa key, IReadOnlyList<string> names, DateTimeOffset now)
    {
        var request = new CertificateRequest("CN=Postern development server", key, HashAlgorithmName.SHA256);
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (var name in names)
        {
            if (IPAddress.TryParse(name, out var address)) alternatives.AddIpAddress(address);
            else alternatives.AddDnsName(name);
        }
        request.CertificateExtensions.Add(alternatives.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(authority, true, false));
        // Never older than the authority, though the clock may have been set back since that was made.
        var begin = new[] { now.AddDays(-1), new DateTimeOffset(authority.NotBefore) }.Max();
        return request.Create(authority, begin, now + ServerLife, RandomNumberGenerator.GetBytes(16));
    }

    private static X509Certificate2? Load(string certificatePath, string keyPath)
    {
        try
        {
            return X509Certificate2.CreateFromPemFile(certificatePath, keyPath);
        }
        catch (Exception cause) when (cause is IOException or CryptographicException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static bool Lasts(X509Certificate2 certificate, DateTimeOffset now) => certificate.NotAfter.ToUniversalTime() - now.UtcDateTime >= LeastLeft;

    private static IEnumerable<string> Names(X509Certificate2 certificate)
    {
        var extension = certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().FirstOrDefault();
        return extension is null ? [] : extension.EnumerateDnsNames().Concat(extension.EnumerateIPAddresses().Select(address => address.ToString())).Order(StringComparer.Ordinal);
    }

    private static bool SignedBy(X509Certificate2 certificate, X509Certificate2 authority)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid;
        return chain.Build(certificate);
    }
}
