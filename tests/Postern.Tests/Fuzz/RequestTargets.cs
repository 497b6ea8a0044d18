using Microsoft.AspNetCore.Http;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Flow;
using Postern.Tests.Credentials;

namespace Postern.Tests.Fuzz;

/// <summary>Changed Origin headers against an allowlist: what passes must be on it, to the byte.</summary>
internal sealed class Origins : Target
{
    private static readonly string[] Canonical =
        ["https://example.com", "https://app.example.com:8443", "http://localhost:3000", "https://localhost:3000", "https://xn--bcher-kva.example", "http://[::1]:5000", "https://[::1]:5000", "http://intern.example:8080"];

    private static readonly HashSet<string> Allowed = [.. Canonical];
    private static readonly AllowedHost[] Hosts = [.. new[] { "example.com", "app.example.com:8443", "localhost:3000", "bücher.example", "[::1]:5000", "http://intern.example:8080" }.Select(Parse)];

    public override int Share => 20;

    public override IReadOnlyList<byte[]> Seeds { get; } =
        [.. Canonical.Concat(["null", "file://", "https://example.com.evil.com", "chrome-extension://abc", "https://user@example.com", "https://example.com:443", "HTTPS://EXAMPLE.COM"]).Select(Utf8)];

    public override void Try(ReadOnlySpan<byte> input, Dice dice)
    {
        var origin = Text(input, dice);
        var passes = false;
        foreach (var host in Hosts)
        {
            passes |= host.Allows(origin);
        }
        Require(passes == Allowed.Contains(origin), passes ? "a foreign origin passed" : "a listed origin was refused");
        if (dice.Next(8) == 0)
        {
            _ = AllowedHost.HostOf(origin);
            // The same text as an entry that an operator saves: read or refused, and its normal form reads to itself.
            if (AllowedHost.TryParse(origin, out var entry, out var problem))
            {
                Require(AllowedHost.TryParse(entry.ToString(), out var again, out _) && again == entry, "a normal form that is none: " + entry);
            }
            else
            {
                Require(problem.Length > 0, "refused without a sentence");
            }
        }
    }

    private static AllowedHost Parse(string text) => AllowedHost.TryParse(text, out var host, out var problem) ? host : throw new FuzzFinding(problem);
}

/// <summary>Changed Sec-WebSocket-Protocol lists, and what the dialect makes of them.</summary>
internal sealed class Protocols : Target
{
    private static readonly string Genuine = Forge.Issue().Text.Value;
    private readonly DefaultHttpContext context = new();
    private readonly QueryCollection query = new(new Dictionary<string, Microsoft.Extensions.Primitives.StringValues> { ["agent_id"] = "agent_1" });

    public override int Share => 7;
    public override IReadOnlyList<byte[]> Seeds { get; } =
        [Utf8("convai"), Utf8("convai, bearer." + Genuine), Utf8("bearer." + Genuine), Utf8("a, b, c, d, convai"), Utf8("realtime, openai-insecure-api-key.ek_abc")];

    public override void Try(ReadOnlySpan<byte> input, Dice dice)
    {
        var text = Text(input, dice);
        context.Request.Headers.SecWebSocketProtocol = dice.Next(4) == 0 ? new Microsoft.Extensions.Primitives.StringValues([text, "convai"]) : text;
        if (WebSocketHandshake.OfferedProtocols(context) is not { } offered)
        {
            return;
        }
        Require(offered.Count <= 16 && offered.Distinct(StringComparer.Ordinal).Count() == offered.Count && offered.All(HttpTokens), "not a list of different tokens");
        Require(Dialect.Subprotocol(offered) is null or "convai", "a secret was selected");
        var decision = Dialect.ReadConnect(new WireRequest(query, context.Request.Headers, "127.0.0.1", offered, default));
        if (decision.IsDenied(out var denial, out var connect))
        {
            Answered(denial);
            return;
        }
        Require(offered.Count(protocol => protocol.StartsWith("bearer.", StringComparison.Ordinal) && protocol.Length > 7) == (connect.Credential is null ? 0 : 1), "not exactly one credential");
    }

    private static bool HttpTokens(string text) => HttpText.IsToken(text);
}

/// <summary>Changed query strings, for the mint and for the conversation.</summary>
internal sealed class Queries : Target
{
    public override int Share => 6;
    public override IReadOnlyList<byte[]> Seeds { get; } =
    [
        Utf8("?agent_id=agent_1"), Utf8("?agent_id=agent_1&include_conversation_id=true"), Utf8("?agent_id=agent_1&include_conversation_id=false&x=1"),
        Utf8("?agent_id=agent_1&conversation_signature=" + Forge.Issue().Text.Value), Utf8("?agent_id=agent_1&token=abc&conversation_id=conv_1"),
    ];

    public override void Try(ReadOnlySpan<byte> input, Dice dice)
    {
        var request = Wires.Request(Text(input, dice));
        foreach (var route in Dialect.Mints)
        {
            if (route.Read(request).IsDenied(out var denial, out var mint))
            {
                Answered(denial);
            }
            else
            {
                Require(mint.Agent is { } named && AgentIdText.IsValid(named.Value) && mint.StartWithin is null && mint.Uses is null && mint.Key is null, "more was read than may be said");
            }
        }
        if (Dialect.ReadConnect(request).IsDenied(out var refused, out var connect))
        {
            Answered(refused);
            return;
        }
        Require(connect.Agent is not { } agent || AgentIdText.IsValid(agent.Value), "an agent of a hostile form");
        Require(connect.Kind == CredentialKind.SignedUrl, "another kind");
    }
}
