using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Sessions;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.Realtime;

/// <summary>
/// The realtime protocol of OpenAI and xAI: client secrets, the WebSocket, and both vendors' words. Routes are shared; which of the two
/// is spoken shows in the request, else it is the agent's setting.
/// </summary>
internal sealed class RealtimeDialect : SocketDialect
{
    /// <summary>The name that an agent is restricted by: it covers both vendors, whose requests cannot always be told apart.</summary>
    public const string Restriction = "realtime";

    private const string Root = "/v1/realtime";
    private const string Protocol = "realtime";
    private const string OpenAIKey = "openai-insecure-api-key.";
    private const string XaiSecret = "xai-client-secret.";

    /// <summary>OpenAI's words; it owns the routes.</summary>
    public static readonly RealtimeDialect OpenAI = new(false);

    /// <summary>xAI's words.</summary>
    public static readonly RealtimeDialect Xai = new(true);

    private readonly bool isXai;

    private RealtimeDialect(bool isXai) => this.isXai = isXai;

    public override string Name => isXai ? "xai" : Restriction;

    public override string Family => Restriction;

    public override IReadOnlyList<MintRoute> Mints => isXai ? [] :
    [
        new("POST", Root + "/client_secrets", wire => MintForm.Read(wire, isBeta: false)) { Write = (minted, wire) => MintAnswer.Write(minted, MintForm.Model(wire, isBeta: false)) },
        new("POST", Root + "/sessions", wire => MintForm.Read(wire, isBeta: true)) { Write = (minted, wire) => MintAnswer.WriteBeta(minted, MintForm.Model(wire, isBeta: true)) },
    ];

    public override IReadOnlyList<string> Conversations => isXai ? [] : [Root];

    public override TimeSpan BeforeRefusal => TimeSpan.FromMilliseconds(25);

    public override bool ClientSpeaksFirst => false;

    public override SocketDialect Spoken(Agent agent, WireRequest request) =>
        request.Parameter("agent_id") is not null || request.Protocols.Any(IsXaiSecret) ? Xai
        : request.Protocols.Count > 0 ? OpenAI
        : agent.Dialect == Xai.Name ? Xai : OpenAI;

    public override Decision<ConnectRequest> ReadConnect(WireRequest request)
    {
        if (request.Repeated("agent_id", "model", "Authorization", "Origin", "OpenAI-Safety-Identifier") is { } repeated)
        {
            return new Denial(DenialReason.RequestInvalid, $"{repeated}: Must be given once");
        }
        if (new[] { "call_id", "conversation_id", "intent" }.FirstOrDefault(name => request.Query.ContainsKey(name)) is { } unsupported)
        {
            return new Denial(DenialReason.RequestInvalid, $"{unsupported}: Is not supported here");
        }
        if (request.Header("OpenAI-Safety-Identifier") is { } user && !Core.Projects.Subject.IsValid(user))
        {
            return new Denial(DenialReason.RequestInvalid, $"OpenAI-Safety-Identifier: {Core.Projects.Subject.Rule}");
        }
        var bearer = Bearer.Read(request);
        var presented = request.Protocols.Select(Secret).Append(bearer).OfType<string>().Distinct(StringComparer.Ordinal).ToList();
        if (presented.Count > 1)
        {
            return new Denial(DenialReason.ConflictingCredentials);
        }
        if (Agents(request).Distinct().ToList() is var agents && agents.Contains(null))
        {
            return new Denial(DenialReason.AgentUnknown);
        }
        if (agents.Count > 1)
        {
            return new Denial(DenialReason.AgentMismatch);
        }
        // An API key may stand in the header only: what a page can send is never one.
        var isKey = presented is [var text] && text == bearer && text.Length > 0 && !Bearer.IsSecret(text) && !request.Protocols.Any(protocol => Secret(protocol) is not null);
        // Whoever holds a key is believed about the user; beside a client secret the mint alone has said who it is.
        return new ConnectRequest(CredentialKind.ClientSecret, presented is [var one] && !isKey ? new CredentialText(one) : null, agents is [var agent] ? agent : null,
            request.Header("Origin"), request.Address)
        {
            Key = isKey ? bearer : null, Dialect = Restriction, Subject = isKey ? request.Header("OpenAI-Safety-Identifier") : null,
        };
    }

    // xAI's clients offer nothing but their secret, and browsers fail unless something they offered is selected.
    public override string? Subprotocol(IReadOnlyList<string> offered) =>
        offered.Contains(Protocol, StringComparer.Ordinal) ? Protocol : offered.FirstOrDefault(IsXaiSecret);

    public override string? UpstreamProtocol => null;

    public override HttpAnswer Write(Minted minted) => MintAnswer.Write(minted, null);

    public override HttpAnswer Refuse(Denial denial) => Refusals.Answer(denial);

    public override Farewell Turn(Denial denial) => Refusals.Turn(denial);

    public override Farewell End(SessionEndReason reason, string detail) => Refusals.End(reason, detail);

    public override Decision<Opening> ReadOpening(Session session, ReadOnlyMemory<byte>? firstMessage) => Opening.None;

    public override RelayRule Rule(Session session, DateTimeOffset now)
    {
        var toXai = session.Agent.Dialect == Xai.Name;
        return RelayLock.For(session, toXai, now) with { Translate = toXai == isXai ? null : message => TextEventNames.Translate(message, isXai) };
    }

    public override Task<SessionEnd> TalkAsync(TalkContext talk) => new Talk(talk, isXai).RunAsync();

    private static bool IsXaiSecret(string protocol) => protocol.StartsWith(XaiSecret, StringComparison.Ordinal);

    private static string? Secret(string protocol) =>
        protocol.StartsWith(OpenAIKey, StringComparison.Ordinal) ? protocol[OpenAIKey.Length..]
        : IsXaiSecret(protocol) ? protocol[XaiSecret.Length..]
        : null;

    private static IEnumerable<AgentId?> Agents(WireRequest request)
    {
        if (request.Parameter("agent_id") is { } agent)
        {
            yield return ModelNames.IsName(agent) ? new AgentId(agent) : null;
        }
        if (request.Parameter("model") is { } model)
        {
            yield return ModelNames.Find(model, request.Options);
        }
    }
}
