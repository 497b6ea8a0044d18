using System.Net.WebSockets;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Sessions;
using Postern.Server.Dialects;
using Postern.Server.Storage;

namespace Postern.Server.Flow;

/// <summary>Opens conversations for all dialects: check the shape, read, admit, then relay or talk, and write how it ended.</summary>
internal sealed class ConnectEndpoint(
    ConnectionGate gate, ILedger ledger, ConversationStore conversations, LiveSessions live, SessionTimers timers, RefusalLimiter limiter,
    PosternOptions options, ILogger<ConnectEndpoint> log, TimeProvider clock)
{
    private static readonly TimeSpan CloseWait = TimeSpan.FromSeconds(1);

    /// <summary>Maps a dialect's conversation routes. GET and CONNECT: browsers come by HTTP/2 extended CONNECT over TLS.</summary>
    public void Map(IEndpointRouteBuilder routes, Dialect dialect)
    {
        foreach (var path in dialect.Conversations)
        {
            routes.Map(path, context => AnswerAsync(context, dialect));
        }
    }

    private async Task AnswerAsync(HttpContext context, Dialect dialect)
    {
        // No well-formed upgrade: its status, before anything is verified, and above all before anything is redeemed.
        if (WebSocketHandshake.Check(context) is { } problem)
        {
            await problem.WriteAsync(context);
            return;
        }
        var offered = WebSocketHandshake.OfferedProtocols(context)!;
        var decision = await AdmitAsync(dialect, WireRequest.From(context, offered));
        if (decision.IsDenied(out var denial, out var session))
        {
            await TurnAwayAsync(context, dialect, offered, denial);
            return;
        }
        await ServeAsync(context, Dialects.Dialects.Named(session.Agent.Dialect) ?? dialect, offered, session);
    }

    private async Task<Decision<Session>> AdmitAsync(Dialect dialect, WireRequest request)
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
    private async Task TurnAwayAsync(HttpContext context, Dialect dialect, IReadOnlyList<string> offered, Denial denial)
    {
        if (limiter.Exceeds(context.Connection.RemoteIpAddress))
        {
            await HttpAnswers.WriteAsync(context, dialect.Refuse(new Denial(DenialReason.TooManyRefusals, $"{limiter.RetryAfter}")));
            return;
        }
        await using var stream = await WebSocketHandshake.AcceptAsync(context, dialect.Subprotocol(offered));
        await Frames.SayAndCloseAsync(stream, dialect.Turn(denial), CloseWait, context.RequestAborted);
    }

    private async Task ServeAsync(HttpContext context, Dialect dialect, IReadOnlyList<string> offered, Session session)
    {
        var end = new SessionEnd(SessionEndReason.InternalError, 1006);
        var leash = new Leash();
        live.Add(session, leash);
        try
        {
            var activity = new SessionActivity();
            using var timer = timers.Schedule(leash, activity, session.Terms.EndBy, options.Sessions.Idle);
            await using var client = await WebSocketHandshake.AcceptAsync(context, dialect.Subprotocol(offered));
            end = session.Agent.Upstream switch
            {
                Upstream.Relay relay => await RelayAsync(dialect, session, relay, client, leash, activity, context.RequestAborted),
                _ => await TalkAsync(dialect, session, client, leash, activity),
            };
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or WebSocketException)
        {
            end = new SessionEnd(SessionEndReason.ClientClosed, 1006, "the connection was lost");
        }
        finally
        {
            await EndAsync(session, end, context);
            live.Remove(session.Id);
        }
    }

    private async Task<SessionEnd> TalkAsync(Dialect dialect, Session session, Stream client, Leash leash, SessionActivity activity)
    {
        using var socket = WebSocket.CreateFromStream(client, new WebSocketCreationOptions
        {
            IsServer = true, KeepAliveInterval = TimeSpan.FromSeconds(15), KeepAliveTimeout = TimeSpan.FromSeconds(15),
        });
        await using var recorder = new ConversationRecorder(conversations, session, clock);
        return await dialect.TalkAsync(new TalkContext(dialect, socket, session, leash, recorder, activity, options, clock));
    }

    private async Task<SessionEnd> RelayAsync(
        Dialect dialect, Session session, Upstream.Relay relay, Stream client, Leash leash, SessionActivity activity, CancellationToken cancellation)
    {
        var limits = new RelayLimits(options.Sessions.MaxMessageBytes, options.Sessions.MaxFramesPerSecond, options.Sessions.SlowReader);
        var target = new UpstreamTarget(relay.Url, relay.Headers, dialect.Subprotocol(dialect.UpstreamProtocols), options.Agents.AllowPrivateUpstreams, options.Sessions.UpstreamConnect);
        return await new RelaySession(client, leash, limits, activity, dialect.End, message => Check(dialect, session, message), clock).RunAsync(target, cancellation);
    }

    private static Denial? Check(Dialect dialect, Session session, ReadOnlyMemory<byte> message) =>
        dialect.ReadOpening(session, message).IsDenied(out var denial, out _) ? denial : null;

    private async Task EndAsync(Session session, SessionEnd end, HttpContext context)
    {
        try
        {
            await ledger.CloseAsync(session, end, new AuditEvent(clock.GetUtcNow(), AuditNames.SessionEnded)
            {
                Project = session.Agent.Project, Agent = session.Agent.Id, Credential = session.Credential?.Id.Value, Session = session.Id,
                Subject = session.Terms.Subject, Address = context.Connection.RemoteIpAddress?.ToString(), Reason = end.Reason.ToString(), Detail = end.Detail,
            });
        }
        catch (StorageException e)
        {
            Log.EndNotRecorded(log, session.Id, end.Reason.ToString(), e.Message);
        }
    }
}
