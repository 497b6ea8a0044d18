using System.Text;
using Postern.Core;
using Postern.Core.Credentials;
using Postern.Core.Keys;
using Postern.Core.Projects;

namespace Postern.Tests.Credentials;

public sealed class CredentialVerifierTests
{
    private const string Characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=%+/ ~\0\né";

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Issued_EveryKind_VerifiesToTheSameGrant(CredentialKind kind)
    {
        var credential = Forge.Issue(kind);

        Assert.False(CredentialVerifier.Verify(Forge.Ring, credential.Text, kind, Forge.Now).IsDenied(out _, out var verified));
        Assert.Equal((credential.Id, kind, "key-1"), (verified.Id, verified.Kind, verified.KeyId));
        Assert.Equal(credential.Grant with { Origins = [] }, verified.Grant with { Origins = [] });
        Assert.Equal(credential.Grant.Origins.AsEnumerable(), verified.Grant.Origins);
    }

    [Fact]
    [Trait("attack", "A9")]
    public void Mac_EachOf256Bits_IsChecked()
    {
        var text = Forge.Issue().Text.Value;
        var dot = text.LastIndexOf('.');
        var mac = new byte[32];
        Assert.True(Base64Text.TryDecode(Encoding.ASCII.GetBytes(text[(dot + 1)..]), mac, out _));

        for (var bit = 0; bit < 256; bit++)
        {
            mac[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Equal(DenialReason.BadSignature, Forge.Verdict($"{text[..dot]}.{Base64Text.Encode(mac)}"));
            mac[bit / 8] ^= (byte)(1 << (bit % 8));
        }
        Assert.Null(Forge.Verdict($"{text[..dot]}.{Base64Text.Encode(mac)}"));
    }

    [Fact]
    [Trait("attack", "B1")]
    public void Text_EverySingleCharacterChange_IsRefused()
    {
        var text = Forge.Issue().Text.Value;
        var tried = 0;
        for (var at = 0; at < text.Length; at++)
        {
            foreach (var other in Characters)
            {
                if (other != text[at])
                {
                    Assert.NotNull(Forge.Verdict(string.Concat(text.AsSpan(0, at), [other], text.AsSpan(at + 1)))); // replaced
                    tried++;
                }
                Assert.NotNull(Forge.Verdict(text.Insert(at, other.ToString()))); // inserted
            }
            Assert.NotNull(Forge.Verdict(text.Remove(at, 1))); // left out
            Assert.NotNull(Forge.Verdict(text[..at])); // cut
            if (at > 0)
            {
                Assert.NotNull(Forge.Verdict(text[at..]));
            }
            if (at > 0 && text[at] != text[at - 1])
            {
                Assert.NotNull(Forge.Verdict(string.Concat(text.AsSpan(0, at - 1), [text[at], text[at - 1]], text.AsSpan(at + 1)))); // swapped
            }
        }

        Assert.True(tried > 20_000, $"{tried}");
        Assert.Null(Forge.Verdict(text));
    }

    [Fact]
    [Trait("attack", "A9")]
    public void Text_Extended_IsRefused()
    {
        var text = Forge.Issue().Text.Value;
        foreach (var tail in new[] { "A", "AA", "AAAA", "=", "==", ".", ".A", "&x=1", "#", "\n", " ", "\0", text })
        {
            Assert.NotNull(Forge.Verdict(text + tail));
            Assert.NotNull(Forge.Verdict(tail + text));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    [Trait("attack", "A19")]
    public void Kind_InAnotherKindsSlot_IsRefused(CredentialKind kind)
    {
        var text = Forge.Issue(kind).Text.Value;
        Assert.Equal(DenialReason.WrongKind, Forge.Verdict(text, CredentialKind.PersonalAccessToken));
        foreach (var slot in Kinds.Select(row => row.Data).Where(slot => slot != kind))
        {
            Assert.Equal(DenialReason.WrongKind, Forge.Verdict(text, slot));
            // With the other kind's prefix in front: the header says what it is, and is signed.
            var disguised = slot.Prefix() + text[kind.Prefix().Length..];
            Assert.Equal(DenialReason.BadSignature, Forge.Verdict(disguised, slot));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    [Trait("attack", "A19")]
    public void ApiKey_InACredentialsSlot_IsRefusedByKind(CredentialKind slot) =>
        Assert.Equal(DenialReason.WrongKind, Forge.Verdict(ApiKeyText.Create(), slot));

    [Theory]
    [MemberData(nameof(Kinds))]
    [Trait("attack", "B17")]
    public void Credential_PrintedByWhateverHoldsIt_ShowsNoText(CredentialKind kind)
    {
        var credential = Forge.Issue(kind);

        foreach (var printed in new[] { $"{credential.Text}", $"{credential}", $"{new ConnectRequest(kind, credential.Text, null, null, null)}" })
        {
            Assert.Contains("[credential]", printed, StringComparison.Ordinal);
            Assert.DoesNotContain(credential.Text.Value, printed, StringComparison.Ordinal);
        }
    }

    [Fact]
    [Trait("attack", "A19")]
    public void Credential_InAnApiKeysSlot_IsRefused()
    {
        var directory = new Core.Directory(Forge.Ring);
        foreach (var kind in Enum.GetValues<CredentialKind>())
        {
            Assert.Equal(DenialReason.WrongKind, directory.Verify(Forge.Issue(kind).Text.Value, Scopes.Mint).Denial?.Reason);
        }
    }

    [Theory]
    [Trait("attack", "A2")]
    [Trait("attack", "A17")]
    [InlineData("""{"alg":"HS256","typ":"postern-secret","kid":"key-1"}""")]
    [InlineData("""{"alg":"HS256","typ":"JWT","kid":"key-1"}""")]
    [InlineData("""{"alg":"HS256","kid":"key-1"}""")]
    [InlineData("""{"alg":"HS256","typ":"postern-url"}""")]
    [InlineData("""{"alg":"HS256","typ":"POSTERN-URL","kid":"key-1"}""")]
    [InlineData("""{"typ":"postern-url","alg":"HS256","kid":"key-1"}""")]
    [InlineData("""{ "alg":"HS256","typ":"postern-url","kid":"key-1"}""")]
    [InlineData("""{"alg":"HS256","typ":"postern-url","kid":"key-2"}""")]
    [InlineData("""{"alg":"none","typ":"postern-url","kid":"key-1"}""")]
    [InlineData("""{"alg":"HS512","typ":"postern-url","kid":"key-1"}""")]
    [InlineData("""{"alg":"HS256","typ":"postern-url","kid":"key-1","crit":["x"]}""")]
    public void Header_AnyOtherThanOurs_IsRefusedThoughSigned(string header) =>
        Assert.Equal(DenialReason.BadSignature, Forge.Verdict("psu_" + Forge.Jws(header, Forge.HonestClaims)));

    [Fact]
    [Trait("attack", "A6")]
    public void Key_OfAnotherInstallation_IsRefused()
    {
        var other = new SigningKey("key-1", Forge.Secret("two"), SigningKeyState.Active, null);
        Assert.Equal(DenialReason.BadSignature, Forge.Verdict(Forge.Issue(key: other).Text.Value));
    }

    [Fact]
    [Trait("attack", "A21")]
    public void Key_Retiring_VerifiesUntilItsTimeThenNever()
    {
        var until = Forge.Now.AddHours(1);
        var text = Forge.Issue().Text.Value;
        var ring = new KeyRing(
        [
            new SigningKey("key-2", Forge.Secret("two"), SigningKeyState.Active, null),
            new SigningKey("key-1", Forge.Secret("one"), SigningKeyState.Retiring, until),
        ]);

        Assert.Null(Forge.Verdict(text, ring: ring, now: Forge.Now));
        Assert.Null(Forge.Verdict(text, ring: ring, now: until.AddTicks(-1)));
        Assert.Equal(DenialReason.BadSignature, Forge.Verdict(text, ring: ring, now: until));
        Assert.Equal(DenialReason.BadSignature, Forge.Verdict(text, ring: ring, now: until.AddYears(10)));
    }

    [Theory]
    [Trait("attack", "A6")]
    [InlineData(SigningKeyState.Retired)]
    [InlineData(SigningKeyState.Retiring)] // without a time it verifies nothing
    [InlineData((SigningKeyState)9)]
    public void Key_NotInUse_VerifiesNothing(SigningKeyState state)
    {
        var ring = new KeyRing([new SigningKey("key-2", Forge.Secret("two"), SigningKeyState.Active, null), new SigningKey("key-1", Forge.Secret("one"), state, null)]);
        Assert.Equal(DenialReason.BadSignature, Forge.Verdict(Forge.Issue().Text.Value, ring: ring));
    }

    [Fact]
    [Trait("attack", "A7")]
    public void Ring_TwoKeysOfOneId_CannotBeMade()
    {
        var twin = new SigningKey("key-1", Forge.Secret("two"), SigningKeyState.Retiring, Forge.Now.AddHours(1));
        Assert.Throws<ArgumentException>(() => new KeyRing([Forge.Key, twin]));
        Assert.Throws<ArgumentException>(() => new KeyRing([Forge.Key, new SigningKey("key-2", Forge.Secret("two"), SigningKeyState.Active, null)]));
        Assert.Throws<ArgumentException>(() => new KeyRing([]));
    }

    [Theory]
    [Trait("attack", "A13")]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("\"1800000900\"")]
    [InlineData("1800000900.0")]
    [InlineData("1800000900.5")]
    [InlineData("18e8")]
    [InlineData("1e400")]
    [InlineData("-1")]
    [InlineData("0")]
    [InlineData("-0")]
    [InlineData("253402300800")]
    [InlineData("9007199254740993")]
    [InlineData("9223372036854775807")]
    [InlineData("9223372036854775808")]
    [InlineData("[1800000900]")]
    [InlineData("true")]
    public void StartBy_NotAnIntegerInRange_IsMalformed(string value)
    {
        var member = value.Length == 0 ? "" : $",\"exp\":{value}";
        Assert.Equal(DenialReason.CredentialMalformed, Forge.Verdict(Forge.SignedUrl($$"""{"jti":"id","prj":"default","agt":"agent_1","iat":1800000000{{member}}}""")));
    }

    // Random bits that only the ledger knows: nothing that the verifier could believe by itself.
    [Fact]
    [Trait("attack", "A19")]
    public void Opaque_Kind_IsNeverVerifiedWithoutTheLedger()
    {
        var issued = Forge.Issue(CredentialKind.PersonalAccessToken);
        var token = issued.Text;

        Assert.Equal(issued.Id, CredentialVerifier.ReadOpaque(token, CredentialKind.PersonalAccessToken)?.Id);
        Assert.Equal(DenialReason.CredentialMalformed, Forge.Verdict(token.Value, CredentialKind.PersonalAccessToken));
        Assert.Equal(DenialReason.CredentialMalformed, Forge.Verdict("pat_" + Forge.Jws(Forge.HonestHeader, Forge.HonestClaims), CredentialKind.PersonalAccessToken));
        foreach (var slot in Kinds.Select(row => row.Data))
        {
            Assert.Equal(DenialReason.WrongKind, Forge.Verdict(token.Value, slot));
        }
        foreach (var other in new[] { "", "pat_", token.Value + "A", token.Value[..^1], " " + token.Value, token.Value[..^1] + "=", "PAT_" + token.Value[4..], "psu_" + token.Value[4..] })
        {
            Assert.Null(CredentialVerifier.ReadOpaque(new CredentialText(other), CredentialKind.PersonalAccessToken));
        }
    }

    [Fact]
    public void Print_Credential_ShowsNoText()
    {
        var credential = Forge.Issue();
        Assert.DoesNotContain(credential.Text.Value[10..40], $"{credential} {credential.Text}", StringComparison.Ordinal);
    }

    public static TheoryData<CredentialKind> Kinds => new(Enum.GetValues<CredentialKind>().Where(kind => kind.IsSigned()));
}
