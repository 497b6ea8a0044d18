using System.Text;
using Postern.Core;
using Postern.Core.Credentials;
using Postern.Core.Keys;
using Postern.Tests.Credentials;

namespace Postern.Tests.Fuzz;

/// <summary>Changed credentials: what verifies must be one that was issued, to the byte.</summary>
internal sealed class ForgedCredentials : Target
{
    private static readonly KeyRing Ring = new(
    [
        Forge.Key, new SigningKey("key-2", Forge.Secret("two"), SigningKeyState.Retiring, Forge.Now.AddHours(1)), new SigningKey("key-3", Forge.Secret("three"), SigningKeyState.Retired, null),
    ]);

    private static readonly CredentialKind[] Kinds = [.. Enum.GetValues<CredentialKind>().Where(kind => kind.IsSigned())];

    private static readonly byte[][] Issued =
    [
        .. from key in Ring.Keys.Take(2)
           from kind in Kinds.Where(CredentialKinds.IsSigned)
           from grant in new[] { Forge.Grant(), Forge.Grant() with { Subject = null, Uses = null, MaxDuration = null, Origins = [], ConversationId = null } }
           select Utf8(Forge.Issue(kind, key, grant).Text.Value),
    ];

    private static readonly HashSet<string> Genuine = [.. Issued.Select(Encoding.ASCII.GetString)];

    public override int Share => 31;

    // The retired key's signature is right, and believed by nobody.
    public override IReadOnlyList<byte[]> Seeds { get; } = [.. Issued, Utf8(Forge.Issue(key: Ring.Keys[2]).Text.Value)];

    public override void Try(ReadOnlySpan<byte> input, Dice dice)
    {
        var text = Text(input, dice);
        var kind = dice.Of(Kinds);
        var decision = CredentialVerifier.Verify(Ring, new CredentialText(text), kind, Forge.Now);
        if (decision.Denial is { } denial)
        {
            Require(denial.Reason is DenialReason.CredentialMalformed or DenialReason.BadSignature or DenialReason.WrongKind, denial.Reason.ToString());
            Require(!(Genuine.Contains(text) && text.StartsWith(kind.Prefix(), StringComparison.Ordinal)), "a genuine credential was refused");
            return;
        }
        Require(Genuine.Contains(text), "a forged credential was accepted");
    }
}

/// <summary>Changed compact JWS through the general reader: what verifies must be a seed, to the byte.</summary>
internal sealed class ForgedJws : Target
{
    private static readonly byte[][] Signed =
    [
        Utf8(Forge.Jws("""{"alg":"HS256"}""", """{"sub":"user-1"}""")),
        Utf8(Forge.Jws("""{"alg":"HS256","kid":"key-1"}""", "")),
        Utf8(Forge.Jws(""" {"typ":"JWT", "kid":"key-1", "alg":"HS256"} """, """{"sub":"user-1","exp":1800000900}""")),
    ];

    public override int Share => 14;
    public override IReadOnlyList<byte[]> Seeds => Signed;

    public override void Try(ReadOnlySpan<byte> input, Dice dice)
    {
        var lookedUp = false;
        var accepted = Forge.Accepts(input, kid =>
        {
            lookedUp = true;
            Require(kid is null || SigningKey.IsId(kid), "a hostile key id came to a look-up");
            return kid is null or "key-1" ? Forge.Key : null;
        }, out var payload, out var wellFormed);
        Require(!lookedUp || wellFormed || !accepted, "accepted, but no JWS");
        if (accepted)
        {
            Require(Any(input), "a forged JWS was accepted");
        }
        else
        {
            Require(payload.Length == 0, "a refused payload was handed out");
        }
    }

    private static bool Any(ReadOnlySpan<byte> input)
    {
        foreach (var seed in Signed)
        {
            if (input.SequenceEqual(seed))
            {
                return true;
            }
        }
        return false;
    }
}

/// <summary>Changed claims under a genuine signature: a signature proves who wrote them, not that they make sense.</summary>
internal sealed class SignedNonsense : Target
{
    private const string Everything =
        """{"jti":"id","prj":"default","agt":"agent_1","sub":"user-1","iat":1800000000,"exp":1800000900,"use":1,"dur":300,"cid":"conv_1","org":["app.example.com","b.example"]}""";

    private static readonly SigningKey Forger = new("key-1", Forge.Secret("guessed"), SigningKeyState.Active, null);

    public override int Share => 8;
    public override IReadOnlyList<byte[]> Seeds { get; } = [Utf8(Everything), Utf8(Forge.HonestClaims)];

    public override void Try(ReadOnlySpan<byte> input, Dice dice)
    {
        var forged = dice.Next(4) == 0;
        var text = "psu_" + Forge.Jws("""{"alg":"HS256","typ":"postern-url","kid":"key-1"}"""u8, input, forged ? Forger : Forge.Key);
        if (CredentialVerifier.Verify(Forge.Ring, new CredentialText(text), CredentialKind.SignedUrl, Forge.Now).IsDenied(out var denial, out var credential))
        {
            Require(denial.Reason is DenialReason.CredentialMalformed or DenialReason.BadSignature, denial.Reason.ToString());
            return;
        }
        Require(!forged, "another key's signature was accepted");
        var grant = credential.Grant;
        Require(credential.Id.Value.Length > 0 && grant.Project.Value.Length > 0 && grant.Agent is { Value.Length: > 0 } && grant.Subject is not "" && grant.ConversationId is not "", "an empty name");
        Require(grant.StartBy > DateTimeOffset.UnixEpoch && grant.Uses is null or > 0 && (grant.MaxDuration ?? TimeSpan.MaxValue) > TimeSpan.Zero && !grant.Origins.IsDefault, "a number out of range");
    }
}
