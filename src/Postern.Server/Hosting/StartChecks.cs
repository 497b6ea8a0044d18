using System.Collections;
using System.Data.Common;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Postern.Core.Projects;

namespace Postern.Server.Hosting;

/// <summary>What keeps Postern from starting: each check gives one sentence that says what is wrong and how to mend it, or null.</summary>
internal static class StartChecks
{
    /// <summary>Below this runtime are known holes in what Postern stands on (security/dotnet.md, the batch of July 2026).</summary>
    public static readonly Version LeastRuntime = new(10, 0, 10);

    /// <summary>What no single setting can tell: settings that do not go together.</summary>
    public static string? OfSettings(PosternOptions options) => options switch
    {
        { Http: null, Https: null } => "Both http and https are off: give one of them an address, such as --https 127.0.0.1:8443.",
        { Http: { Port: not 0 } http, Https: { } https } when http.Equals(https) =>
            $"http and https both ask for {http}: give one of them another port.",
        { Certificate: { CertificatePath: "", KeyPath: not "" } } => "Certificate:KeyPath is set without Certificate:CertificatePath: set both or neither.",
        { Certificate: { CertificatePath: not "", KeyPath: "" } } => "Certificate:CertificatePath is set without Certificate:KeyPath: set both or neither.",
        { Realtime.Models: var models } when Dialects.Realtime.ModelNames.Problem(models) is { } problem => problem,
        { TrustedProxies: var proxies } when proxies.FirstOrDefault(text => TrustedProxies.Parse(text) is null) is { } wrong =>
            $"TrustedProxies has the entry {wrong}: write an address such as 127.0.0.1, or a network such as 10.0.0.0/8 that is not everybody.",
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
        : key.Length < ApiKeyText.ShortestImport ? $"POSTERN_API_KEY has {key.Length.ToString(CultureInfo.InvariantCulture)} characters: choose at least {ApiKeyText.ShortestImport}, or leave it out and let Postern make one."
        : key.Any(c => c is <= ' ' or > '~') ? "POSTERN_API_KEY holds a space or a character that no header can carry: use letters, digits and marks of ASCII."
        : !ApiKeyText.IsWellFormed(key) ? $"POSTERN_API_KEY is no key that could ever be used: it begins with {ApiKeyText.Prefix} but was mistyped, or it is longer than any key."
        : null;

    /// <summary>The sentence for what only shows when it is tried; null for what is a defect.</summary>
    public static string? OfFailure(Exception failure) => failure switch
    {
        IOException { InnerException: AddressInUseException } used => OfUsed(used.Message),
        SocketException { SocketErrorCode: SocketError.AddressNotAvailable } => "An address of --http or --https is not one of this machine's: choose one of its own, such as 127.0.0.1.",
        SocketException { SocketErrorCode: SocketError.AccessDenied } => "A port of --http or --https may not be opened by this user: choose one above 1023.",
        SocketException => $"An address of --http or --https cannot be listened on: {failure.Message.TrimEnd('.')}.",
        DbException => $"The database cannot be used: {failure.Message.ReplaceLineEndings(" ").TrimEnd('.')}: see --database, or --data for the embedded one.",
        UnauthorizedAccessException or IOException => $"A file cannot be used: {failure.Message.TrimEnd('.')}.",
        _ => null,
    };

    /// <summary>Kestrel says it in words alone: "Failed to bind to address http://127.0.0.1:8080: address already in use."</summary>
    private static string OfUsed(string message)
    {
        var address = message.Split(' ').FirstOrDefault(word => word.Contains("://", StringComparison.Ordinal))?.TrimEnd('.', ':', ',') ?? "An address";
        return $"{address} is in use by another program: stop that, or choose another port with {(address.StartsWith("https:", StringComparison.Ordinal) ? "--https" : "--http")}.";
    }
}
