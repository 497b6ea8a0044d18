using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Postern.Server;
using Postern.Server.Hosting;
using Postern.Server.Settings;

namespace Postern.Tests.Hosting;

/// <summary>Kestrel with Postern's settings and guard before an application that counts what reaches it.</summary>
public sealed partial class GuardedServer : IAsyncLifetime
{
    private readonly PosternOptions options;
    private WebApplication app = null!;
    private int smuggled, unmarked, requests, failures;

    public GuardedServer() : this(new PosternOptions { Http = new(IPAddress.Loopback, 0), Https = null, PublicAddress = PublicAddress.Parse("https://agents.example.com"), AllowedHosts = ["postern.internal"] })
    {
    }

    internal GuardedServer(PosternOptions options) => this.options = options;

    /// <summary>How often somebody reached the path that no honest request of the tests names.</summary>
    public int Smuggled => Volatile.Read(ref smuggled);

    /// <summary>How many requests came without the mark that a proxy before it sets on each.</summary>
    public int Unmarked => Volatile.Read(ref unmarked);

    /// <summary>How many were answered by 5xx.</summary>
    public int Failures => Volatile.Read(ref failures);

    /// <summary>How many requests came.</summary>
    public int Requests => Volatile.Read(ref requests);

    internal KestrelServerOptions Kestrel => app.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value;

    public int Port { get; private set; }

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        KestrelSettings.Apply(builder, options, null);
        app = builder.Build();
        app.Use(async (context, next) =>
        {
            Interlocked.Increment(ref requests);
            if (context.Request.Headers[BehindProxyTests.Mark].Count == 0) Interlocked.Increment(ref unmarked);
            await next(context);
            if (context.Response.StatusCode >= 500) Interlocked.Increment(ref failures);
        });
        app.UseMiddleware<HttpGuard>(options);
        app.Run(AnswerAsync);
        await app.StartAsync();
        Port = int.Parse(Regex.Match(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First(), @"\d+$").Value, null);
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();

    /// <summary>Everything the server answers to these bytes until it closes the connection.</summary>
    /// <param name="raw">The bytes, as Latin-1.</param>
    /// <param name="patience">How long to wait for the server to close; it keeps a connection that it expects more of.</param>
    /// <param name="port">Where to, when not to this server itself.</param>
    public async Task<RawAnswer> SendAsync(string raw, int patience = 5000, int? port = null)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port ?? Port);
        await socket.SendAsync(Encoding.Latin1.GetBytes(raw));
        var text = new StringBuilder();
        var buffer = new byte[16384];
        using var bored = new CancellationTokenSource(patience);
        try
        {
            while (await socket.ReceiveAsync(buffer, bored.Token) is > 0 and var read) text.Append(Encoding.Latin1.GetString(buffer, 0, read));
        }
        catch (SocketException)
        {
            // Reset: the server closed with bytes of ours unread, which is a close as well.
        }
        catch (OperationCanceledException)
        {
            return new RawAnswer(text.ToString(), false);
        }
        return new RawAnswer(text.ToString(), true);
    }

    private async Task AnswerAsync(HttpContext context)
    {
        switch (context.Request.Path.Value)
        {
            case "/smuggled":
                Interlocked.Increment(ref smuggled);
                break;
            case "/watched":
                var socket = context.Features.GetRequiredFeature<Microsoft.AspNetCore.Connections.Features.IConnectionSocketFeature>().Socket;
                var watched = $"{socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive)} {socket.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime)}";
                context.Response.ContentLength = watched.Length;
                await context.Response.WriteAsync(watched, context.RequestAborted);
                return;
            case "/fail":
                throw new InvalidOperationException("the secret inside");
            case "/unavailable":
                context.Response.StatusCode = 503;
                return;
            case "/upgrade" when context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true }:
                context.Response.StatusCode = 426;
                return;
            case "/":
                break;
            default:
                context.Response.StatusCode = 404;
                return;
        }
        await context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
        await context.Response.WriteAsync("ok", context.RequestAborted);
    }
}

/// <summary>What came back on one connection.</summary>
/// <param name="Text">All of it.</param>
/// <param name="Closed">The server closed the connection.</param>
public sealed partial record RawAnswer(string Text, bool Closed)
{
    public IReadOnlyList<int> Statuses => [.. StatusLine.Matches(Text).Select(match => int.Parse(match.Groups[1].ValueSpan, null))];

    public string Body => Text[(Text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];

    public string? Header(string name) => Regex.Match(Text, $"^{name}: (.*)\r$", RegexOptions.Multiline | RegexOptions.IgnoreCase) is { Success: true } match ? match.Groups[1].Value : null;

    [GeneratedRegex(@"HTTP/1\.[01] (\d{3})")]
    private static partial Regex StatusLine { get; }
}
