using System.Buffers;
using System.Net.WebSockets;
using Postern.Core;
using Postern.Core.Sessions;
using Postern.Server.Dialects;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Flow;

/// <summary>Opens conversations for all dialects: check the shape, read, admit, then relay or talk, and write how it ended.</summary>
internal sealed class ConnectEndpoint(
    ConnectionGate gate, ILedger ledger, ConversationStore conversations, LiveSessions live, SessionTimers timers, RefusalLimiter limiter,
    PosternOptions options, ILogger<ConnectEndpoint> log, TimeProvider clock)
{
    private const int MostDrained = 64 * 1024;
    private static readonly TimeSpan CloseWait = TimeSpan.FromSeconds(1);

    private readonly RelayLimits limits = new(options.Sessions.MaxMessageBytes, options.Sessions.MaxFramesPerSecond, options.Sessions.Idle, options.Sessions.SlowReader);

    /// <summary>Maps a dialect's conversation routes. GET and CONNECT: browsers come by HTTP/2 extended CONNECT over TLS.</summary>
    public void Map(IEndpointRouteBuilder routes, SocketDialect dialect)
    {
        foreach (var path in dialect.Conversations)
        {
            routes.Map(path, context => AnswerAsync(context, dialect));
        }
    }

    private async Task AnswerAsync(HttpContext context, SocketDialect dialect)
    {
        // No well-formed upgrade: its status, before anything is verified, and above all before anything is redeemed.
        if (WebSocketHandshake.Check(context) is { } problem)
        {
            problem.ApplyTo(context.Response);
            await Problem.WriteAsync(context, problem.Status, problem.Sentence);
            return;
        }
        var offered = WebSocketHandshake.OfferedProtocols(context)!; // well-formed: Check has read it too
        var decision = await AdmitAsync(dialect, WireRequest.From(context, offered));
        if (decision.IsDenied(out var denial, out var session))
        {
            await TurnAwayAsync(context, dialect, offered, denial);
            return;
        }
        await ServeAsync(context, dialect.For(session.Agent) as SocketDialect ?? dialect, offered, session);
    }

    private async Task<Decision<Session>> AdmitAsync(SocketDialect dialect, WireRequest request)
    {
        try
        {
            if (live.IsClosing)
            {
                return gate.Refuse(new Denial(DenialReason.ShuttingDown), request.Address, clock.GetUtcNow());
            }
            return dialect.ReadConnect(request).IsDenied(out var denial, out var connect)
                ? gate.Refuse(denial, request.Address, clock.GetUtcNow())
                : await gate.AdmitAsync(connect);
        }
        catch (StorageException)
        {
            return new Denial(DenialReason.Unavailable); // an outage denies
        }
    }

    // A browser sees nothing of a refused upgrade: accept, say why, close. A flood gets its status before any upgrade.
    private async Task TurnAwayAsync(HttpContext context, SocketDialect dialect, IReadOnlyList<string> offered, Denial denial)
    {
        if (limiter.Exceeds(context.Connection.RemoteIpAddress))
        {
            await HttpAnswers.WriteAsync(context, dialect.Refuse(new Denial(DenialReason.TooManyRefusals, $"{limiter.RetryAfter}")));
            return;
        }
        await using var stream = await WebSocketHandshake.AcceptAsync(context, dialect.Subprotocol(offered));
        var (said, close, _) = dialect.Turn(denial);
        await stream.WriteAsync(said is null ? Frames.Close(close) : [.. Frames.Text(said), .. Frames.Close(close)], context.RequestAborted);
        await DrainAsync(stream);
    }

    // The client answers with its own close; a connection that is cut before that may lose what was said.
    private static async Task DrainAsync(Stream stream)
    {
        using var wait = new CancellationTokenSource(CloseWait);
        var buffer = ArrayPool<byte>.Shared.Rent(512);
        try
        {
            for (var left = MostDrained; left > 0;)
            {
                var count = await stream.ReadAsync(buffer.AsMemory(0, 512), wait.Token);
                left = count == 0 || Frames.IsClose(buffer.AsSpan(0, count)) ? 0 : left - count;
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // Gone, or it has had its time.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task ServeAsync(HttpContext context, SocketDialect dialect, IReadOnlyList<string> offered, Session session)
    {
        var end = new SessionEnd(SessionEndReason.InternalError, 1006);
        var leash = new Leash();
        live.Add(session, leash);
        try
        {
            var activity = new SessionActivity(clock);
            using var longest = timers.Schedule(leash, session.Terms.EndBy - session.StartedAt);
            await using var client = await WebSocketHandshake.AcceptAsync(context, dialect.Subprotocol(offered));
            end = session.Agent.Upstream switch
            {
                Core.Agents.Upstream.Relay relay => await RelayAsync(dialect, session, relay, client, leash, activity, context.Abort, context.RequestAborted),
                _ => await TalkAsync(dialect, session, client, leash, activity),
            };
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or WebSocketException)
        {
            end = new SessionEnd(SessionEndReason.ClientClosed, 1006, "the connection was lost");
        }
        finally
        {
            await SessionEnding.WriteAsync(ledger, session, end, context.Connection.RemoteIpAddress?.ToString(), clock.GetUtcNow(), log);
            live.Remove(session.Id);
        }
    }

    private async Task<SessionEnd> TalkAsync(SocketDialect dialect, Session session, Stream client, Leash leash, SessionActivity activity)
    {
        using var socket = WebSocket.CreateFromStream(client, new WebSocketCreationOptions
        {
            IsServer = true, KeepAliveInterval = TimeSpan.FromSeconds(15), KeepAliveTimeout = TimeSpan.FromSeconds(15),
        });
        using var silence = timers.Observe(leash, activity, limits);
        await using var recorder = new ConversationRecorder(conversations, session, clock);
        return await dialect.TalkAsync(new TalkContext(dialect, socket, session, leash, recorder, activity, options, clock) { Log = log });
    }

    private async Task<SessionEnd> RelayAsync(
        SocketDialect dialect, Session session, Core.Agents.Upstream.Relay relay, Stream client, Leash leash, SessionActivity activity, Action abort, CancellationToken cancellation)
    {
        var opening = new RelayOpening(client, message => dialect.ReadOpening(session, message).Denial is { } denial ? dialect.Turn(denial).Close : null, limits.MaxMessageBytes, leash);
        if (await opening.ReadAsync(options.Sessions.FirstMessageWait) is { } refused)
        {
            await client.WriteAsync(Frames.Close(refused.Close), cancellation);
            await DrainAsync(client);
            return refused.End;
        }
        try
        {
            var target = new UpstreamTarget(relay.Url, relay.Headers, dialect.UpstreamProtocol, options.Agents.AllowPrivateUpstreams, options.Sessions.UpstreamConnect);
            var upstream = await Upstream.ConnectAsync(target, leash.Token);
            return await new RelaySession(timers, clock, abort).RunAsync(
                opening.Client, opening.Frames, upstream, leash, limits, end => Farewell(dialect, end), activity, cancellation);
        }
        catch (UpstreamException e)
        {
            return await SayAsync(dialect, client, SessionEndReason.UpstreamUnreachable, e.Message, cancellation);
        }
        catch (OperationCanceledException) when (leash.TryGet(out var reason, out var detail))
        {
            return await SayAsync(dialect, client, reason, detail, cancellation);
        }
    }

    // Where the WebSocket protocol itself was broken its own code says more than a vendor's.
    private static Farewell Farewell(SocketDialect dialect, SessionEnd end)
    {
        var farewell = dialect.End(end.Reason, end.Detail);
        return end.Reason is SessionEndReason.ProtocolError or SessionEndReason.MessageTooBig
            ? farewell with { Close = farewell.Close with { Code = end.CloseCode } }
            : farewell;
    }

    private static async Task<SessionEnd> SayAsync(SocketDialect dialect, Stream client, SessionEndReason reason, string detail, CancellationToken cancellation)
    {
        var (said, close, pause) = dialect.End(reason, detail);
        if (said is not null)
        {
            await client.WriteAsync(Frames.Text(said), cancellation);
            await Task.Delay(pause, cancellation);
        }
        await client.WriteAsync(Frames.Close(close), cancellation);
        await DrainAsync(client);
        return new SessionEnd(reason, close.Code, detail);
    }
}
