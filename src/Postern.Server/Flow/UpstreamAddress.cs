using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Postern.Server.Flow;

/// <summary>Where an upstream is, taken apart by rules narrower than any URL parser's, so that nothing can be read two ways.</summary>
/// <param name="Tls">wss.</param>
/// <param name="Host">A name, or an address without brackets.</param>
/// <param name="Literal">The address, when the host is one.</param>
/// <param name="Port">1 to 65535; 80 or 443 when not given.</param>
/// <param name="Authority">What belongs into the Host header.</param>
/// <param name="Target">Path and query; may carry a secret, never log it.</param>
internal sealed record UpstreamAddress(bool Tls, string Host, IPAddress? Literal, int Port, string Authority, string Target)
{
    private const int MaxLength = 2048;

    /// <summary>What is wrong with the text of an upstream's URL, as a sentence, or null. Looks nothing up.</summary>
    public static string? Check(string url) => Parse(url, out var problem) is null ? problem : null;

    /// <param name="scheme"><c>ws</c> or <c>http</c>; with an s it is the same over TLS.</param>
    public static UpstreamAddress? Parse(string url, out string? problem, string scheme = "ws")
    {
        problem = null;
        var tls = url.StartsWith(scheme + "s://", StringComparison.OrdinalIgnoreCase);
        if (!tls && !url.StartsWith(scheme + "://", StringComparison.OrdinalIgnoreCase)) problem = $"The address must begin with {scheme}:// or {scheme}s://.";
        else if (url.Length > MaxLength) problem = "The address is longer than 2048 characters.";
        else if (url.AsSpan().ContainsAnyExceptInRange('!', '~')) problem = "The address may contain visible ASCII characters only.";
        else if (url.Contains('#', StringComparison.Ordinal)) problem = "The address must not have a fragment (#).";
        else if (url.Contains('\\', StringComparison.Ordinal)) problem = "The address must not contain a backslash.";
        if (problem is not null) return null;

        var rest = url.AsSpan(scheme.Length + (tls ? 4 : 3));
        var end = rest.IndexOfAny('/', '?');
        var authority = end < 0 ? rest : rest[..end];
        var target = end < 0 ? "/" : rest[end] == '/' ? rest[end..].ToString() : "/" + rest[end..].ToString();
        if (authority.Contains('@')) problem = "The address must not contain a user name or password.";
        else if (authority.IsEmpty) problem = "The address has no host.";
        if (problem is not null) return null;

        if (!TrySplitPort(authority, tls ? 443 : 80, out var host, out var port)) problem = "The port must be a number from 1 to 65535.";
        else if (!TryReadHost(host, out var literal)) problem = "The host is neither a valid name nor an address in its usual form.";
        else
        {
            var name = host.Trim("[]").ToString();
            return new(tls, name, literal, port, authority.ToString(), target);
        }
        return null;
    }

    private static bool TrySplitPort(ReadOnlySpan<char> authority, int standard, out ReadOnlySpan<char> host, out int port)
    {
        port = standard;
        host = authority;
        var colon = authority.LastIndexOf(':');
        if (colon < 0 || authority[^1] == ']') return true;
        host = authority[..colon];
        var digits = authority[(colon + 1)..];
        return digits.Length is > 0 and <= 5 && int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and <= 65535;
    }

    private static bool TryReadHost(ReadOnlySpan<char> host, out IPAddress? literal)
    {
        literal = null;
        if (host.Length > 2 && host[0] == '[' && host[^1] == ']')
            return !host.Contains('%') && IPAddress.TryParse(host[1..^1], out literal) && literal.AddressFamily == AddressFamily.InterNetworkV6;
        if (!IsName(host)) return false;

        // Octal, hexadecimal, short and plain-number forms of IPv4 end in a number; only the usual form is one address to everybody.
        var last = host[(host.LastIndexOf('.') + 1)..];
        var looksNumeric = char.IsAsciiDigit(last[0]) && (!last.ContainsAnyExceptInRange('0', '9') || last.StartsWith("0x", StringComparison.OrdinalIgnoreCase));
        return !looksNumeric || IPAddress.TryParse(host, out literal) && host.SequenceEqual(literal.ToString());
    }

    private static bool IsName(ReadOnlySpan<char> host)
    {
        if (host.Length is 0 or > 253) return false;
        foreach (var range in host.Split('.'))
        {
            var label = host[range];
            if (label.Length is 0 or > 63 || label[0] == '-' || label[^1] == '-') return false;
            foreach (var c in label)
            {
                if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_')) return false;
            }
        }
        return true;
    }
}
