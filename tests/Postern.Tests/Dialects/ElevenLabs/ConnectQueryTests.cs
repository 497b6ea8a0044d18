using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Tests.Credentials;
using Postern.Tests.Storage;

namespace Postern.Tests.Dialects.ElevenLabs;

/// <summary>A signed URL's query through the dialect and the gate: what its holder may change of it, which is nothing.</summary>
public sealed class ConnectQueryTests
{
    private const string Granted = "granted";

    [Theory]
    [Trait("attack", "B1")]
    [Trait("attack", "B2")]
    [InlineData("?agent_id=agent_1&conversation_signature={0}", Granted)]
    [InlineData("?conversation_signature={0}&agent_id=agent_1", Granted)]
    [InlineData("?conversation_signature={0}", Granted)]
    [InlineData("?agent_id=agent_1&token={0}", Granted)]
    [InlineData("?agent_id=agent_1&conversation_signature={0}&unknown=1&max_duration=9", Granted)]
    [InlineData("?agent_id=agent_1&conversation_signature={0}&token={0}", Granted)] // the same one twice is one
    [InlineData("?AGENT_ID=agent_1&CONVERSATION_SIGNATURE={0}", Granted)]
    [InlineData("?agent_id=agent_2&conversation_signature={0}", nameof(DenialReason.AgentMismatch))]
    [InlineData("?agent_id=Agent_1&conversation_signature={0}", nameof(DenialReason.AgentMismatch))]
    [InlineData("?agent_id=&conversation_signature={0}", nameof(DenialReason.AgentUnknown))]
    [InlineData("?agent_id=agent_1%00&conversation_signature={0}", nameof(DenialReason.AgentUnknown))]
    [InlineData("?agent_id=agent_1%20&conversation_signature={0}", nameof(DenialReason.AgentUnknown))]
    [InlineData("?agent_id=agent_1+&conversation_signature={0}", nameof(DenialReason.AgentUnknown))]
    [InlineData("?agent_id=agent%255f1&conversation_signature={0}", nameof(DenialReason.AgentUnknown))]
    [InlineData("?agent_id=%C0%AFagent_1&conversation_signature={0}", nameof(DenialReason.AgentUnknown))]
    [InlineData("?agent_id=agent_1&conversation_signature={0}&agent_id=agent_1", nameof(DenialReason.RequestInvalid))]
    [InlineData("?agent_id=agent_1&conversation_signature={0}&AGENT_ID=agent_2", nameof(DenialReason.RequestInvalid))]
    [InlineData("?agent_id=agent_1&conversation_signature={0}&Conversation_Signature={0}", nameof(DenialReason.RequestInvalid))]
    [InlineData("?agent_id=agent_1&token=a&TOKEN=b&conversation_signature={0}", nameof(DenialReason.RequestInvalid))]
    [InlineData("?agent_id=agent_1&conversation_signature={0}&token=psu_x", nameof(DenialReason.ConflictingCredentials))]
    [InlineData("?agent_id=agent_1;conversation_signature={0}", nameof(DenialReason.AgentUnknown))]
    [InlineData("?agent_id=agent_1&conversation_signature={0}%00", nameof(DenialReason.CredentialMalformed))]
    [InlineData("?agent_id=agent_1&conversation_signature={0}%20", nameof(DenialReason.CredentialMalformed))]
    [InlineData("?agent_id=agent_1&conversation_signature=%20{0}", nameof(DenialReason.CredentialMalformed))]
    [InlineData("?agent_id=agent_1&conversation_signature={0}%zz", nameof(DenialReason.CredentialMalformed))]
    [InlineData("?agent_id=agent_1&conversation_signature={0}%3D", nameof(DenialReason.CredentialMalformed))]
    [InlineData("?agent_id=agent_1&conversation_signature={0}=", nameof(DenialReason.CredentialMalformed))]
    [InlineData("?agent_id=agent_1&conversation_signature={0}%26agent_id%3Dagent_2", nameof(DenialReason.CredentialMalformed))]
    [InlineData("?agent_id=agent_1&conversation_signature=", nameof(DenialReason.CredentialMissing))]
    [InlineData("?agent_id=agent_1", nameof(DenialReason.CredentialMissing))]
    [InlineData("", nameof(DenialReason.AgentUnknown))]
    public async Task Query_Changed_IsRefusedByName(string query, string expected) =>
        Assert.Equal(expected, await AdmitAsync(Wires.Request(string.Format(System.Globalization.CultureInfo.InvariantCulture, query, Reusable()))));

    [Fact]
    [Trait("attack", "A20")]
    [Trait("attack", "C9")]
    public async Task Credentials_OfTwoPlaces_MustBeOne()
    {
        var (one, two) = (Reusable(), Reusable());

        Assert.Equal(Granted, await AdmitAsync(Wires.Request("?agent_id=agent_1", null, "convai", "bearer." + one)));
        Assert.Equal(nameof(DenialReason.ConflictingCredentials), await AdmitAsync(Wires.Request("?agent_id=agent_1", null, "bearer." + one, "bearer." + two)));
        Assert.Equal(nameof(DenialReason.ConflictingCredentials), await AdmitAsync(Wires.Request($"?agent_id=agent_1&token={two}", null, "bearer." + one)));
        Assert.Equal(nameof(DenialReason.ConflictingCredentials), await AdmitAsync(Wires.Request($"?agent_id=agent_1&token={two}", Wires.Headers(("xi-api-key", "x")))));
        Assert.Equal(nameof(DenialReason.RequestInvalid), await AdmitAsync(Wires.Request("?agent_id=agent_1", Wires.Headers(("xi-api-key", "x"), ("xi-api-key", "y")))));
        Assert.Equal(nameof(DenialReason.ConflictingCredentials), await AdmitAsync(Wires.Request($"?agent_id=agent_1&token={two}", Wires.Headers(("Authorization", "Bearer x")))));
        Assert.Equal(Granted, await AdmitAsync(Wires.Request($"?agent_id=agent_1&token={two}", Wires.Headers(("Authorization", "Basic x")))));
        Assert.Equal(nameof(DenialReason.WrongKind), await AdmitAsync(Wires.Request("?agent_id=agent_1", Wires.Headers(("xi-api-key", one)))));
        Assert.Equal(nameof(DenialReason.CredentialMalformed), await AdmitAsync(Wires.Request("?agent_id=agent_1", null, "bearer.bearer." + one)));
    }

    [Fact]
    [Trait("attack", "C3")]
    public async Task Origin_Twice_IsRefused()
    {
        var request = Wires.Request($"?token={Reusable()}", Wires.Headers(("Origin", "https://a.example"), ("Origin", "https://a.example")));
        Assert.Equal(nameof(DenialReason.RequestInvalid), await AdmitAsync(request));
    }

    [Theory]
    [Trait("attack", "B14")]
    [InlineData("?agent_id=agent_1", null)]
    [InlineData("?agent_id=agent_1&include_conversation_id=true", null)]
    [InlineData("?agent_id=agent_1&include_conversation_id=", DenialReason.RequestInvalid)]
    [InlineData("?agent_id=agent_1&include_conversation_id=2", DenialReason.RequestInvalid)]
    [InlineData("?agent_id=agent_1&include_conversation_id=true&include_conversation_id=false", DenialReason.RequestInvalid)]
    [InlineData("?agent_id=agent_1&expires_after=1000000000&uses=9&origins=*", null)] // not trusted: ignored
    [InlineData("?agent_id=agent_1&agent_id=agent_2", DenialReason.RequestInvalid)]
    [InlineData("?agent_id=../agent_1", DenialReason.AgentUnknown)]
    [InlineData("", DenialReason.RequestInvalid)]
    public void Mint_Query_IsReadOrRefused(string query, DenialReason? expected)
    {
        foreach (var route in new ElevenLabsDialect().Mints.Where(route => route.Method == "GET" && route.Path.Contains("signed", StringComparison.Ordinal)))
        {
            var read = route.Read(Wires.Request(query));
            Assert.Equal(expected, read.Denial?.Reason);
            if (!read.IsDenied(out _, out var request))
            {
                Assert.Null(request.StartWithin);
                Assert.Null(request.Uses);
                Assert.Empty(request.Origins);
            }
        }
    }

    // What is dropped for its type would be a restriction that the minting backend believes in.
    [Theory]
    [Trait("attack", "B14")]
    [InlineData("""{"agent_id":"agent_1","user_id":"user-1","dynamic_variables":{"a":1}}""", null)]
    [InlineData("""{"agent_id":"agent_1","user_id":null,"conversation_config_override":null}""", null)]
    [InlineData("""{"agent_id":"agent_1","user_id":5}""", DenialReason.RequestInvalid)]
    [InlineData("""{"agent_id":"agent_1","user_id":["user-1"]}""", DenialReason.RequestInvalid)]
    [InlineData("""{"agent_id":"agent_1","dynamic_variables":"a"}""", DenialReason.RequestInvalid)]
    [InlineData("""{"agent_id":"agent_1","conversation_config_override":[]}""", DenialReason.RequestInvalid)]
    [InlineData("""{"agent_id":1}""", DenialReason.RequestInvalid)]
    [InlineData("""{"agent_id":"agent_1","uses":1}""", DenialReason.RequestInvalid)]
    public void Mint_BodyWithAWrongType_IsRefused(string body, DenialReason? expected)
    {
        foreach (var route in new ElevenLabsDialect().Mints.Where(route => route.Method == "POST"))
        {
            Assert.Equal(expected, route.Read(Wires.Request("") with { Body = System.Text.Encoding.UTF8.GetBytes(body) }).Denial?.Reason);
        }
    }

    // The path of a refusal is the same whatever is wrong with a MAC: one comparison, no early end, nothing allocated on the way.
    [Fact]
    [Trait("attack", "B10")]
    public void Refusal_OfAnyWrongMac_TakesTheSamePath()
    {
        var text = Reusable();
        var dot = text.LastIndexOf('.');
        var mac = new byte[32];
        Assert.True(Base64Text.TryDecode(System.Text.Encoding.ASCII.GetBytes(text[(dot + 1)..]), mac, out _));
        var costs = new HashSet<(DenialReason?, long)>();
        for (var round = 0; round < 2; round++)
        {
            costs.Clear();
            for (var bit = 0; bit < 256; bit++)
            {
                mac[bit / 8] ^= (byte)(1 << (bit % 8));
                var credential = new CredentialText($"{text[..dot]}.{Base64Text.Encode(mac)}");
                mac[bit / 8] ^= (byte)(1 << (bit % 8));
                var before = GC.GetAllocatedBytesForCurrentThread();
                var denial = CredentialVerifier.Verify(Forge.Ring, credential, CredentialKind.SignedUrl, Forge.Now).Denial;
                costs.Add((denial?.Reason, GC.GetAllocatedBytesForCurrentThread() - before));
            }
        }

        Assert.Equal(DenialReason.BadSignature, Assert.Single(costs).Item1);
        Assert.Contains("CryptographicOperations.FixedTimeEquals(expected, mac)", SourceTree.Read("src/Postern.Core/Keys/HmacKey.cs"), StringComparison.Ordinal);
    }

    private static string Reusable() => Forge.Issue(grant: Forge.Grant() with { Uses = null, ConversationId = null, Origins = [] }).Text.Value;

    private static async Task<string> AdmitAsync(Server.Flow.WireRequest request)
    {
        await using var database = await TestDatabase.CreateAsync(Engine.Sqlite);
        await using var node = await Node.StartAsync(database);
        var directory = new Core.Directory(Forge.Ring);
        directory.Put(Node.Agent("agent_1"));
        directory.Put(Node.Agent("agent_2"));
        directory.Put(new ApiKey("key_1", ProjectId.Default, "test", "pst_", ApiKeyText.Hash("unused"), Scopes.All, Forge.Now, null));
        var gate = new ConnectionGate(directory, node.Ledger, new SetClock(Forge.Now));

        if (new ElevenLabsDialect().ReadConnect(request).IsDenied(out var denial, out var connect))
        {
            return denial.Reason.ToString();
        }
        return (await gate.AdmitAsync(connect)).IsDenied(out denial, out var session) ? denial.Reason.ToString() : session.Agent.Id == new AgentId("agent_1") ? Granted : "another agent";
    }
}
