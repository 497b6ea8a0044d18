using System.Net.Security;

namespace Postern.Server.Hosting;

/// <summary>The certificate that HTTPS shows at this moment.</summary>
internal sealed class CertificateSource
{
    public SslServerAuthenticationOptions Handshake => throw new NotImplementedException();
}
