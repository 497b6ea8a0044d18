using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Sessions;
using Postern.Server.Admin;
using Postern.Server.Agents;
using Postern.Server.Dialects.Algolia;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Flow;
using Postern.Server.Media;
using Postern.Server.Observability;
using Postern.Server.Storage;
using Postern.Server.Try;

namespace Postern.Server.Hosting;

/// <summary>The running server: everything is put together here, by hand, so that it can be read.</summary>
internal sealed class PosternHost : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly NodeFile node;
    private readonly Store store;
    private readonly CertificateSource? certificates;
    private readonly LiveSessions live;
    private readonly DailySweep sweep;
    private readonly Heartbeat heartbeat;
    private readonly PosternOptions options;
    private readonly TimeProvider clock;

    private PosternHost(
        WebApplication app, NodeFile node, Store store, CertificateSource? certificates, LiveSessions live, DailySweep sweep, Heartbeat heartbeat, PosternOptions options, TimeProvider clock) =>
        (this.app, this.node, this.store, this.certificates, this.live, this.sweep, this.heartbeat, this.options, this.clock) = (app, node, store, certificates, live, sweep, heartbeat, options, clock);

    /// <summary>The API key that the first start made; null at every later start.</summary>
    public string? FirstKey { get; private init; }

    /// <summary>The one-time code for the page to try it on that the first start made; null at every later start.</summary>
    public string? FirstTryCode { get; private init; }

    /// <summary>The addresses that are listened on, such as <c>http://127.0.0.1:8080</c>.</summary>
    public IReadOnlyList<string> Addresses => AddressesOf(app);

    /// <summary>Everything that is mapped.</summary>
    public IEnumerable<Endpoint> Endpoints => ((IEndpointRouteBuilder)app).DataSources.SelectMany(source => source.Endpoints);

    /// <summary>Opens storage, makes what the first start needs, and serves.</summary>
    /// <param name="wantedKey">The API key that the first start is to create, instead of a random one.</param>
    /// <exception cref="StorageException">Storage cannot be used.</exception>
    /// <exception cref="RefusedException">Something else keeps it from starting; the message says how to mend it.</exception>
    public static async Task<PosternHost> StartAsync(PosternOptions options, TimeProvider clock, string? wantedKey = null)
    {
        var node = NodeFile.Claim(options.Data);
        Store? store = null;
        WebApplication? app = null;
        CertificateSource? certificates = null;
        try
        {
            store = Store.Open(options, clock);
            var firstKey = await store.FirstStartAsync(options, wantedKey);
            var firstTryCode = firstKey is null ? null : await store.TryCodes.CreateAsync();
            await store.EndLostSessionsAsync(node.Name);
            var directory = store.Feed.Load(store.Keys.ReadRing()!);

            var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
            LogSettings.Apply(builder.Logging, options);
            builder.Services.AddRoutingCore();
            certificates = options.Https is null ? null : CertificateSource.Open(options, clock, LoggerFactory.Create(logging => LogSettings.Apply(logging, options)).CreateLogger<CertificateSource>());
            KestrelSettings.Apply(builder, options, certificates);
            app = builder.Build();
            if (store.Database is { IsPostgres: true, KeepsSight: false })
            {
                Log.SightNotKept(app.Services.GetRequiredService<ILogger<PosternHost>>());
            }

            var ledger = new SqlLedger(store.Writer, store.Credentials, store.Refusals, node.Name, options.Limits.PublicSessionsPerAddress);
            var live = new LiveSessions(directory);
            store.Feed.Changed += (kind, id) => EndBy(live, directory, kind, id);
            Map(app, options, store, directory, ledger, live, clock);
            store.Feed.Start();
            var heartbeat = new Heartbeat(store.Writer, node.Name, clock);
            await heartbeat.BeatAsync(); // before the first session: others may have found this node dead
            await app.StartAsync();
            node.Tell(AddressesOf(app));
            heartbeat.Start();
            var sweep = new DailySweep(store, app.Services.GetRequiredService<ILogger<DailySweep>>(), clock);
            return new PosternHost(app, node, store, certificates, live, sweep, heartbeat, options, clock) { FirstKey = firstKey, FirstTryCode = firstTryCode };
        }
        catch
        {
            if (app is not null)
            {
                await app.DisposeAsync();
            }
            certificates?.Dispose();
            if (store is not null)
            {
                await store.DisposeAsync();
            }
            node.Dispose();
            throw;
        }
    }

    /// <summary>Accepts nothing new, and ends the live sessions in their dialect's way within the grace time.</summary>
    public Task CloseAsync() => live.CloseAsync(options.Shutdown.Grace, clock);

    /// <summary>Closes, writes every row, stops.</summary>
    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        using (var grace = new CancellationTokenSource(options.Shutdown.Grace))
        {
            await app.StopAsync(grace.Token);
        }
        await sweep.DisposeAsync();
        await heartbeat.DisposeAsync();
        await app.DisposeAsync();
        certificates?.Dispose();
        await store.DisposeAsync();
        node.Dispose();
    }

    private static IReadOnlyList<string> AddressesOf(WebApplication app) => [.. app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses];

    private static void Map(
        WebApplication app, PosternOptions options, Store store, Core.Directory directory, SqlLedger ledger, LiveSessions live, TimeProvider clock)
    {
        var mint = new CredentialMint(directory, ledger, options.Lifetimes, clock);
        var gate = new ConnectionGate(directory, ledger, clock) { LongestUserToken = options.UserTokens.MaxLifetime, Accepted = store.UserTokenUse.Note };
        var limiter = new RefusalLimiter(options.Limits.RefusalsPerAddressPerMinute, clock);
        var address = new ServerAddress(options);

        RejectedRequests.Watch(app);
        SocketThread.Use(app);
        AlgoliaPaths.Use(app);
        app.UseMiddleware<HttpGuard>(options);
        TrustedProxies.Use(app, options);
        app.UseRouting();
        app.UseMiddleware<PersonalAccessTokenGuard>(gate, clock);
        var media = new MediaRooms(options, app.Services.GetRequiredService<ILogger<MediaRooms>>(), clock);
        app.Lifetime.ApplicationStopped.Register(media.Dispose);
        var mints = new MintEndpoint(mint, directory, address, media, live, limiter, options, clock);
        foreach (var dialect in Dialects.Dialects.All)
        {
            mints.Map(app, dialect);
        }
        var timers = new SessionTimers(clock);
        var agents = new HostedAgents(options, store.Memory, app.Services.GetRequiredService<ILogger<HostedAgents>>(), clock);
        app.Lifetime.ApplicationStopped.Register(agents.Dispose);
        var connects = new ConnectEndpoint(gate, ledger, store.Conversations, live, timers, limiter, agents, options, app.Services.GetRequiredService<ILogger<ConnectEndpoint>>(), clock);
        foreach (var dialect in Dialects.Dialects.All.OfType<Dialects.SocketDialect>())
        {
            connects.Map(app, dialect);
        }
        var rooms = new HeldRooms(ledger, store.Rooms, store.Conversations, directory, live, media, timers, app.Services.GetRequiredService<ILogger<HeldRooms>>(), clock);
        var turns = new HeldTurns(ledger, live, timers, app.Services.GetRequiredService<ILogger<HeldTurns>>(), clock);
        var sessionsByHttp = new HttpSessionEndpoint(gate, rooms, turns, store.Conversations, store.Speakers, live, limiter, agents, options, clock);
        var completions = new CompletionEndpoint(gate, turns, store.Conversations, live, limiter, agents, clock);
        foreach (var dialect in Dialects.Dialects.All.OfType<Dialects.HttpDialect>())
        {
            sessionsByHttp.Map(app, dialect);
            completions.Map(app, dialect);
        }
        Dialects.Realtime.Calls.Map(app);
        var rest = new RestAccess(directory, live, limiter);
        new AgentsRest(rest, store.Agents, store.Cursors, store.Feed, options, clock).Map(app);
        new WidgetRest(rest, directory, store.Agents, clock).Map(app);
        new ConversationsRest(rest, store.Conversations, store.Cursors, directory, address, clock).Map(app);
        new ConversationFeedbackRest(store.Conversations, limiter).Map(app);
        var algolia = new AlgoliaAccess(request => live.IsClosing ? new Denial(DenialReason.ShuttingDown) : gate.Identify(request), (denial, address) => gate.Refuse(denial, address, clock.GetUtcNow()), limiter);
        new UserConversationsRest(algolia, store.Conversations, store.Votes, directory, clock).Map(app);
        new FeedbackRest(algolia, store.Votes, directory, clock).Map(app);
        new MemoryRest(algolia, store.Memory, directory, clock).Map(app);
        new UserDataRest(algolia, store, directory, clock).Map(app);
        new SecretKeysRest(algolia, store.UserTokenKeys, store.UserTokenUse, store.Feed, directory).Map(app);
        new StudioAgentsRest(algolia, store.Agents, store.Feed, directory, options, clock).Map(app);
        new AllowedDomainsRest(algolia, store.Domains, store.Feed, directory).Map(app);
        AlgoliaPaths.Map(app);
        var admin = new AdminAccess(directory, live, limiter);
        new UserCutOffsAdmin(admin, store.UserTokenKeys, store.Feed).Map(app);
        new AgentsAdmin(admin, store.Agents, store.Feed, options, clock).Map(app);
        new SessionsAdmin(admin, store.Database, store.Writer, store.Feed, clock).Map(app);
        var sessions = new TrySessions(directory, ledger, clock);
        new TryPage(mint, directory, store.TryCodes, sessions, address, live, limiter, options, clock).Map(app);
        OpenApi.Map(app);
        Health.Map(app, store, live, clock);
        app.UseEndpoints(static _ => { });
    }

    // A personal access token is judged when a session begins and never again: revoking it ends nothing that runs.
    private static void EndBy(LiveSessions live, Core.Directory directory, string kind, string id)
    {
        if (kind == "revocation")
        {
            live.End(session => session.Credential is { Kind: not CredentialKind.PersonalAccessToken } credential && credential.Id.Value == id, SessionEndReason.Revoked);
        }
        if (kind == RoomStore.HungUp)
        {
            live.End(session => session.Id == id && session.Terms.InRoom, SessionEndReason.ClientClosed);
        }
        if (kind == SessionsAdmin.EndAsked)
        {
            live.End(session => session.Id == id, SessionEndReason.Operator);
        }
        if (kind == "agent" && directory.Find(new AgentId(id)) is null)
        {
            live.End(session => session.Agent.Id.Value == id, SessionEndReason.Revoked);
        }
    }
}
