using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Tests.Storage;
using static Postern.Tests.Credentials.UserTokenForge;

namespace Postern.Tests.Credentials;

/// <summary>A session by API key and user token: the core alone decides, whatever a dialect has looked at before.</summary>
public sealed class UserTokenAdmissionTests
{
    private const string PageKey = "page-key-of-more-than-thirty-two-characters";
    private const string MintKey = "mint-key-of-more-than-thirty-two-characters";
    private static readonly AgentId Agent = new("agent_1");

    [Fact]
    [Trait("attack", "A6")]
    [Trait("attack", "A19")]
    [Trait("attack", "F2")]
    public async Task Session_ByKeyAndToken_IsTheUsersOrIsNone()
    {
        await using var database = await TestDatabase.CreateAsync(Engine.Sqlite);
        await using var node = await Node.StartAsync(database);
        var directory = Directory(Key(), Key("elsewhere", agents: [new AgentId("agent_2")]), Key("theirs", project: "other"));
        directory.Put(Node.Agent("agent_1"));
        directory.Put(Node.Agent("agent_2"));
        directory.Put(new ApiKey("key_p", ProjectId.Default, "page", "page", ApiKeyText.Hash(PageKey), Scopes.Converse, Now, null));
        directory.Put(new ApiKey("key_m", ProjectId.Default, "mint", "mint", ApiKeyText.Hash(MintKey), Scopes.Mint, Now, null));
        var accepted = new List<string>();
        var gate = new ConnectionGate(directory, node.Ledger, new SetClock(Now)) { Accepted = token => accepted.Add(token.Subject) };
        async Task<(string? Subject, DenialReason? Reason)> Admit(string? token, string key = PageKey, Scopes scope = Scopes.Converse, string project = "default", string agent = "agent_1")
        {
            var decision = await gate.AdmitAsync(new ConnectRequest(CredentialKind.SignedUrl, null, new AgentId(agent), null, null) { Key = key, KeyScope = scope, Project = new ProjectId(project), UserToken = token });
            return decision.IsDenied(out var denial, out var session) ? (null, denial.Reason) : (session.Terms.Subject ?? "nobody", null);
        }
        string Of(string kid) => Sign($$"""{"alg":"HS256","kid":"{{kid}}"}""", HonestClaims);

        Assert.Equal(("alice", null), await Admit(Token(HonestClaims)));
        Assert.Equal(("nobody", null), await Admit(null));
        Assert.Equal((null, DenialReason.CredentialMalformed), await Admit(""));
        Assert.Equal((null, DenialReason.AgentMismatch), await Admit(Of("elsewhere")));
        Assert.Equal(("alice", null), await Admit(Of("elsewhere"), agent: "agent_2"));
        Assert.Equal((null, DenialReason.BadSignature), await Admit(Of("theirs")));
        Assert.Equal((null, DenialReason.KeyInvalid), await Admit(Token(HonestClaims), project: "other"));
        Assert.Equal((null, DenialReason.KeyInvalid), await Admit(Token(HonestClaims), key: PageKey + "x"));
        Assert.Equal((null, DenialReason.ScopeMissing), await Admit(Token(HonestClaims), key: MintKey));
        Assert.Equal((null, DenialReason.ScopeMissing), await Admit(Token(HonestClaims), scope: Scopes.Mint));
        Assert.Equal((null, DenialReason.AgentUnknown), await Admit(Token(HonestClaims), agent: "agent_3"));
        directory.RemoveUserTokenKey(Kid);
        Assert.Equal((null, DenialReason.BadSignature), await Admit(Token(HonestClaims)));
        Assert.Equal(3, node.Scalar<int>("select count(*) from session"));
        Assert.Equal(2, node.Scalar<int>("select count(*) from session where subject = 'alice'"));
        Assert.All(accepted, subject => Assert.Equal("alice", subject));
    }

    [Fact]
    public async Task Scopes_ForAUsersOwn_SufficeWithATokenAlone()
    {
        await using var database = await TestDatabase.CreateAsync(Engine.Sqlite);
        await using var node = await Node.StartAsync(database);
        var directory = Directory();
        directory.Put(new ApiKey("key_p", ProjectId.Default, "page", "page", ApiKeyText.Hash(PageKey), Scopes.Converse, Now, null));
        directory.Put(new ApiKey("key_m", ProjectId.Default, "logs", "logs", ApiKeyText.Hash(MintKey), Scopes.ConversationsRead, Now, null));
        var gate = new ConnectionGate(directory, node.Ledger, new SetClock(Now));
        DenialReason? Identify(string key, string? token) => gate.Identify(new ConnectRequest(CredentialKind.SignedUrl, null, Agent, null, null)
        {
            Key = key, KeyScope = Scopes.ConversationsRead, KeyScopeWithUser = Scopes.Converse, UserToken = token,
        }).Denial?.Reason;

        Assert.Null(Identify(PageKey, Token(HonestClaims)));
        Assert.Equal(DenialReason.ScopeMissing, Identify(PageKey, null));
        Assert.Null(Identify(MintKey, Token(HonestClaims)));
        Assert.Null(Identify(MintKey, null));
        Assert.Equal(DenialReason.CredentialMalformed, Identify(MintKey, "nonsense"));
    }
}
