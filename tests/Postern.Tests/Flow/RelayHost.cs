using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Postern.Core.Sessions;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

/// <summary>A real server that relays every WebSocket to one upstream, without anything that decides.</summary>
internal sealed class RelayHost : IAsyncDisposable
{
    public static readonly RelayLimits Wide = new(4 * 1024 * 1024, 10_000_000, TimeSpan.FromMinutes(5), TimeSpan.FromSeconds(30), long.MaxValue);

    private readonly WebApplication app;
    private readonly SessionTimers timers;
    private readonly Channel<SessionEnd> ends = Channel.CreateUnbounded<SessionEnd>();
    private readonly Channel<Leash> leashes = Channel.CreateUnbounded<Leash>();

    private RelayHost(WebApplication app, TimeProvider clock)
    {
        this.app = app;
        Clock = clock;
        timers = new(clock);
    }

    public string Upstream { get; set; } = "";
    public RelayLimits Limits { get; set; } = Wide;
    public TimeProvider Clock { get; }
    public byte[]? LastWords { get; set; } = "{\"bye\":true}"u8.ToArray();
    public RelayRule? Rule { get; set; }
    public SessionActivity? Activity { get; private set; }
    public UpstreamException? Failure { get; private set; }
    public IHttpRequestFeature? Request { get; private set; }

    public int Port => Ports[0];
    public int TlsPort => Ports[1];

    private int[] Ports => [.. app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(address => new Uri(address).Port)];

    public static async Task<RelayHost> StartAsync(string upstream, RelayLimits? limits = null, TimeProvider? clock = null, X509Certificate2? certificate = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0);
            if (certificate is not null) kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate));
        });
        var host = new RelayHost(builder.Build(), clock ?? TimeProvider.System) { Upstream = upstream, Limits = limits ?? Wide };
        host.app.Run(host.ServeAsync);
        await host.app.StartAsync();
        return host;
    }

    private async Task ServeAsync(HttpContext context)
    {
        if (WebSocketHandshake.Check(context) is { } problem)
        {
            problem.ApplyTo(context.Response);
            await context.Response.WriteAsync(problem.Sentence);
            return;
        }
        var client = await WebSocketHandshake.AcceptAsync(context, WebSocketHandshake.OfferedProtocols(context)!.Contains("convai") ? "convai" : null);
        Request = context.Features.Get<IHttpRequestFeature>();
        try
        {
            var target = new UpstreamTarget(Upstream, [], null, true, TimeSpan.FromSeconds(15));
            var upstream = await Server.Flow.Upstream.ConnectAsync(target, default);
            var leash = new Leash();
            Activity = new(Clock);
            leashes.Writer.TryWrite(leash);
            var end = await new RelaySession(timers, Clock, context.Abort).RunAsync(client, default, upstream, leash, Limits, Farewell, Activity, Rule);
            ends.Writer.TryWrite(end);
        }
        catch (UpstreamException e)
        {
            Failure = e;
            await client.WriteAsync(Frames.Close(new(1011, e.Message)));
        }
    }

    private Farewell Farewell(SessionEnd end) =>
        new(LastWords, new(end.Reason == SessionEndReason.ProtocolError || end.CloseCode != 0 ? end.CloseCode : (ushort)1000, end.Reason.ToString()), TimeSpan.FromMilliseconds(20));

    /// <summary>How the next session to end ended.</summary>
    public Task<SessionEnd> EndAsync() => ends.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(15));

    /// <summary>The leash of the next session to begin.</summary>
    public Task<Leash> LeashAsync() => leashes.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10));

    /// <summary>A client and the upstream's end of one session.</summary>
    public async Task<(Wire Client, Wire Agent)> ConnectAsync(StubUpstream upstream)
    {
        var client = Wire.OpenAsync(Port);
        var agent = await upstream.OpenAsync();
        return (await client, agent);
    }

    public async ValueTask DisposeAsync()
    {
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await app.StopAsync(stop.Token);
        await app.DisposeAsync();
        timers.Dispose();
    }
}
