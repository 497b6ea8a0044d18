using System.Globalization;
using System.Text;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Sessions;
using Postern.Server.Flow;
using Postern.Server.Media;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>ElevenLabs Agents: signed URLs, the conversation WebSocket, and the vendor's words for every refusal and end.</summary>
internal class ElevenLabsDialect : SocketDialect
{
    public const string KeyHeader = "xi-api-key";
    private const string Protocol = "convai";
    private const string BearerProtocol = "bearer.";
    private const string ConversationPath = "/v1/convai/conversation";
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    public override string Name => "elevenlabs";

    public override string Family => "elevenlabs";

    public override Dialect For(Agent agent) => Dialects.Named(agent.Dialect) as ElevenLabsDialect ?? this;

    public override IReadOnlyList<MintRoute> Mints =>
    [
        new("GET", ConversationPath + "/get-signed-url", MintForms.SignedUrl),
        new("GET", ConversationPath + "/get_signed_url", MintForms.SignedUrl),
        new("POST", ConversationPath + "/get-signed-url", MintForms.FixedSignedUrl),
        new("GET", ConversationPath + "/token", MintForms.Token) { OpenToPages = true },
        new("POST", ConversationPath + "/token", MintForms.FixedToken),
    ];

    public override IReadOnlyList<string> Conversations => [ConversationPath];

    /// <summary>Whether nothing but <c>enable_auth: false</c> makes an agent public; an allowlist alone does otherwise.</summary>
    public virtual bool PublicMustBeSaid => false;

    /// <summary>The name of the parameter that carries the credential in a signed URL.</summary>
    protected virtual string CredentialParameter => "conversation_signature";

    public override CredentialDefaults Credentials(PosternOptions options) => new(options.SignedUrls.StartWithin, SingleUse: false);

    public override Decision<ConnectRequest> ReadConnect(WireRequest request)
    {
        if (request.Repeated("agent_id", "conversation_signature", "token", "conversation_id", "Origin", KeyHeader, "Authorization") is { } repeated)
        {
            return new Denial(DenialReason.RequestInvalid, $"query {repeated}: Must be given once");
        }
        var presented = Presented(request).Where(text => text.Length > 0).Distinct(StringComparer.Ordinal).ToList();
        var key = request.Header(KeyHeader);
        // Not read here, but whoever stands in front may read it: two to some readers is two (attack A20).
        var bearer = request.Header("Authorization")?.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) is true;
        if (presented.Count + (key is null ? 0 : 1) + (bearer ? 1 : 0) > 1)
        {
            return new Denial(DenialReason.ConflictingCredentials);
        }
        var agent = request.Parameter("agent_id");
        return agent is not null && !AgentIdText.IsValid(agent)
            ? new Denial(DenialReason.AgentUnknown)
            : new ConnectRequest(CredentialKind.SignedUrl, presented is [var text] ? new CredentialText(text) : null,
                agent is null ? null : new AgentId(agent), request.Headers.Origin is [var origin] ? origin : null, request.Address)
            { Key = key, Dialect = "elevenlabs", Conversation = request.Parameter("conversation_id") };
    }

    // Clients require exactly the protocol they asked for; one that carries a secret is never echoed.
    public override string? Subprotocol(IReadOnlyList<string> offered) => offered.Contains(Protocol, StringComparer.Ordinal) ? Protocol : null;

    public override string? UpstreamProtocol => Protocol;

    public override HttpAnswer Write(Minted minted) => Wire.Json(200, json =>
    {
        WriteHandle(json, minted);
        if (minted.Credential.Kind == CredentialKind.SignedUrl)
        {
            json.WriteString("expires_at"u8, minted.Credential.Grant.StartBy.UtcDateTime.ToString("s", CultureInfo.InvariantCulture) + "Z");
        }
    });

    /// <summary>What a client is handed: the URL or the room token around the credential's text, and the conversation's id where it is fixed.</summary>
    public void WriteHandle(Utf8JsonWriter json, Minted minted)
    {
        var credential = minted.Credential;
        var conversation = credential.Grant.ConversationId;
        if (credential.Kind == CredentialKind.ConversationToken)
        {
            json.WriteString("token"u8, Token(minted));
        }
        else
        {
            json.WriteString("signed_url"u8, $"{minted.WebSocketOrigin}{ConversationPath}?agent_id={credential.Grant.Agent}&{CredentialParameter}={credential.Text.Value}{(conversation is null ? "" : "&conversation_id=")}{conversation}");
        }
        if (conversation is not null)
        {
            json.WriteString("conversation_id"u8, conversation);
        }
    }

    // A room of the agent's media server is what a conversation token opens; the room bears the conversation's id.
    private static string Token(Minted minted)
    {
        var grant = minted.Credential.Grant;
        var identity = grant.Subject ?? "user_" + minted.Credential.Id;
        // The client's initiation data passes by Postern: what is fixed goes with the room, for the agent's side to apply last. Signed, so no client can change it.
        var metadata = minted.Request.Fixed.IsEmpty
            ? $$"""{"agent_id":"{{grant.Agent}}","type":"{{InitiationData.MessageType}}"}"""
            : Encoding.UTF8.GetString(FixedInitiation.Write($$"""{"agent_id":"{{grant.Agent}}"}""", minted.Request.Fixed));
        return RoomToken.Write(minted.Agent!.Media!, identity, minted.Request.Label, grant.ConversationId!, metadata, minted.Now, grant.StartBy);
    }

    public override HttpAnswer Refuse(Denial denial) => Refusals.Answer(denial);

    public override Farewell Turn(Denial denial) => new(null, Refusals.Close(denial), TimeSpan.Zero);

    public override Farewell End(SessionEndReason reason, string detail)
    {
        var (code, type, text) = Refusals.Ending(reason, detail);
        return new Farewell(Wire.ErrorEvent(Refusals.EventCode(code), type, text), new CloseFrame(code, text), Pause);
    }

    public override Decision<Opening> ReadOpening(Session session, ReadOnlyMemory<byte>? firstMessage) => InitiationData.Read(session, firstMessage);

    public override bool Skips(ReadOnlyMemory<byte> message) => InitiationWatch.IsEnclave(message);

    public override RelayRule Rule(Session session, DateTimeOffset now) => new InitiationWatch().Rule;

    public override Task<SessionEnd> TalkAsync(TalkContext talk) => new Talk(talk).RunAsync();

    private static IEnumerable<string> Presented(WireRequest request)
    {
        yield return request.Parameter("conversation_signature") ?? "";
        yield return request.Parameter("token") ?? "";
        foreach (var protocol in request.Protocols)
        {
            if (protocol.StartsWith(BearerProtocol, StringComparison.Ordinal))
            {
                yield return protocol[BearerProtocol.Length..];
            }
        }
    }
}

/// <summary>What may stand as an agent's id in a request.</summary>
internal static class AgentIdText
{
    public static bool IsValid(string text) => text.Length is > 0 and <= 64 && Base64Text.IsAlphabet(text);
}
