using Postern.Core;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects;

/// <summary>A dialect in which sessions are opened, held and ended by plain HTTP requests.</summary>
internal abstract class HttpDialect : Dialect
{
    /// <summary>Routes that open a session in a room of the agent's media server; it lives on after the answer.</summary>
    public virtual IReadOnlyList<RoomRoute> Rooms => [];

    /// <summary>Routes that answer one text of the end user: a session each.</summary>
    public virtual IReadOnlyList<TurnRoute> Turns => [];

    /// <summary>Routes that answer the last word of a conversation which the client holds: a session each.</summary>
    public virtual IReadOnlyList<CompletionRoute> Completions => [];

    /// <summary>Routes that end a session which a room route opened.</summary>
    public virtual IReadOnlyList<HangUpRoute> HangUps => [];

    /// <summary>Routes that give an end user a further, stable id.</summary>
    public virtual IReadOnlyList<SpeakerRoute> Speakers => [];

    /// <summary>The request headers that carry an API key or a personal access token.</summary>
    public abstract IReadOnlyList<string> CredentialHeaders { get; }
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

/// <summary>Answers one text.</summary>
internal sealed record TurnRoute(string Path, Func<WireRequest, Decision<SpokenRequest>> Read, Func<Opened, TurnAnswer> Answer, Func<Denial, HttpAnswer> Refuse)
    : HttpRoute(Path, Refuse);

/// <summary>
/// Answers the last word of a conversation that the client holds and sends along. Who asks, and which agent, is read and judged before
/// the body is looked at.
/// </summary>
internal sealed record CompletionRoute(
    string Path, Func<WireRequest, Decision<ConnectRequest>> Connect, Func<WireRequest, Decision<Completion>> Read, Func<Denial, HttpAnswer> Refuse);

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

/// <summary>What a completion asks for.</summary>
/// <param name="Conversation">What was said so far, as the client tells it: its own word, the agent's part too.</param>
/// <param name="Answer">The answer's shape.</param>
internal sealed record Completion(IReadOnlyList<Said> Conversation, TurnAnswer Answer)
{
    /// <summary>The conversation's id, if the client has one: then its messages are kept under it.</summary>
    public string? Id { get; init; }
    /// <summary>The messages that bear an id.</summary>
    public IReadOnlyList<Message> Messages { get; init; } = [];
    /// <summary>The id under which the answer is kept; null when it is not.</summary>
    public string? AnswerId { get; init; }
    /// <summary>Whether the agent may use what it remembers of the user.</summary>
    public bool Remembers { get; init; } = true;
}

/// <summary>The form of an answer to one request.</summary>
internal abstract record TurnAnswer
{
    private TurnAnswer() { }

    /// <summary>One body, when all of it is there.</summary>
    public sealed record Whole(Func<IReadOnlyList<AgentAct>, HttpAnswer> Write) : TurnAnswer
    {
        /// <summary>Clients give up not long after it.</summary>
        public TimeSpan? Within { get; init; }
    }

    /// <summary>Piece by piece, each sent when it is there.</summary>
    public sealed record Streamed(string ContentType, Func<IAsyncEnumerable<AgentAct>, IAsyncEnumerable<byte[]>> Write) : TurnAnswer
    {
        /// <summary>Further headers.</summary>
        public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];
        /// <summary>What is sent while the agent is silent; empty where the vendor's clients take nothing of the kind.</summary>
        public byte[] KeepAlive { get; init; } = [];
    }
}
