using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Postern.Core.Credentials;
using Postern.Core.Policy;
using Postern.Server.Dialects;
using Postern.Tests.Credentials;
using Postern.Tests.Storage;

namespace Postern.Tests.Fuzz;

/// <summary>Changed bodies for every mint and change route of every dialect.</summary>
internal sealed class MintBodies : Target
{
    private static readonly Dialect[] All = [.. Server.Dialects.Dialects.All];
    private static readonly Lifetime Any = new(TimeSpan.FromMinutes(15), TimeSpan.FromSeconds(1), TimeSpan.FromDays(7));
    private static readonly Lifetimes Lifetimes = new(Any, Any, Any, TimeSpan.FromDays(30));

    private static readonly IHeaderDictionary Headers = Wires.Headers(
        ("xi-api-key", "some-key"), ("Authorization", "Bearer some-key"), ("CONVAI-API-KEY", "some-key"), ("Content-Type", "application/json"));

    public override int Share => 4;

    public override IReadOnlyList<byte[]> Seeds { get; } =
    [
        Utf8("""{"agent_id":"agent_1","user_id":"user-1","participant_name":"Ann","dynamic_variables":{"plan":"gold","n":1.5,"b":true},"conversation_config_override":{"agent":{"first_message":"Hi","prompt":{"prompt":"x"}}}}"""),
        Utf8("""{"kind":"signed_url","agent_id":"agent_1","subject":"user-1","start_within_seconds":60,"max_duration_seconds":300,"uses":2,"fix_conversation":false,"origins":["app.example.com"],"dynamic_variables":{"plan":"gold"}}"""),
        Utf8("""{"kind":"client_secret","agent_id":"agent_1","overrides":{"instructions":"Be brief"}}"""),
        Utf8("""{"session":{"type":"realtime","model":"agent_1","instructions":"Be brief","audio":{"output":{"voice":"x"}}},"expires_after":{"anchor":"created_at","seconds":600}}"""),
        Utf8("""{"model":"agent_1","agent_id":"agent_1","user_id":"user-1","single_use":true,"max_session_duration_seconds":60,"allowed_origins":["app.example.com"],"fixed":["instructions"],"instructions":"x","modalities":["text"]}"""),
        Utf8("""{"end_user_id":"user-1","character_id":"agent_1"}"""),
        Utf8("""{"apiAuthToken":"pat_00000000000000000000000000000000000000000000000000000000000000000"}"""),
    ];

    public override void Try(ReadOnlySpan<byte> input, Dice dice)
    {
        var dialect = dice.Of(All);
        var request = Wires.Request("", Headers) with { Body = input.ToArray() };
        foreach (var route in dialect.Mints)
        {
            if (route.Read(request).IsDenied(out var denial, out var mint))
            {
                Refused(dialect, denial);
                continue;
            }
            // What is read must go on to the ledger: policy refuses it, or it can be written.
            if (MintPolicy.Decide(Core.Projects.ProjectId.Default, Node.Agent(), mint, Lifetimes, Forge.Now).IsDenied(out denial, out var grant))
            {
                Refused(dialect, denial);
                continue;
            }
            JsonSerializer.Serialize(mint.Fixed.Variables, JsonSerializerOptions.Strict);
            JsonSerializer.Serialize(mint.Fixed.Fields, JsonSerializerOptions.Strict);
            JsonSerializer.Serialize(mint.Fixed.Defaults, JsonSerializerOptions.Strict);
            var credential = Forge.Issue(mint.Kind, grant: grant with { Agent = Node.Agent().Id });
            Require(!mint.Kind.IsSigned() || Forge.Verdict(credential.Text.Value, mint.Kind) is null, "a grant that does not verify");
        }
        foreach (var route in dialect.Changes)
        {
            Refused(dialect, route.Read(request).Denial);
        }
    }

    private static void Refused(Dialect dialect, Core.Denial? denial)
    {
        if (denial is not null)
        {
            var status = dialect.Refuse(denial).Status;
            Require(status is >= 400 and < 500 or 503, $"{dialect.Name}: status {status} for {denial.Reason}");
        }
    }
}

/// <summary>Changed query strings and first messages for every dialect that holds conversations.</summary>
internal sealed class VendorSockets : Target
{
    private static readonly SocketDialect[] Sockets = [.. Server.Dialects.Dialects.All.OfType<SocketDialect>()];

    public override int Share => 3;

    public override IReadOnlyList<byte[]> Seeds { get; } =
    [
        Utf8("?model=agent_1&agent_id=agent_1"), Utf8("?model=agent_1&token=ek_x"), Utf8("?agent_id=agent_1&token=" + Forge.Issue(CredentialKind.ClientSecret).Text.Value),
        Utf8("""{"type":"session.update","session":{"type":"realtime","instructions":"x","modalities":["text"],"voice":"v"}}"""),
        Utf8("""{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}}"""),
        Utf8("""{"type":"conversation_initiation_client_data","dynamic_variables":{"x":1}}"""),
    ];

    public override void Try(ReadOnlySpan<byte> input, Dice dice)
    {
        var dialect = dice.Of(Sockets);
        if (dice.Next(2) == 0)
        {
            Answered(dialect, dialect.ReadConnect(Wires.Request(Text(input, dice), new HeaderDictionary())).Denial);
        }
        else
        {
            Answered(dialect, dialect.ReadOpening(Node.Session("credential", 1, Forge.Now), input.ToArray()).Denial);
        }
    }

    private static void Answered(SocketDialect dialect, Core.Denial? denial)
    {
        if (denial is null)
        {
            return;
        }
        var status = dialect.Refuse(denial).Status;
        Require(status is >= 400 and < 500 or 503, $"{dialect.Name}: status {status} for {denial.Reason}");
        var close = dialect.Turn(denial).Close;
        Require(System.Text.Encoding.UTF8.GetByteCount(close.Reason) <= 123, $"{dialect.Name}: close reason '{close.Reason}' is too long");
    }
}
