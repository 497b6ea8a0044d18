using System.Collections.Concurrent;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Dialects;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Flow;

/// <summary>Opens sessions by plain HTTP requests for all dialects: read, admit, then a room that is held or a text that is answered.</summary>
internal sealed class HttpSessionEndpoint(
    ConnectionGate gate, HeldRooms rooms, HeldTurns turns, ConversationStore conversations, SpeakerStore speakers, LiveSessions live,
    RefusalLimiter limiter, HostedAgents agents, PosternOptions options, TimeProvider clock)
{
    private readonly ConcurrentDictionary<string, Opened> answering = new(StringComparer.Ordinal);

    /// <summary>Maps a dialect's routes.</summary>
    public void Map(IEndpointRouteBuilder routes, HttpDialect dialect)
    {
        foreach (var route in dialect.Rooms)
        {
            Map(routes, dialect, route, context => RoomAsync(context, route));
        }
        foreach (var route in dialect.Turns)
        {
            Map(routes, dialect, route, context => TurnAsync(context, route));
        }
        foreach (var route in dialect.HangUps)
        {
            Map(routes, dialect, route, context => HangUpAsync(context, route));
        }
        foreach (var route in dialect.Speakers)
        {
            Map(routes, dialect, route, context => SpeakerAsync(context, route));
        }
    }

    private void Map(IEndpointRouteBuilder routes, HttpDialect dialect, HttpRoute route, RequestDelegate handler)
    {
        routes.MapPost(route.Path, context => GuardAsync(context, route, handler)).WithMetadata(TakesPersonalAccessToken.Mark);
        if (route.OpenToPages)
        {
            routes.MapMethods(route.Path, [HttpMethods.Options], context => PreflightAsync(context, dialect)).WithMetadata(TakesPersonalAccessToken.Mark);
        }
    }

    private static Task PreflightAsync(HttpContext context, HttpDialect dialect)
    {
        var headers = context.Response.Headers;
        headers.AccessControlAllowOrigin = "*";
        headers.AccessControlAllowMethods = "POST";
        headers.AccessControlAllowHeaders = "content-type," + string.Join(',', dialect.CredentialHeaders).ToLowerInvariant();
        headers.AccessControlMaxAge = "600";
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    private async Task GuardAsync(HttpContext context, HttpRoute route, RequestDelegate handler)
    {
        if (route.OpenToPages)
        {
            context.Response.Headers.AccessControlAllowOrigin = "*";
        }
        try
        {
            await handler(context);
        }
        catch (Exception e) when (e is StorageException or System.Data.Common.DbException && !context.Response.HasStarted)
        {
            await HttpAnswers.WriteAsync(context, route.Refuse(new Denial(DenialReason.Unavailable))); // an outage denies
        }
    }

    private async Task RoomAsync(HttpContext context, RoomRoute route)
    {
        if ((await OpenAsync(context, route.Read, hosted: false)).IsDenied(out var denial, out var opened))
        {
            await RefuseAsync(context, route, denial);
            return;
        }
        await (rooms.Hold(opened, Address(context)) ? HttpAnswers.WriteAsync(context, route.Write(opened)) : RefuseAsync(context, route, new Denial(DenialReason.Revoked)));
    }

    private async Task TurnAsync(HttpContext context, TurnRoute route)
    {
        if ((await OpenAsync(context, route.Read, hosted: true)).IsDenied(out var denial, out var opened))
        {
            await RefuseAsync(context, route, denial);
            return;
        }
        answering[opened.Session.Id] = opened;
        try
        {
            await using var recorder = new ConversationRecorder(conversations, opened.Session, clock, opened.Request.Conversation);
            recorder.Begin(Opening.None with { ClaimedSubject = opened.Request.Connect.Subject }, textOnly: true);
            await turns.HoldAsync(context, opened.Session, leash => AnswerAsync(context, route, opened, recorder, leash), recorder.EndAsync);
        }
        finally
        {
            answering.TryRemove(opened.Session.Id, out _);
        }
    }

    private async Task<SessionEnd?> AnswerAsync(HttpContext context, TurnRoute route, Opened opened, ConversationRecorder recorder, Leash leash)
    {
        IReadOnlyList<Said> conversation = [];
        if (opened.Request.Text is { } text)
        {
            var earlier = opened.Request.Conversation is { } id
                && conversations.Read(SightOf(opened.Session.Agent, opened.Session.Terms.Subject, opened.Request.Connect), id) is { } row ? conversations.ReadTurns(row) : [];
            conversation = [.. earlier.Select(turn => new Said(turn.Role == TurnRole.User ? SaidBy.User : SaidBy.Agent, turn.Message)), new Said(SaidBy.User, text)];
            await recorder.AddAsync(TurnRole.User, text);
        }
        var answer = new HeldAnswer(agents.For(opened.Session, ConversationPlan.OfTexts(opened.Session)), leash, async acts =>
        {
            if (string.Concat(acts.OfType<AgentAct.Piece>().Select(piece => piece.Text)) is { Length: > 0 } said)
            {
                await recorder.AddAsync(TurnRole.Agent, said);
            }
        });
        return await turns.AnswerAsync(context, route.Answer(opened), leash, answer, conversation);
    }

    private async Task HangUpAsync(HttpContext context, HangUpRoute route)
    {
        var read = route.Read(WireRequest.From(context));
        if (read.IsDenied(out var denial, out var asked))
        {
            await RefuseAsync(context, route, gate.Refuse(denial, Address(context), clock.GetUtcNow()));
            return;
        }
        if (!await rooms.EndAsync(asked))
        {
            await RefuseAsync(context, route, gate.Refuse(new Denial(DenialReason.ConversationUnknown), asked.Address, clock.GetUtcNow()));
            return;
        }
        await HttpAnswers.WriteAsync(context, route.Write(asked));
    }

    private async Task SpeakerAsync(HttpContext context, SpeakerRoute route)
    {
        var read = route.Read(WireRequest.From(context, body: await RequestBody.ReadAsync(context)));
        var decision = read.IsDenied(out var denial, out var asked) ? gate.Refuse(denial, Address(context), clock.GetUtcNow()) : await gate.RecogniseAsync(asked);
        if (decision.IsDenied(out denial, out var bearer))
        {
            await RefuseAsync(context, route, denial);
            return;
        }
        await HttpAnswers.WriteAsync(context, route.Write(await speakers.FindOrCreateAsync(bearer.Project, asked!.Subject!)));
    }

    private async Task<Decision<Opened>> OpenAsync(HttpContext context, Func<WireRequest, Decision<SpokenRequest>> reader, bool hosted)
    {
        var (address, now) = (Address(context), clock.GetUtcNow());
        if (live.IsClosing)
        {
            return gate.Refuse(new Denial(DenialReason.ShuttingDown), address, now);
        }
        if (live.Count >= options.Limits.MaxConnections)
        {
            return gate.Refuse(new Denial(DenialReason.Unavailable, "MaxConnections"), address, now); // rooms hold no connection: nothing else bounds them
        }
        if (await ReadAsync(context) is not { } wire)
        {
            return gate.Refuse(new Denial(DenialReason.RequestInvalid, "The form cannot be read."), address, now);
        }
        if (reader(wire).IsDenied(out var denial, out var asked))
        {
            return gate.Refuse(denial, address, now);
        }
        if (hosted || asked is not { Speaker: null, Conversation: null, Forbidden: null })
        {
            if ((await CheckAsync(asked, hosted)).IsDenied(out denial, out asked))
            {
                return denial;
            }
        }
        return (await gate.AdmitAsync(asked.Connect)).IsDenied(out denial, out var session)
            ? denial
            : new Opened(session, asked, asked.Conversation ?? session.Id, session.Terms.Subject ?? asked.Connect.Subject);
    }

    // What a stranger must not learn and what must not be opened at all: judged between the two, for whoever holds a credential.
    private async Task<Decision<SpokenRequest>> CheckAsync(SpokenRequest asked, bool hosted)
    {
        if ((await gate.RecogniseAsync(asked.Connect)).IsDenied(out var denial, out var bearer))
        {
            return denial;
        }
        if (asked.Forbidden is { } member)
        {
            return Refuse(new Denial(DenialReason.OverrideRefused, member));
        }
        if (asked.Speaker is { } speaker)
        {
            var name = speakers.NameOf(bearer.Project, speaker);
            if (name is null || name != (bearer.Credential.Grant.Subject ?? asked.Connect.Subject ?? name))
            {
                return Refuse(new Denial(DenialReason.SubjectMismatch, "speaker_id"));
            }
            asked = asked with { Connect = asked.Connect with { Subject = name } };
        }
        if (asked.Conversation is { } conversation && bearer.Agent is { } agent
            && !MayTakeUp(conversation, agent, bearer.Credential.Grant.Subject, asked.Connect))
        {
            return Refuse(new Denial(DenialReason.ConversationUnknown));
        }
        return hosted && bearer.Agent is { Upstream: Core.Agents.Upstream.Relay }
            ? Refuse(new Denial(DenialReason.RequestInvalid, "This character is relayed to another server, which has no text turns over HTTP: only characters hosted here have."))
            : asked;

        Denial Refuse(Denial reason) => gate.Refuse(reason, asked.Connect.Address, clock.GetUtcNow(), bearer.Project, bearer.Agent?.Id, bearer.Credential.Id);
    }

    // What was said goes to the agent again. So a conversation whose user a credential has named is taken up by that user alone, or by the
    // application itself; one whose user was merely claimed, by the same claim, and never by a user whom a credential names. What is being
    // said at this moment may not be in the database yet.
    private bool MayTakeUp(string conversation, Agent agent, string? named, ConnectRequest asked)
    {
        return (answering.GetValueOrDefault(conversation) ?? rooms.Find(conversation)) is { } now
            ? now.Session.Agent.Id == agent.Id && IsTheirs(now.Session.Terms.Subject, now.User)
            : conversations.Read(SightOf(agent, named, asked), conversation) is { } row && row.Owner.Project == agent.Project && row.Owner.Agent == agent.Id && IsTheirs(row.Subject, row.User);

        bool IsTheirs(string? owner, string? user) =>
            owner is null ? named is null && user == asked.Subject : owner == (named ?? (asked.Key is null ? null : asked.Subject));
    }

    // With a key the application asks, for whichever user; else the user whom the credential names, or nobody in particular.
    private static Sight SightOf(Agent agent, string? named, ConnectRequest asked) => asked.Key is null ? Sight.Of(agent.Project, named ?? "") : Sight.OfProject(agent.Project);

    private Task RefuseAsync(HttpContext context, HttpRoute route, Denial denial) => HttpAnswers.WriteAsync(context, route.Refuse(
        limiter.Exceeds(context.Connection.RemoteIpAddress, denial) ? new Denial(DenialReason.TooManyRefusals, $"{limiter.RetryAfter}") : denial));

    private static async Task<IFormCollection> FormAsync(HttpContext context)
    {
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        await SocketThread.LeaveAsync();
        return form;
    }

    private static async Task<WireRequest?> ReadAsync(HttpContext context)
    {
        if (!context.Request.HasFormContentType)
        {
            return WireRequest.From(context, body: await RequestBody.ReadAsync(context));
        }
        try
        {
            return WireRequest.From(context) with { Form = await FormAsync(context) };
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }

    private static string? Address(HttpContext context) => context.Connection.RemoteIpAddress?.ToString();
}
