using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace Postern.Tests.Hosting;

/// <summary>A client that trusts one authority and nothing else, as the vendors' SDKs do with a CA file.</summary>
internal static class TlsClient
{
    /// <summary>Shakes hands and returns what was agreed; throws where the chain or the name does not hold.</summary>
    public static async Task<(string Thumbprint, SslApplicationProtocol Protocol)> HandshakeAsync(string address, string name, X509Certificate2 authority)
    {
        var port = int.Parse(address[(address.LastIndexOf(':') + 1)..], null);
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, port);
        await using var tls = new SslStream(tcp.GetStream());
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = name,
            ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust, CustomTrustStore = { authority }, RevocationMode = X509RevocationMode.NoCheck,
            },
        }, TestContext.Current.CancellationToken);
        return (tls.RemoteCertificate!.GetCertHashString(), tls.NegotiatedApplicationProtocol);
    }
}
