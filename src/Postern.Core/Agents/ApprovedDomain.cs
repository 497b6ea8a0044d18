namespace Postern.Core.Agents;

/// <summary>
/// A domain whose pages may ask an agent: a host of any scheme and port, a whole origin, which means that one alone, or
/// <c>*.example.com</c> for every subdomain of it, itself not included. Letter case is no difference.
/// </summary>
public readonly record struct ApprovedDomain
{
    private const string AnySubdomain = "*.";

    private ApprovedDomain(string? scheme, bool subdomains, string host, int port) => (Scheme, Subdomains, Host, Port) = (scheme, subdomains, host, port);

    private string? Scheme { get; }
    private bool Subdomains { get; }
    private string Host { get; }
    private int Port { get; } // 0: the scheme's default, or any where there is no scheme

    /// <summary>The normal form, which reads to an equal entry.</summary>
    public override string ToString() => (Scheme is null ? "" : Scheme + "://") + (Subdomains ? AnySubdomain : "") + (Port == 0 ? Host : $"{Host}:{Port}");

    /// <summary>Reads an entry as written; false with a sentence that says what to write instead.</summary>
    public static bool TryParse(string text, out ApprovedDomain entry, out string problem)
    {
        entry = default;
        problem = "Input should be a host such as example.com, a pattern such as *.example.com, or an origin such as https://example.com:8443";
        var rest = text.Trim().TrimEnd('/');
        string? scheme = null;
        if (rest.IndexOf("://", StringComparison.Ordinal) is var at and >= 0)
        {
            scheme = rest[..at].ToLowerInvariant();
            rest = rest[(at + 3)..];
        }
        var subdomains = rest.StartsWith(AnySubdomain, StringComparison.Ordinal);
        rest = subdomains ? rest[AnySubdomain.Length..] : rest;
        if (scheme is not (null or "http" or "https") || !AllowedHost.TrySplitWritten(rest, out var host, out var port) || (subdomains && host.StartsWith('[')))
        {
            return false;
        }
        problem = "";
        entry = new ApprovedDomain(scheme, subdomains, host, scheme is not null && port == AllowedHost.DefaultPort(scheme) ? 0 : port);
        return true;
    }

    /// <summary>
    /// Why a new entry is not taken, in a sentence; null when it is. A pattern under a whole top-level domain approves strangers, and a
    /// word with a number (<c>javascript:1</c>) is rarely a host.
    /// </summary>
    public string? WhyRefused =>
        Host.Contains('.', StringComparison.Ordinal) || Host.StartsWith('[') ? null
        : Subdomains ? $"*.{Host} would approve every page under a top-level domain: write a pattern such as *.example.com"
        : Scheme is null && Host != "localhost" ? $"'{Host}' is no domain: write a host such as example.com, or the whole origin of one without a dot, such as http://intranet:8080"
        : null;

    /// <summary>Whether a page is of this domain.</summary>
    /// <param name="page">An Origin header, or a Referer, as received; <c>null</c> as a text is nobody's.</param>
    public bool Allows(string page)
    {
        var end = page.IndexOf("://", StringComparison.Ordinal) is var at and >= 0 ? page.IndexOfAny(['/', '?', '#'], at + 3) : -1;
        if (!AllowedHost.TryParseOrigin((end < 0 ? page : page[..end]).ToLowerInvariant(), out var scheme, out var host, out var port))
        {
            return false;
        }
        var isHost = Subdomains ? host.Length > Host.Length + 1 && host.EndsWith(Host, StringComparison.Ordinal) && host[^(Host.Length + 1)] == '.' : host == Host;
        return isHost && (Scheme is null ? Port == 0 || Port == (port == 0 ? AllowedHost.DefaultPort(scheme) : port) : Scheme == scheme && Port == port);
    }
}
