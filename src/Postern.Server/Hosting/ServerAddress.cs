using System.Globalization;

namespace Postern.Server.Hosting;

/// <summary>Where clients reach this server: the setting, or the listener that the request came in on. Never the Host header, which is anybody's word.</summary>
internal sealed class ServerAddress(PosternOptions options)
{
    /// <summary>Such as <c>wss://agents.example.com</c>, without a slash at the end.</summary>
    public string WebSocketOrigin(HttpContext context) => options.PublicAddress?.WebSocket ?? Listener(context, "wss", "ws");

    /// <summary>Such as <c>https://agents.example.com</c>, without a slash at the end.</summary>
    public string HttpOrigin(HttpContext context) => options.PublicAddress?.Http ?? Listener(context, "https", "http");

    private static string Listener(HttpContext context, string secure, string plain)
    {
        var address = context.Connection.LocalIpAddress!;
        if (address.IsIPv4MappedToIPv6)
        {
            address = address.MapToIPv4();
        }
        var host = address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? $"[{address}]" : address.ToString();
        return string.Create(CultureInfo.InvariantCulture, $"{(context.Request.IsHttps ? secure : plain)}://{host}:{context.Connection.LocalPort}");
    }
}
