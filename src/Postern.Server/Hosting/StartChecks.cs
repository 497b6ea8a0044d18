using System.Collections;
using System.Globalization;
using System.Net;

namespace Postern.Server.Hosting;

/// <summary>What keeps Postern from starting: each check gives one sentence that says what is wrong and how to mend it, or null.</summary>
internal static class StartChecks
{
    /// <summary>Below this runtime are known holes in what Postern stands on (security/dotnet.md, the batch of July 2026).</summary>
    public static readonly Version LeastRuntime = new(10, 0, 10);

    /// <summary>The least characters of a key that is chosen rather than made.</summary>
    public const int LeastApiKeyLength = 32;

    /// <summary>What no single setting can tell: settings that do not go together.</summary>
    public static string? OfSettings(PosternOptions options) => options switch
    {
        { Http: null, Https: null } => "Both http and https are off: give one of them an address, such as --https 127.0.0.1:8443.",
        { Http: { Port: not 0 } http, Https: { } https } when http.Equals(https) =>
            $"http and https both ask for {http}: give one of them another port.",
        { Certificate: { CertificatePath: "", KeyPath: not "" } } => "Certificate:KeyPath is set without Certificate:CertificatePath: set both or neither.",
        { Certificate: { CertificatePath: not "", KeyPath: "" } } => "Certificate:CertificatePath is set without Certificate:KeyPath: set both or neither.",
        { Realtime.Models: var models } when Dialects.Realtime.ModelNames.Problem(models) is { } problem => problem,
        { Data: "" } => "The setting Data is empty: name a folder, or leave it out for the user's own.",
        _ => null,
    };

    /// <summary>The checks that need nothing but the options and the environment, in the order of their sentences' worth.</summary>
    public static string? OfStart(PosternOptions options, IDictionary environment) =>
        OfRuntime(Environment.Version) ?? OfForwardedHeaders(environment) ?? OfAddresses(options) ?? OfApiKey(environment);

    public static string? OfRuntime(Version runtime) => runtime >= LeastRuntime ? null
        : $"The .NET runtime {runtime} has known security holes: install {LeastRuntime} or newer of ASP.NET Core.";

    /// <summary>The variable makes the framework trust X-Forwarded-For from everybody (attack D3).</summary>
    public static string? OfForwardedHeaders(IDictionary environment) =>
        environment["ASPNETCORE_FORWARDEDHEADERS_ENABLED"] is string { Length: > 0 }
            ? "ASPNETCORE_FORWARDEDHEADERS_ENABLED makes every caller's X-Forwarded-For trusted: remove that environment variable." : null;

    /// <summary>Beyond loopback the listener's address is not the one that clients see, and the Host header is anybody's word.</summary>
    public static string? OfAddresses(PosternOptions options)
    {
        if (options.PublicAddress is not null) return null;
        var beyond = new[] { ("--http", options.Http), ("--https", options.Https) }
            .FirstOrDefault(one => one.Item2 is { } point && !IPAddress.IsLoopback(point.Address));
        return beyond.Item2 is null ? null
            : $"{beyond.Item1} {beyond.Item2} is reachable from other machines, but signed URLs would not know their address: set --public-address (or POSTERN__PUBLICADDRESS), such as https://agents.example.com.";
    }

    public static string? OfApiKey(IDictionary environment) =>
        environment[Settings.SettingSource.ApiKeyVariable] is not string { Length: > 0 } key ? null
        : key.Length < LeastApiKeyLength ? $"POSTERN_API_KEY has {key.Length.ToString(CultureInfo.InvariantCulture)} characters: choose at least {LeastApiKeyLength}, or leave it out and let Postern make one."
        : key.Any(c => c is <= ' ' or > '~') ? "POSTERN_API_KEY holds a space or a character that no header can carry: use letters, digits and marks of ASCII."
        : null;
}
