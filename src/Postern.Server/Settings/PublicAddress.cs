using System.Globalization;

namespace Postern.Server.Settings;

/// <summary>The address clients reach this server at: a scheme, a host and perhaps a port, never a path.</summary>
internal sealed class PublicAddress
{
    private PublicAddress(bool secure, string host, int? port) => (Secure, Host, Port) = (secure, host, port);

    public bool Secure { get; }

    /// <summary>The host in lower case, IPv6 in brackets.</summary>
    public string Host { get; }

    public int? Port { get; }

    /// <summary>Host and port as they stand in a URL: <c>agents.example.com</c> or <c>agents.example.com:8443</c>.</summary>
    public string Authority => Port is { } port ? $"{Host}:{port.ToString(CultureInfo.InvariantCulture)}" : Host;

    /// <summary><c>https://agents.example.com</c>, without a slash at the end.</summary>
    public string Http => (Secure ? "https://" : "http://") + Authority;

    /// <summary><c>wss://agents.example.com</c>, without a slash at the end.</summary>
    public string WebSocket => (Secure ? "wss://" : "ws://") + Authority;

    /// <summary>The address, or null where the text holds anything but scheme, host and port.</summary>
    public static PublicAddress? Parse(string text)
    {
        var secure = text.StartsWith("https://", StringComparison.OrdinalIgnoreCase);
        if (!secure && !text.StartsWith("http://", StringComparison.OrdinalIgnoreCase)) return null;
        var authority = text[(secure ? 8 : 7)..];
        if (authority.EndsWith('/')) authority = authority[..^1];

        var colon = authority.LastIndexOf(':');
        var host = authority;
        int? port = null;
        if (colon >= 0 && !authority.EndsWith(']'))
        {
            if (!ushort.TryParse(authority.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number == 0) return null;
            host = authority[..colon];
            if (number != (secure ? 443 : 80)) port = number;
        }
        return IsHost(host) ? new PublicAddress(secure, host.ToLowerInvariant(), port) : null;
    }

    public override string ToString() => Http;

    private static bool IsHost(string host)
    {
        if (host is ['[', .. var inner, ']'])
            return System.Net.IPAddress.TryParse(inner, out var address) && address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 && !inner.Contains('%', StringComparison.Ordinal);
        return host.Length is > 0 and <= 253 && host.Split('.').All(label =>
            label.Length is > 0 and <= 63 && label[0] != '-' && label[^1] != '-' && label.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'));
    }
}
