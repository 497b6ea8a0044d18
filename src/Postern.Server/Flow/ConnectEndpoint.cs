using System.Buffers;
using System.Net.WebSockets;
using Postern.Core;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Dialects;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Flow;

/// <summary>Opens conversations for all dialects: check the shape, read, admit, then relay or talk, and write how it ended.</summary>
internal sealed class ConnectEndpoint(
    ConnectionGate gate, ILedger ledger, ConversationStore conversations, LiveSessions live, SessionTimers timers, RefusalLimiter limiter,
    HostedAgents agents, PosternOptions options, ILogger<ConnectEndpoint> log, TimeProvider clock)
{
    private const int MostDrained = 64 * 1024;
    private static readonly TimeSpan CloseWait = TimeSpan.FromSeconds(1);

    private readonly RelayLimits limits = new(options.Sessions.MaxMessageBytes, options.Sessions.MaxFramesPerSecond, options.Sessions.Idle, options.Sessions.SlowReader);

    /// <summary>Maps a dialect's conversation routes. GET and CONNECT: browsers come by HTTP/2 extended CONNECT over TLS.</summary>
    public void Map(IEndpointRouteBuilder routes, SocketDialect dialect)
    {
        foreach (var path in dialect.Conversations)
        {
            routes.Map(path, ExactPath.Only(path, context => AnswerAsync(context, dialect)));
        }
    }

    private async Task AnswerAsync(HttpContext context, SocketDialect dialect)
    {
        // A method of its own, as OpenAsync: what it holds, the credential's text above all, would live as long as the session otherwise.
        if (await AdmitAsync(context, dialect) is not (var spoken, var subprotocol, var session))
        {
            return;
        }
        var end = new SessionEnd(SessionEndReason.InternalError, 1006);
        var leash = new Leash();
        live.Add(session, leash);
        try
        {
            var activity = new SessionActivity(clock);
            using var longest = timers.Schedule(leash, session.Terms.EndBy - session.StartedAt);
            await using var client = await WebSocketHandshake.AcceptAsync(context, subprotocol);
            end = session.Agent.Upstream switch
            {
                Core.Agents.Upstream.Relay relay => await await RelayAsync(spoken, session, relay, client, leash, activity, context),
                _ => await TalkAsync(spoken, session, client, leash, activity),
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

    private async ValueTask<(SocketDialect Spoken, string? Subprotocol, Session Session)?> AdmitAsync(HttpContext context, SocketDialect dialect)
    {
        // No well-formed upgrade: its status, before anything is verified, and above all before anything is redeemed.
        if (WebSocketHandshake.Check(context) is { } problem)
        {
            problem.ApplyTo(context.Response);
            await Problem.WriteAsync(context, problem.Status, problem.Sentence);
            return null;
        }
        if (WebSocketHandshake.OfferedProtocols(context) is not { } offered)
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, "Sec-WebSocket-Protocol must list at most 16 names, each once.");
            return null;
        }
        var request = WireRequest.From(context, offered, options: options);
        var decision = await AdmitAsync(dialect, request);
        if (decision.IsDenied(out var denial, out var session))
        {
            await TurnAwayAsync(context, dialect, offered, denial);
            return null;
        }
        var spoken = dialect.Spoken(session.Agent, request);
        return (spoken, spoken.Subprotocol(offered), session);
    }

    private async Task<Decision<Session>> AdmitAsync(SocketDialect dialect, WireRequest request)
    {
        try
        {
            if (live.IsClosing)
            {
                return gate.Refuse(new Denial(DenialReason.ShuttingDown), request.Address, clock.GetUtcNow());
            }
            if (live.Count >= options.Limits.MaxConnections)
            {
                return gate.Refuse(new Denial(DenialReason.Unavailable, "MaxConnections"), request.Address, clock.GetUtcNow()); // before a use is spent on it
            }
            return dialect.ReadConnect(request).IsDenied(out var denial, out var connect)
                ? gate.Refuse(denial, request.Address, clock.GetUtcNow())
                : await gate.AdmitAsync(connect);
        }
        catch (Exception e) when (e is StorageException or System.Data.Common.DbException)
        {
            return new Denial(DenialReason.Unavailable); // an outage denies
        }
    }

    // A browser sees nothing of a refused upgrade: accept, say why, close. A flood gets its status before any upgrade.
    private async Task TurnAwayAsync(HttpContext context, SocketDialect dialect, IReadOnlyList<string> offered, Denial denial)
    {
        if (limiter.Exceeds(context.Connection.RemoteIpAddress, denial))
        {
            await HttpAnswers.WriteAsync(context, dialect.Refuse(new Denial(DenialReason.TooManyRefusals, $"{limiter.RetryAfter}")));
            return;
        }
        await using var stream = await WebSocketHandshake.AcceptAsync(context, dialect.Subprotocol(offered));
        await Task.Delay(dialect.BeforeRefusal, context.RequestAborted);
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

    private async Task<SessionEnd> TalkAsync(SocketDialect dialect, Session session, Stream client, Leash leash, SessionActivity activity)
    {
        await SocketThread.LeaveAsync();
        using var socket = WebSocket.CreateFromStream(new ScannedStream(client, leash, limits, clock), new WebSocketCreationOptions
        {
            IsServer = true, KeepAliveInterval = TimeSpan.FromSeconds(15), KeepAliveTimeout = TimeSpan.FromSeconds(15),
        });
        using var silence = timers.Observe(leash, activity, limits);
        await using var recorder = new ConversationRecorder(conversations, session, clock);
        return await dialect.TalkAsync(new TalkContext(dialect, socket, session, leash, recorder, activity, agents, options, clock) { Log = log });
    }

    // Completes when the relay runs; what it returns, when that has ended. The opening's state does not live as long as the session.
    private async Task<Task<SessionEnd>> RelayAsync(
        SocketDialect dialect, Session session, Core.Agents.Upstream.Relay relay, Stream client, Leash leash, SessionActivity activity, HttpContext context)
    {
        var (stream, frames, ended) = await OpenAsync(dialect, session, client, leash);
        if (ended is not null)
        {
            return Task.FromResult(ended);
        }
        try
        {
            var upstream = await DialAsync(dialect, relay, leash);
            var rule = dialect.Rule(session, clock.GetUtcNow());
            await GreetAsync(upstream, rule?.Greeting, leash.Token);
            if (stream == client)
            {
                leash.DropToken(); // nothing of the opening waits on it any more
            }
            return new RelaySession(timers, clock, context.Abort).RunAsync(stream, frames, upstream, leash, limits, end => Farewell(dialect, end), activity, rule);
        }
        catch (UpstreamException e)
        {
            return SayAsync(dialect, client, SessionEndReason.UpstreamUnreachable, e.Message, context.RequestAborted);
        }
        catch (OperationCanceledException) when (leash.TryGet(out var reason, out var detail))
        {
            return SayAsync(dialect, client, reason, detail, context.RequestAborted);
        }
    }

    private async Task<(Stream Client, ReadOnlyMemory<byte> Frames, SessionEnd? Ended)> OpenAsync(SocketDialect dialect, Session session, Stream client, Leash leash)
    {
        if (!dialect.ClientSpeaksFirst)
        {
            return (client, default, null);
        }
        var opening = new RelayOpening(client, dialect.Skips, message => Judge(dialect, session, message), limits.MaxMessageBytes, leash);
        if (await opening.ReadAsync(options.Sessions.FirstMessageWait) is not { } refused)
        {
            return (opening.Client, opening.Frames, null);
        }
        await client.WriteAsync(Frames.Close(refused.Close));
        await DrainAsync(client);
        return (client, default, refused.End);
    }

    private Task<UpstreamConnection> DialAsync(SocketDialect dialect, Core.Agents.Upstream.Relay relay, Leash leash) => Upstream.ConnectAsync(
        new UpstreamTarget(relay.Url, relay.Headers, dialect.UpstreamProtocol, options.Agents.AllowPrivateUpstreams, options.Sessions.UpstreamConnect), leash.Token);

    private static (CloseFrame? Refused, Opening Opening) Judge(SocketDialect dialect, Session session, ReadOnlyMemory<byte>? message) =>
        dialect.ReadOpening(session, message).IsDenied(out var denial, out var opening) ? (dialect.Turn(denial).Close, Opening.None) : (null, opening);

    private static async Task GreetAsync(UpstreamConnection upstream, byte[]? greeting, CancellationToken ct)
    {
        try
        {
            await (greeting is null ? ValueTask.CompletedTask : upstream.Stream.WriteAsync(Frames.MaskedText(greeting), ct));
        }
        catch (Exception e)
        {
            upstream.Dispose();
            throw e is IOException ? new UpstreamException(UpstreamFailure.Unreachable, "The upstream closed the connection during the opening.", e) : e;
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
