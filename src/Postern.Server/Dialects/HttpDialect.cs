using Postern.Core;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Flow;

namespace Postern.Server.Dialects;

/// <summary>A dialect in which sessions are opened, held and ended by plain HTTP requests.</summary>
internal abstract class HttpDialect : Dialect
{
    /// <summary>Routes that open a session in a room of the agent's media server; it lives on after the answer.</summary>
    public abstract IReadOnlyList<RoomRoute> Rooms { get; }

    /// <summary>Routes that answer one text of the end user: a session each.</summary>
    public abstract IReadOnlyList<TurnRoute> Turns { get; }

    /// <summary>The same, piece by piece.</summary>
    public abstract IReadOnlyList<StreamRoute> Streams { get; }

    /// <summary>Routes that end a session which a room route opened.</summary>
    public abstract IReadOnlyList<HangUpRoute> HangUps { get; }

    /// <summary>Routes that give an end user a further, stable id.</summary>
    public abstract IReadOnlyList<SpeakerRoute> Speakers { get; }

    /// <summary>The request headers that carry an API key or a personal access token.</summary>
    public abstract IReadOnlyList<string> CredentialHeaders { get; }

    /// <summary>The answer to a personal access token on any route but these.</summary>
    public abstract HttpAnswer Misplaced { get; }
}

/// <summary>A route by POST that takes an API key or a personal access token.</summary>
internal abstract record HttpRoute(string Path, Func<Denial, HttpAnswer> Refuse)
{
    /// <summary>Pages may call it from any origin and read the answer.</summary>
    public bool OpenToPages { get; init; } = true;
}

/// <summary>Opens a session in a room.</summary>
internal sealed record RoomRoute(string Path, Func<WireRequest, Decision<SpokenRequest>> Read, Func<Opened, HttpAnswer> Write, Func<Denial, HttpAnswer> Refuse)
    : HttpRoute(Path, Refuse);

/// <summary>Answers one text when the whole of the answer is there.</summary>
internal sealed record TurnRoute(
    string Path, Func<WireRequest, Decision<SpokenRequest>> Read, Func<Opened, IReadOnlyList<AgentAct>, HttpAnswer> Write, Func<Denial, HttpAnswer> Refuse)
    : HttpRoute(Path, Refuse);

/// <summary>Answers one text; each piece of the answer is sent when it is there.</summary>
internal sealed record StreamRoute(
    string Path, string ContentType, Func<WireRequest, Decision<SpokenRequest>> Read, Func<Opened, IAsyncEnumerable<AgentAct>, IAsyncEnumerable<byte[]>> Write,
    Func<Denial, HttpAnswer> Refuse) : HttpRoute(Path, Refuse);

/// <summary>Ends a session.</summary>
internal sealed record HangUpRoute(string Path, Func<WireRequest, Decision<HangUp>> Read, Func<HangUp, HttpAnswer> Write, Func<Denial, HttpAnswer> Refuse)
    : HttpRoute(Path, Refuse);

/// <summary>Gives the end user that the request names a further id.</summary>
internal sealed record SpeakerRoute(string Path, Func<WireRequest, Decision<ConnectRequest>> Read, Func<string, HttpAnswer> Write, Func<Denial, HttpAnswer> Refuse)
    : HttpRoute(Path, Refuse);

/// <summary>A request to begin a session over plain HTTP.</summary>
/// <param name="Connect">Who, and with which agent.</param>
internal sealed record SpokenRequest(ConnectRequest Connect)
{
    /// <summary>What the end user says.</summary>
    public string? Text { get; init; }
    /// <summary>The id that a speaker route gave the end user.</summary>
    public string? Speaker { get; init; }
    /// <summary>An earlier conversation that is to be taken up again.</summary>
    public string? Conversation { get; init; }
    /// <summary>A member that no client may set, if it was set.</summary>
    public string? Forbidden { get; init; }
    /// <summary>The end user's name for people.</summary>
    public string? Label { get; init; }
    /// <summary>What the client tells of the end user, as JSON.</summary>
    public string? About { get; init; }
}

/// <summary>A session that was opened, and what an answer tells of it.</summary>
/// <param name="Conversation">The conversation's id: the session's own, or that of the one it takes up again.</param>
/// <param name="User">The end user: whom the credential names, else whom the request claims to be.</param>
internal sealed record Opened(Session Session, SpokenRequest Request, string Conversation, string? User);

/// <summary>A request to end a session; with a credential only by whose it is.</summary>
internal sealed record HangUp(string? Session, string? Presented, string? Address);
