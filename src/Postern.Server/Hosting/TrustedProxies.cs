using System.Net;
using Microsoft.Extensions.Primitives;

namespace Postern.Server.Hosting;

/// <summary>
/// Whose word about a client's address is believed: the header X-Forwarded-For of the proxies that the operator names, and of it only
/// the last address that is none of theirs. What stands before it anybody may have written (attack D3).
/// </summary>
internal sealed class TrustedProxies(IReadOnlyList<IPNetwork> networks)
{
    /// <summary>Gives every request the address of its client; does nothing where no proxy is trusted.</summary>
    public static void Use(WebApplication app, PosternOptions options)
    {
        if (options.TrustedProxies.Count == 0)
        {
            return;
        }
        var proxies = new TrustedProxies([.. options.TrustedProxies.Select(text => Parse(text)!.Value)]);
        app.Use(next => context =>
        {
            context.Connection.RemoteIpAddress = proxies.ClientOf(context.Connection.RemoteIpAddress, context.Request.Headers["X-Forwarded-For"]);
            return next(context);
        });
    }

    /// <summary>An address or a network such as 10.0.0.0/8; null for what is none, or is everybody.</summary>
    public static IPNetwork? Parse(string text) =>
        IPNetwork.TryParse(text, out var network) ? network.PrefixLength > 0 ? network : null
        : ReadAddress(text) is { } address && IPAddress.TryParse(text, out _) ? new IPNetwork(address, address.GetAddressBytes().Length * 8)
        : null;

    /// <summary>The peer, or whom trusted proxies name; the peer again when one names nobody that can be read.</summary>
    internal IPAddress? ClientOf(IPAddress? peer, StringValues forwarded)
    {
        var client = peer is null ? null : Plain(peer);
        if (client is null || !Trusts(client) || forwarded.Count == 0)
        {
            return peer;
        }
        foreach (var hop in forwarded.ToString().Split(',').Reverse())
        {
            if (ReadAddress(hop.Trim(' ', '\t')) is not { } named)
            {
                return peer;
            }
            client = named;
            if (!Trusts(client))
            {
                break;
            }
        }
        return client;
    }

    private bool Trusts(IPAddress address)
    {
        foreach (var network in networks)
        {
            if (network.Contains(address))
            {
                return true;
            }
        }
        return false;
    }

    // Some proxies add the port. The short and the octal spellings of IPv4 are nobody's.
    private static IPAddress? ReadAddress(string text) =>
        !IPEndPoint.TryParse(text, out var point) || point.Address is { AddressFamily: System.Net.Sockets.AddressFamily.InterNetworkV6, ScopeId: not 0 } ? null
        : point.Address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork && text.Split(':')[0] != point.Address.ToString() ? null
        : Plain(point.Address);

    private static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
}
