using System.Text;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using static Postern.Tests.Credentials.UserTokenForge;

namespace Postern.Tests.Credentials;

/// <summary>The one verifier of user tokens. Every text carries a genuine signature where it can have one: what is refused is refused for what it says.</summary>
public sealed class UserTokenVerifierTests
{
    private static readonly long Soon = Now.ToUnixTimeSeconds() + 3600;

    [Theory]
    [InlineData("""{"alg":"HS256","typ":"JWT","kid":"11111111-2222-3333-4444-555555555555"}""")]
    [InlineData("""{"typ":"JWT","kid":"11111111-2222-3333-4444-555555555555","alg":"HS256"}""")]
    [InlineData("""{ "alg" : "HS256" , "kid" : "11111111-2222-3333-4444-555555555555" }""")]
    [InlineData("""{"alg":"HS256","kid":"11111111-2222-3333-4444-555555555555","cty":"x","other":{"a":[1,2]}}""")]
    public void Token_OfAnHonestSigner_NamesItsUser(string header) => Assert.Equal("alice", Subject(Sign(header, HonestClaims)));

    // Section 7 of the contract: made with the vendor's own function. Its key is shorter than any that can be stored.
    [Fact]
    public void Token_OfTheVendorsOwnFunction_IsAccepted()
    {
        const string token =
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjExMTExMTExLTIyMjItMzMzMy00NDQ0LTU1NTU1NTU1NTU1NSJ9."
            + "eyJzdWIiOiJhbGljZSIsImV4cCI6MTc5NTI5MDYxMn0.P77noId-7ki9Tis9Rcjf-kFGKJ4K1_nhXT6Ugb1Dnzw";
        var directory = Directory(Key(secret: "sk-alg-test"));
        var expires = DateTimeOffset.FromUnixTimeSeconds(1795290612);

        Assert.Null(Verdict(token, directory, now: expires.AddHours(-24)));
        Assert.Null(Verdict(token, directory, now: expires.AddSeconds(29)));
        Assert.Equal(DenialReason.Expired, Verdict(token, directory, now: expires.AddSeconds(30))!.Reason);
        Assert.Equal(DenialReason.CredentialMalformed, Verdict(token, directory, now: expires.AddHours(-24).AddSeconds(-31))!.Reason);
    }

    [Fact]
    [Trait("attack", "A9")]
    public void Token_EveryBitFlipped_IsRefused()
    {
        var token = Token(HonestClaims);
        var directory = Directory();
        for (var i = 0; i < token.Length; i++)
        {
            for (var bit = 0; bit < 8; bit++)
            {
                var changed = token.ToCharArray();
                changed[i] ^= (char)(1 << bit);
                Assert.NotNull(Verdict(new string(changed), directory));
            }
            Assert.NotNull(Verdict(token[..i], directory));
            Assert.NotNull(Verdict(token.Remove(i, 1), directory));
            Assert.NotNull(Verdict(token.Insert(i, "A"), directory));
        }
        Assert.Null(Verdict(token, directory));
    }

    [Fact]
    [Trait("attack", "A9")]
    public void Signature_EveryBitAndEveryLength_IsChecked()
    {
        var token = Token(HonestClaims);
        var dot = token.LastIndexOf('.');
        var mac = new byte[32];
        Assert.True(Base64Text.TryDecode(Encoding.ASCII.GetBytes(token[(dot + 1)..]), mac, out _));

        for (var bit = 0; bit < 256; bit++)
        {
            var flipped = mac.ToArray();
            flipped[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Equal(DenialReason.BadSignature, Verdict($"{token[..dot]}.{Base64Text.Encode(flipped)}")!.Reason);
        }
        for (var length = 0; length < 64; length++)
        {
            var resized = new byte[length];
            mac.AsSpan(0, Math.Min(32, length)).CopyTo(resized);
            Assert.Equal(length == 32, Verdict($"{token[..dot]}.{Base64Text.Encode(resized)}") is null);
        }
    }

    [Theory]
    [Trait("attack", "A1")]
    [InlineData("none")]
    [InlineData("None")]
    [InlineData("nOnE")]
    [InlineData("NONE")]
    public void Algorithm_None_IsRefusedWithAnySignature(string algorithm)
    {
        var signed = Sign(HonestHeader.Replace("HS256", algorithm, StringComparison.Ordinal), HonestClaims);
        var body = signed[..(signed.LastIndexOf('.') + 1)];
        foreach (var text in new[] { body, body + "junk", body + new string('A', 43), signed, body + Token(HonestClaims).Split('.')[2] })
        {
            Assert.Equal(DenialReason.CredentialMalformed, Verdict(text)!.Reason);
        }
    }

    [Theory]
    [Trait("attack", "A2")]
    [InlineData("\"RS256\"")]
    [InlineData("\"ES256\"")]
    [InlineData("\"PS256\"")]
    [InlineData("\"HS384\"")]
    [InlineData("\"HS512\"")]
    [InlineData("\"hs256\"")]
    [InlineData("\"HS256 \"")]
    [InlineData("[\"HS256\"]")]
    [InlineData("256")]
    [InlineData("null")]
    public void Algorithm_AnyOther_IsRefused(string algorithm) =>
        Assert.NotNull(Verdict(Sign($$"""{"alg":{{algorithm}},"kid":"{{Kid}}"}""", HonestClaims)));

    [Fact]
    [Trait("attack", "A3")]
    public void Key_PublicStringsAsSecret_AreRefused()
    {
        var (header, claims) = (Base64Text.Encode(Encoding.UTF8.GetBytes(HonestHeader)), Base64Text.Encode(Encoding.UTF8.GetBytes(HonestClaims)));
        foreach (var known in new[] { "", Kid, "default", "agent_echo", "alice", "HS256", "sk-alg-", Secret[7..], Secret[..^1], HonestHeader, header, claims, $"{header}.{claims}", Secret + "\n", " " + Secret, Secret.ToUpperInvariant() })
        {
            Assert.Equal(DenialReason.BadSignature, Verdict(Sign(HonestHeader, HonestClaims, known))!.Reason);
        }
    }

    [Theory]
    [Trait("attack", "A4")]
    [InlineData("\"crit\":[\"b64\"],\"b64\":false")]
    [InlineData("\"crit\":[]")]
    [InlineData("\"b64\":false")]
    [InlineData("\"zip\":\"DEF\"")]
    [InlineData("\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}")]
    [InlineData("\"jku\":\"http://127.0.0.1:1/keys\"")]
    [InlineData("\"x5u\":\"http://127.0.0.1:1/chain\"")]
    [InlineData("\"x5c\":[\"AA\"]")]
    public void Header_KeyOrExtensionInside_IsRefused(string member) =>
        Assert.NotNull(Verdict(Sign($$"""{"alg":"HS256","kid":"{{Kid}}",{{member}}}""", HonestClaims)));

    [Theory]
    [Trait("attack", "A5")]
    [InlineData("")]
    [InlineData("\"kid\":\"\"")]
    [InlineData("\"kid\":null")]
    [InlineData("\"kid\":1")]
    [InlineData("\"kid\":[\"11111111-2222-3333-4444-555555555555\"]")]
    [InlineData("\"kid\":\"../../dev/null\"")]
    [InlineData("\"kid\":\"' UNION SELECT 1 --\"")]
    [InlineData("\"kid\":\"|sleep 10\"")]
    [InlineData("\"kid\":\"11111111-2222-3333-4444-555555555555\\u0000\"")]
    [InlineData("\"kid\":\"11111111-2222-3333-4444-555555555555\\r\\n\"")]
    [InlineData("\"kid\":\"11111111-2222-3333-4444-55555555555５\"")]
    [InlineData("\"kid\":\"11111111-2222-3333-4444-555555555556\"")]
    [InlineData("\"kid\":\"11111111-2222-3333-4444-55555555555\\u0035\"")]
    public void KeyId_MissingOrHostile_IsRefused(string member) =>
        Assert.NotNull(Verdict(Sign($$"""{"alg":"HS256"{{(member.Length > 0 ? "," : "")}}{{member}}}""", HonestClaims)));

    [Fact]
    [Trait("attack", "A5")]
    public void KeyId_OfTenThousandBytes_IsRefused() =>
        Assert.NotNull(Verdict(Sign($$"""{"alg":"HS256","kid":"{{new string('k', 10_000)}}"}""", HonestClaims)));

    [Fact]
    [Trait("attack", "A6")]
    public void KeyId_OfAnotherProject_IsAsUnknownAsNone()
    {
        var directory = Directory(Key(), Key("theirs", project: "other"));
        var theirs = Sign("""{"alg":"HS256","kid":"theirs"}""", HonestClaims);

        Assert.Equal(Verdict(Sign("""{"alg":"HS256","kid":"nobodys"}""", HonestClaims), directory), Verdict(theirs, directory));
        Assert.Null(Verdict(theirs, directory, "other"));
        Assert.NotNull(Verdict(Token(HonestClaims), directory, "other"));
        directory.RemoveUserTokenKey(Kid);
        Assert.Equal(Verdict(theirs, directory), Verdict(Token(HonestClaims), directory));
    }

    [Fact]
    [Trait("attack", "A6")]
    public void Agent_OutsideTheKeysScope_IsRefusedAndNeverCalledExpired()
    {
        var directory = Directory(Key(agents: [new AgentId("agent_1")]));

        Assert.Null(Verdict(Token(HonestClaims), directory, agent: new AgentId("agent_1")));
        Assert.Null(Verdict(Token(HonestClaims), directory));
        Assert.Equal(DenialReason.AgentMismatch, Verdict(Token(HonestClaims), directory, agent: new AgentId("agent_2"))!.Reason);
        Assert.Equal(DenialReason.AgentMismatch, Verdict(Token(HonestClaims), directory, agent: new AgentId("agent_2"), now: Now.AddDays(1))!.Reason);
    }

    [Fact]
    [Trait("attack", "A10")]
    public void Segments_InAnyOtherSpelling_AreRefused()
    {
        var parts = Token(HonestClaims).Split('.');
        for (var i = 0; i < 3; i++)
        {
            foreach (var spelling in new[] { parts[i] + "=", parts[i] + "==", parts[i] + "%3D", parts[i] + " ", " " + parts[i], parts[i] + "\n", parts[i].Insert(4, "\n"), parts[i].Insert(4, "+"), parts[i][..^1] + "/", parts[i] + "é", "" })
            {
                string[] changed = [.. parts];
                changed[i] = spelling;
                Assert.NotNull(Verdict(string.Join('.', changed)));
                // Signed as it stands, so that the decoder alone stands in the way.
                Assert.NotNull(Verdict(i == 2 ? string.Join('.', changed) : Seal($"{changed[0]}.{changed[1]}")));
            }
        }
    }

    [Fact]
    [Trait("attack", "A11")]
    public void Segments_OtherThanThree_AreRefused()
    {
        var token = Token(HonestClaims);
        var parts = token.Split('.');
        foreach (var shape in new[]
        {
            "", ".", "..", "...", parts[0], $"{parts[0]}.{parts[1]}", $"{parts[0]}..{parts[2]}", $".{parts[1]}.{parts[2]}", $"{parts[0]}.{parts[1]}.", $"{token}.", $".{token}", $"{token}.{parts[2]}",
            $"{parts[0]}.{parts[1]}.{parts[1]}.{parts[1]}.{parts[2]}", $$"""{"payload":"{{parts[1]}}","protected":"{{parts[0]}}","signature":"{{parts[2]}}"}""", $"Bearer {token}", $"\"{token}\"", $"{token},{token}",
            Seal($"{parts[0]}.{parts[1]}.{parts[1]}"), Seal($"{parts[0]}."),
            Sign(HonestHeader, $"\"{token}\""), Sign("""{"alg":"HS256","cty":"JWT","kid":"11111111-2222-3333-4444-555555555555"}""", token),
        })
        {
            Assert.NotNull(Verdict(shape));
        }
    }

    [Fact]
    [Trait("attack", "A18")]
    public void Token_LongOrDeep_IsRefusedWithoutWork()
    {
        var longest = Token(Claims("\"alice\"", Soon, new string(' ', 2600)));
        Assert.Null(Verdict(longest));
        Assert.InRange(longest.Length, 3500, 4096);
        var tooLong = Token(Claims("\"alice\"", Soon, new string(' ', 3200)));
        Verdict(tooLong);
        var directory = Directory();
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.NotNull(UserTokenVerifier.Verify(directory, ProjectId.Default, tooLong, null, Day, Now).Denial);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1024);

        Assert.NotNull(Verdict(Token(new string('[', 2500))));
        Assert.NotNull(Verdict(Sign(string.Concat(Enumerable.Repeat("{\"a\":", 150)), HonestClaims)));
        var encoded = Directory(Key(encodes: true));
        Assert.Null(Verdict(Token(Claims("\"alice\"", Soon, ",\"x\":[[[[[[[1]]]]]]]")), encoded));
        Assert.NotNull(Verdict(Token(Claims("\"alice\"", Soon, ",\"x\":[[[[[[[[1]]]]]]]]")), encoded));
    }

    [Fact]
    [Trait("attack", "A17")]
    public void Type_OfAnotherPurpose_IsRefused()
    {
        foreach (var type in new[] { "\"at+jwt\"", "\"postern-url\"", "\"JWE\"", "\"jwt\"", "\"\"", "null", "1", "[\"JWT\"]", "\"JWT \"" })
        {
            Assert.NotNull(Verdict(Sign($$"""{"alg":"HS256","kid":"{{Kid}}","typ":{{type}}}""", HonestClaims)));
        }
        // A genuine credential of ours is no user token, nor the other way round.
        Assert.NotNull(Verdict(Forge.Issue().Text.Value[4..]));
        Assert.NotNull(Forge.Verdict("psu_" + Token(HonestClaims)));
    }

    [Theory]
    [Trait("attack", "A17")]
    [InlineData("\"aud\":\"postern\"")]
    [InlineData("\"aud\":[\"postern\",\"other\"]")]
    [InlineData("\"aud\":[]")]
    [InlineData("\"aud\":null")]
    [InlineData("\"\\u0061ud\":\"postern\"")]
    public void Audience_OfAnything_IsRefusedEvenOfASignerThatEncodes(string member)
    {
        Assert.NotNull(Verdict(Token(Claims("\"alice\"", Soon, "," + member))));
        Assert.NotNull(Verdict(Token(Claims("\"alice\"", Soon, "," + member)), Directory(Key(encodes: true))));
    }

    [Fact]
    [Trait("attack", "A22")]
    public void CutOff_OfUserOrKey_RefusesWhatIsOlderOrDoesNotSay()
    {
        var issued = Now.ToUnixTimeSeconds();
        var (dated, undated) = (Token(Claims("\"alice\"", Soon, $",\"iat\":{issued}")), Token(HonestClaims));
        var bob = Token(Claims("\"bob\"", Soon));
        foreach (var (cutOff, accepted) in new[] { (Now.AddSeconds(-1), true), (Now, true), (Now.AddMilliseconds(1), false), (Now.AddSeconds(1), false) })
        {
            var directory = Directory();
            directory.CutOff(ProjectId.Default, "alice", cutOff);
            Assert.Equal(accepted, Verdict(dated, directory) is null);
            Assert.Equal(DenialReason.Revoked, Verdict(undated, directory)!.Reason);
            Assert.Null(Verdict(bob, directory));
            directory.CutOff(ProjectId.Default, "alice", null);
            Assert.Null(Verdict(undated, directory));
            Assert.Equal(accepted, Verdict(dated, Directory(Key(cutOff: cutOff))) is null);
            Assert.NotNull(Verdict(bob, Directory(Key(cutOff: cutOff))));
        }
    }

    [Fact]
    public void Token_OfAKnownUser_IsVerifiedWithoutAllocation()
    {
        var (token, directory) = (Token(HonestClaims), Directory());
        var accepted = 0;
        void Verify(int times)
        {
            for (var i = 0; i < times; i++)
            {
                accepted += UserTokenVerifier.Verify(directory, ProjectId.Default, token, null, Day, Now).IsDenied(out _, out _) ? 0 : 1;
            }
        }

        Verify(2000);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Verify(1000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(3000, accepted);
    }

    [Fact]
    public void Tokens_OfMoreUsersThanAreKept_NameEachTheirOwn()
    {
        var directory = Directory();
        for (var i = 0; i < 10_000; i++)
        {
            var name = $"user-{i % 5_000}";
            Assert.False(UserTokenVerifier.Verify(directory, ProjectId.Default, Token($$"""{"sub":"{{name}}","exp":{{Now.ToUnixTimeSeconds() + 60}}}"""), null, Day, Now).IsDenied(out _, out var user));
            Assert.Equal(name, user.Subject);
        }
    }
}
