using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Sessions;
using Postern.Server.Flow;

namespace Postern.Server.Dialects;

/// <summary>
/// A vendor's way of speaking: data and pure functions between the wire and the core's words. It decides nothing and holds neither
/// the mint nor the gate, so it cannot forget them.
/// </summary>
internal abstract class Dialect
{
    /// <summary>The vendor's name in settings and on agents.</summary>
    public abstract string Name { get; }

    /// <summary>What an agent's list of the dialects that reach it says for this one: vendors that share their paths share it.</summary>
    public virtual string Family => Name;

    /// <summary>The dialect that an agent of these paths speaks: where vendors share them it is the agent's, never the client's choice.</summary>
    public virtual Dialect For(Agent agent) => this;

    /// <summary>The vendor's mint routes.</summary>
    public abstract IReadOnlyList<MintRoute> Mints { get; }

    /// <summary>The vendor's routes that inspect, extend or revoke a credential.</summary>
    public virtual IReadOnlyList<ChangeRoute> Changes => [];

    /// <summary>What a signed URL of an agent of this dialect gets when neither agent nor mint says anything.</summary>
    public virtual CredentialDefaults Credentials(PosternOptions options) => new(options.SignedUrls.StartWithin, SingleUse: false);

    /// <summary>A minted credential in the vendor's answer.</summary>
    public abstract HttpAnswer Write(Minted minted);

    /// <summary>A refusal of an HTTP request.</summary>
    public abstract HttpAnswer Refuse(Denial denial);
}

/// <summary>A dialect in which one converses over a WebSocket.</summary>
internal abstract class SocketDialect : Dialect
{
    /// <summary>The paths on which a conversation is opened.</summary>
    public abstract IReadOnlyList<string> Conversations { get; }

    /// <summary>Reads a connection request.</summary>
    public abstract Decision<ConnectRequest> ReadConnect(WireRequest request);

    /// <summary>The dialect of one connection: the agent's, unless the request itself shows which of several is spoken.</summary>
    public virtual SocketDialect Spoken(Agent agent, WireRequest request) => For(agent) as SocketDialect ?? this;

    /// <summary>How long after the opening a refusal is said: some clients lose what comes with it.</summary>
    public virtual TimeSpan BeforeRefusal => TimeSpan.Zero;

    /// <summary>Whether the client's first message decides how the conversation goes, and is waited for before an upstream is dialled.</summary>
    public virtual bool ClientSpeaksFirst => true;

    /// <summary>Whether a message before the client's first is of no meaning here and reaches no upstream.</summary>
    public virtual bool Skips(ReadOnlyMemory<byte> message) => false;

    /// <summary>What a relayed session is held to while it goes on; null lets every frame pass as it comes.</summary>
    public virtual RelayRule? Rule(Session session, DateTimeOffset now) => null;

    /// <summary>The subprotocol to select of those offered: never one that holds a secret unless the vendor's clients insist.</summary>
    public abstract string? Subprotocol(IReadOnlyList<string> offered);

    /// <summary>The subprotocol to offer to an upstream that speaks this dialect.</summary>
    public abstract string? UpstreamProtocol { get; }

    /// <summary>A refusal of a WebSocket that was accepted to say so.</summary>
    public abstract Farewell Turn(Denial denial);

    /// <summary>How a live session is ended, in the vendor's words.</summary>
    public abstract Farewell End(SessionEndReason reason, string detail);

    /// <summary>Judges the client's first message against what agent and terms allow; null when none came in time.</summary>
    public abstract Decision<Opening> ReadOpening(Session session, ReadOnlyMemory<byte>? firstMessage);

    /// <summary>Converses with an agent hosted here, until the client, the leash or the agent ends it.</summary>
    public abstract Task<SessionEnd> TalkAsync(TalkContext talk);
}

/// <summary>What was minted and what an answer needs to tell of it.</summary>
/// <param name="Credential">The credential.</param>
/// <param name="Agent">The agent that it opens; null for an unbound personal access token.</param>
/// <param name="Request">What was asked for.</param>
/// <param name="WebSocketOrigin">The public address, such as <c>wss://host</c>.</param>
/// <param name="Now">When it was minted.</param>
internal sealed record Minted(Credential Credential, Agent? Agent, MintRequest Request, string WebSocketOrigin, DateTimeOffset Now);

/// <summary>A request about a credential that exists, named by id or by text.</summary>
internal sealed record ChangeRequest(string? Key, string? Id, string? Text, string? Address);

/// <summary>What is asked of a credential.</summary>
internal enum CredentialVerb { Inspect, Extend, Revoke }

/// <summary>One route about credentials that exist: how its request is read and answered.</summary>
internal sealed record ChangeRoute(
    string Method, string Path, CredentialVerb Verb, Func<WireRequest, Decision<ChangeRequest>> Read, Func<ChangeRequest, StoredCredential, HttpAnswer> Write);

/// <summary>One mint route: how its request is read.</summary>
internal sealed record MintRoute(string Method, string Path, Func<WireRequest, Decision<MintRequest>> Read)
{
    /// <summary>The answer of this route, where it differs from the dialect's or repeats what was asked.</summary>
    public Func<Minted, WireRequest, HttpAnswer>? Write { get; init; }

    /// <summary>Pages may call it without a key, from any origin, and read the answer.</summary>
    public bool OpenToPages { get; init; }
}

/// <summary>A complete HTTP answer.</summary>
internal sealed record HttpAnswer(int Status, byte[] Body, string ContentType = "application/json")
{
    /// <summary>Further headers.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];
}

/// <summary>What the client's first message asked for and may have.</summary>
/// <param name="Overrides">Dotted path to value: every leaf the client set, all of them permitted.</param>
/// <param name="Variables">The client's dynamic variables.</param>
/// <param name="ClaimedSubject">The user that the client says it is; believed only when the credential names no other.</param>
/// <param name="Raw">The message as it came, for the record; empty when there was none.</param>
internal sealed record Opening(
    IReadOnlyDictionary<string, JsonElement> Overrides, IReadOnlyDictionary<string, JsonElement> Variables, string? ClaimedSubject, string Raw)
{
    /// <summary>What an upstream must hear of the values that the mint has fixed, or of the user in place of another whom the client claimed; null when it is neither.</summary>
    public byte[]? Upstream { get; init; }

    /// <summary>Whether <see cref="Upstream"/> stands for the client's first message, or goes before it.</summary>
    public bool UpstreamReplaces { get; init; }

    /// <summary>The defaults: nothing was asked.</summary>
    public static readonly Opening None = new(new Dictionary<string, JsonElement>(), new Dictionary<string, JsonElement>(), null, "");
}
