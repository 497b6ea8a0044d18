using System.Globalization;

namespace Postern.Server.Hosting;

/// <summary>Where clients reach this server: the setting, or the listener that the request came in on. Never the Host header, which is anybody's word.</summary>
internal sealed class ServerAddress(PosternOptions options)
{
    /// <summary>Such as <c>wss://agents.example.com</c>, without a slash at the end.</summary>
    public string WebSocketOrigin(HttpContext context) => options.PublicAddress?.WebSocket ?? Listener(context, "wss", "ws");

    /// <summary>Such as <c>https://agents.example.com</c>, without a slash at the end.</summary>
    public string HttpOrigin(HttpContext context) => options.PublicAddress?.Http ?? Listener(context, "https", "http");

    private volatile Listened last = new(System.Net.IPAddress.None, 0, "", "");

    private sealed record Listened(System.Net.IPAddress Address, int Port, string Scheme, string Text);

    // Nearly always the same listener as at the last request.
    private string Listener(HttpContext context, string secure, string plain)
    {
        var (address, port) = (context.Connection.LocalIpAddress!, context.Connection.LocalPort);
        var scheme = context.Request.IsHttps ? secure : plain;
        var known = last;
        if (known.Port == port && known.Scheme == scheme && known.Address.Equals(address))
        {
            return known.Text;
        }
        last = known = new Listened(address, port, scheme, Write(address, port, scheme));
        return known.Text;
    }

    private static string Write(System.Net.IPAddress address, int port, string scheme)
    {
        if (address.IsIPv4MappedToIPv6)
        {
            address = address.MapToIPv4();
        }
        var host = address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? $"[{address}]" : address.ToString();
        return string.Create(CultureInfo.InvariantCulture, $"{scheme}://{host}:{port}");
    }
}
