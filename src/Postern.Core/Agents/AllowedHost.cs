using System.Buffers;
using System.Globalization;

namespace Postern.Core.Agents;

/// <summary>
/// One entry of an allowlist: a host with an optional port, compared exactly with the Origin of a browser (RFC 6454).
/// Without a scheme it means <c>https</c>, and <c>http</c> too for the local machine.
/// </summary>
public readonly record struct AllowedHost
{
    private const int LongestHost = 253;
    private static readonly SearchValues<char> HostCharacters = SearchValues.Create("0123456789abcdefghijklmnopqrstuvwxyz-._");
    private static readonly SearchValues<char> AddressCharacters = SearchValues.Create("0123456789abcdef:.");

    private AllowedHost(string? scheme, string host, int port) => (Scheme, Host, Port) = (scheme, host, port);

    private string? Scheme { get; }
    private string Host { get; }
    private int Port { get; } // 0: the scheme's default

    /// <summary>The normal form: <c>host[:port]</c> in lower case and punycode, with a scheme only where one was written that narrows it. Reads to an equal entry.</summary>
    public override string ToString() => (Scheme is null ? "" : Scheme + "://") + (Port == 0 ? Host : $"{Host}:{Port}");

    /// <summary>Reads an entry as written; false with a sentence that says what to write instead.</summary>
    public static bool TryParse(string text, out AllowedHost entry, out string problem)
    {
        entry = default;
        var rest = text.Trim();
        string? scheme = null;
        if (rest.IndexOf("://", StringComparison.Ordinal) is var at and >= 0)
        {
            scheme = rest[..at].ToLowerInvariant();
            rest = rest[(at + 3)..];
            if (scheme is not ("http" or "https"))
            {
                problem = $"'{text}': only http and https origins exist; write the host alone, such as example.com or localhost:3000.";
                return false;
            }
        }
        var slash = rest.IndexOf('/');
        if (slash >= 0)
        {
            rest = rest[..slash];
        }
        if (!TrySplitWritten(rest, out var host, out var port))
        {
            problem = $"'{text}' is not a host: write it exactly, such as example.com, app.example.com or localhost:3000, without wildcards, user names or paths.";
            return false;
        }
        // A local host without a scheme stands for two, each with a default port of its own: then a port that was written stays.
        var isDefault = scheme is not null ? port == DefaultPort(scheme) : port == DefaultPort("https") && !IsLocal(host);
        // https alone is what a host means anyway, unless it is local.
        entry = new AllowedHost(scheme == "https" && !IsLocal(host) ? null : scheme, host, isDefault ? 0 : port);
        problem = "";
        return true;
    }

    /// <summary>Whether an Origin header's value, as received, is this host. Anything but a canonical serialised origin is not.</summary>
    public bool Allows(string origin)
    {
        if (!TryParseOrigin(origin, out var scheme, out var host, out var port) || host != Host)
        {
            return false;
        }
        var schemeHolds = Scheme is null ? scheme == "https" || IsLocal(host) : scheme == Scheme;
        return schemeHolds && (port == Port || (port == 0 && Port == DefaultPort(scheme)));
    }

    /// <summary>The <c>host[:port]</c> of an Origin for a refusal's text; the whole value when it is no origin.</summary>
    public static string HostOf(string origin) =>
        TryParseOrigin(origin, out _, out var host, out var port) ? port == 0 ? host : $"{host}:{port}" : origin;

    /// <summary>Host and port as a person writes them, in lower case and punycode.</summary>
    internal static bool TrySplitWritten(string text, out string host, out int port)
    {
        (host, port) = ("", 0);
        return (text.All(char.IsAscii) || TryPunycode(ref text)) && TrySplit(text.ToLowerInvariant(), out host, out port);
    }

    // Byte-equal to the canonical form or nothing: System.Uri would accept tabs, user names, back slashes and full-width dots here.
    internal static bool TryParseOrigin(string origin, out string scheme, out string host, out int port)
    {
        (scheme, host, port) = ("", "", 0);
        var at = origin.IndexOf("://", StringComparison.Ordinal);
        if (at < 0)
        {
            return false;
        }
        scheme = origin[..at];
        return scheme is "http" or "https"
            && TrySplit(origin[(at + 3)..], out host, out port)
            && port != DefaultPort(scheme);
    }

    private static bool TrySplit(string text, out string host, out int port)
    {
        (host, port) = (text, 0);
        var colon = text.StartsWith('[') ? text.IndexOf("]:", StringComparison.Ordinal) + 1 : text.IndexOf(':');
        if (colon > 0)
        {
            host = text[..colon];
            var digits = text.AsSpan(colon + 1);
            if (digits.Length is 0 or > 5 || digits[0] == '0' || digits.ContainsAnyExceptInRange('0', '9')
                || !int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out port) || port > 65535)
            {
                return false;
            }
        }
        return host.StartsWith('[')
            ? host.EndsWith(']') && host.Length > 2 && !host.AsSpan(1, host.Length - 2).ContainsAnyExcept(AddressCharacters)
            : host.Length is > 0 and <= LongestHost && !host.AsSpan().ContainsAnyExcept(HostCharacters)
                && !host.StartsWith('.') && !host.EndsWith('.') && !host.Contains("..", StringComparison.Ordinal);
    }

    private static bool TryPunycode(ref string text)
    {
        try
        {
            var colon = text.LastIndexOf(':');
            var host = colon < 0 ? text : text[..colon];
            text = new IdnMapping().GetAscii(host) + (colon < 0 ? "" : text[colon..]);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    internal static int DefaultPort(string scheme) => scheme == "https" ? 443 : 80;

    private static bool IsLocal(string host) => host is "localhost" or "127.0.0.1" or "[::1]";
}
