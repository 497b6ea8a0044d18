using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Postern.Server.Hosting;

/// <summary>Every setting of the web server, in one place; nothing of it is read from configuration files of the framework.</summary>
internal static class KestrelSettings
{
    private const string StrictLineEndings = "Microsoft.AspNetCore.Server.Kestrel.DisableHttp1LineFeedTerminators";

    /// <summary>Makes Kestrel the server of this builder, on the addresses of the options.</summary>
    public static void Apply(WebApplicationBuilder builder, PosternOptions options, CertificateSource? certificates)
    {
        // A bare LF as line end makes two headers of one where the hop before saw one (attack D1).
        AppContext.SetSwitch(StrictLineEndings, true);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(server =>
        {
            Protect(server, options);
            if (options.Http is { } http) server.Listen(http, listen => listen.Protocols = HttpProtocols.Http1);
            if (options.Https is { } https) server.Listen(https, listen => Secure(listen, certificates ?? throw new InvalidOperationException("HTTPS needs certificates.")));
        });
        builder.Services.Configure<SocketTransportOptions>(sockets =>
        {
            sockets.UnsafePreferInlineScheduling = true;
            sockets.CreateBoundListenSocket = static endpoint =>
            {
                var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
                DeadPeers.Watch(socket);
                return socket;
            };
        });
        builder.Services.AddSingleton<IConnectionListenerFactory>(static services => new PooledListeners(ActivatorUtilities.CreateInstance<SocketTransportFactory>(services)));
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.Shutdown.Grace + TimeSpan.FromSeconds(5));
    }

    /// <summary>What protects the server from hostile requests.</summary>
    public static void Protect(KestrelServerOptions server, PosternOptions options)
    {
        server.AddServerHeader = false;
        server.AllowSynchronousIO = false;
        server.AllowAlternateSchemes = false;
        server.AllowHostHeaderOverride = false;
        server.RequestHeaderEncodingSelector = static name =>
            name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase) ? DigitsEncoding.Instance : null;

        var limits = server.Limits;
        limits.MaxRequestBodySize = options.Limits.MaxRequestBodyBytes;
        limits.MaxRequestLineSize = 8 * 1024;
        limits.MaxRequestHeadersTotalSize = 16 * 1024;
        limits.MaxRequestHeaderCount = 50;
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        limits.KeepAliveTimeout = TimeSpan.FromSeconds(60);
        limits.MinRequestBodyDataRate = new MinDataRate(240, TimeSpan.FromSeconds(5));
        limits.MinResponseDataRate = new MinDataRate(240, TimeSpan.FromSeconds(5));
        limits.MaxConcurrentConnections = options.Limits.MaxConnections;
        limits.MaxConcurrentUpgradedConnections = options.Limits.MaxConnections;
        limits.Http2.MaxStreamsPerConnection = 50;
        limits.Http2.MaxRequestHeaderFieldSize = 8 * 1024;
        limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(30);
        limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(15);
    }

    private static void Secure(ListenOptions listen, CertificateSource certificates)
    {
        listen.Protocols = HttpProtocols.Http1AndHttp2;
        listen.Use(static next => connection =>
        {
            connection.Transport = new PooledConnection(connection.Transport);
            return next(connection);
        });
        listen.UseHttps(new TlsHandshakeCallbackOptions
        {
            HandshakeTimeout = TimeSpan.FromSeconds(10),
            OnConnection = _ => ValueTask.FromResult(certificates.Handshake),
        });
    }
}
