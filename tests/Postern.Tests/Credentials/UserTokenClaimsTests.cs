using System.Text;
using System.Text.Json;
using Postern.Core;
using static Postern.Tests.Credentials.UserTokenForge;

namespace Postern.Tests.Credentials;

/// <summary>What the claims of a user token may say, under a genuine signature: who signs does not always choose what is signed.</summary>
public sealed class UserTokenClaimsTests
{
    private static readonly long Time = Now.ToUnixTimeSeconds();
    private static readonly long Soon = Time + 3600;

    // The three forms that the vendor's concatenating functions sign for a user who chooses the own id (contract, section 7).
    [Theory]
    [Trait("attack", "A12")]
    [InlineData("mallory\",\"sub\":\"alice")]
    [InlineData("alice\",\"x\":\"")]
    [InlineData("\\u0061lice")]
    [InlineData("mallory\",\"s\\u0075b\":\"alice")]
    [InlineData("alice\",\"exp\":1800003600,\"iat\":1799999999,\"x\":\"")]
    [InlineData("alice\",\"SUB\":\"")]
    public void Concatenated_UserIdOfTheUsersChoosing_IsRefused(string id)
    {
        var concatenated = Token("{\"sub\":\"" + id + "\",\"exp\":" + Soon + "}");

        Assert.Equal(DenialReason.CredentialMalformed, Verdict(concatenated)!.Reason);
        // The same id from a signer that encodes is itself, and nobody else, for a key that is said to have such a signer.
        var encoded = Token(Claims(JsonSerializer.Serialize(id), Soon));
        Assert.Equal(id, Subject(encoded, Directory(Key(encodes: true))));
    }

    [Theory]
    [Trait("attack", "A12")]
    [InlineData("""{"sub":"a","sub":"a","exp":1800003600}""")]
    [InlineData("""{"sub":"a","exp":1800003600,"exp":1800003600}""")]
    [InlineData("""{"sub":"a","s\u0075b":"b","exp":1800003600}""")]
    [InlineData("""{"sub":"a","exp":1800003600,"iat":1800000000,"iat":1800000000}""")]
    [InlineData("""{"sub":"a","exp":1800003600,"x":{"y":1,"y":2}}""")]
    [InlineData("""{"sub":"a","exp":1800003600,"x":[{"y":1,"\u0079":2}]}""")]
    public void Members_Twice_AreRefusedWhateverTheSigner(string claims)
    {
        Assert.NotNull(Verdict(Token(claims)));
        Assert.NotNull(Verdict(Token(claims), Directory(Key(encodes: true))));
    }

    [Theory]
    [Trait("attack", "A12")]
    [InlineData("\"SUB\":\"bob\"")]
    [InlineData("\"Exp\":1")]
    [InlineData("\"admin\":true")]
    [InlineData("\"iss\":\"shop\"")]
    [InlineData("\"jti\":\"1\"")]
    [InlineData("\"\":\"\"")]
    public void Members_FurtherOnes_AreRefusedUnlessTheSignerEncodes(string member)
    {
        Assert.NotNull(Verdict(Token(Claims("\"alice\"", Soon, "," + member))));
        Assert.Equal("alice", Subject(Token(Claims("\"alice\"", Soon, "," + member)), Directory(Key(encodes: true))));
    }

    [Theory]
    [Trait("attack", "A13")]
    [InlineData("null")]
    [InlineData("\"1800003600\"")]
    [InlineData("1800003600.0")]
    [InlineData("1800003600.5")]
    [InlineData("1.8000036e9")]
    [InlineData("1e10")]
    [InlineData("1e400")]
    [InlineData("-1")]
    [InlineData("-0")]
    [InlineData("0")]
    [InlineData("9007199254740992")]
    [InlineData("9223372036854775807")]
    [InlineData("9223372036854775808")]
    [InlineData("253402300800")]
    [InlineData("true")]
    [InlineData("[1800003600]")]
    [InlineData("{}")]
    [InlineData("01800003600")]
    public void Expiry_NotATimeInRange_IsRefused(string expires)
    {
        foreach (var directory in new[] { Directory(), Directory(Key(encodes: true)) })
        {
            Assert.Equal(DenialReason.CredentialMalformed, Verdict(Token($$"""{"sub":"alice","exp":{{expires}}}"""), directory)!.Reason);
            Assert.Equal(DenialReason.CredentialMalformed, Verdict(Token($$"""{"sub":"alice","exp":{{Soon}},"iat":{{expires}}}"""), directory)!.Reason);
            Assert.Equal(DenialReason.CredentialMalformed, Verdict(Token($$"""{"sub":"alice","exp":{{Soon}},"nbf":{{expires}}}"""), directory)!.Reason);
        }
        Assert.NotNull(Verdict(Token("""{"sub":"alice"}""")));
        Assert.NotNull(Verdict(Token($$"""{"exp":{{Soon}}}""")));
    }

    [Fact]
    [Trait("attack", "A14")]
    public void Lifetime_Boundary_IsADayAndTheLeeway()
    {
        Assert.Null(Verdict(Token(Claims("\"alice\"", Time + 86400 + 30))));
        Assert.NotNull(Verdict(Token(Claims("\"alice\"", Time + 86400 + 31))));
        // Counted from iat when there is one, however long ago or soon that is.
        Assert.Null(Verdict(Token(Claims("\"alice\"", Time + 86400 + 30, $",\"iat\":{Time}"))));
        Assert.NotNull(Verdict(Token(Claims("\"alice\"", Time + 86400 + 31, $",\"iat\":{Time}"))));
        Assert.NotNull(Verdict(Token(Claims("\"alice\"", Time + 60, $",\"iat\":{Time - 86400}"))));
        Assert.Null(Verdict(Token(Claims("\"alice\"", Time + 30, $",\"iat\":{Time - 86400}"))));
        Assert.NotNull(Verdict(Token(Claims("\"alice\"", 253402300799))));
    }

    [Fact]
    [Trait("attack", "A15")]
    public void Times_GridAroundNow_AreTakenWithinTheLeewayOnly()
    {
        for (var offset = -40; offset <= 40; offset++)
        {
            var expired = Verdict(Token(Claims("\"alice\"", Time + offset)));
            Assert.Equal(offset <= -30 ? DenialReason.Expired : null, expired?.Reason);
            Assert.Equal(offset <= 30, Verdict(Token(Claims("\"alice\"", Soon, $",\"iat\":{Time + offset}"))) is null);
            Assert.Equal(offset <= 30, Verdict(Token(Claims("\"alice\"", Soon, $",\"nbf\":{Time + offset}"))) is null);
        }
        // Within the second the clock may stand anywhere.
        Assert.Null(Verdict(Token(Claims("\"alice\"", Time - 30)), now: Now.AddMilliseconds(-1)));
        Assert.NotNull(Verdict(Token(Claims("\"alice\"", Time - 30)), now: Now));
    }

    [Fact]
    public void Expired_IsSaidOnlyOfATokenThatHoldsInAllElse()
    {
        var past = Time - 3600;
        Assert.Equal(DenialReason.Expired, Verdict(Token(Claims("\"alice\"", past)))!.Reason);
        foreach (var text in new[]
        {
            Sign(HonestHeader, Claims("\"alice\"", past), "another secret of more than thirty-two bytes"), Sign("""{"alg":"HS256","kid":"unknown"}""", Claims("\"alice\"", past)),
            Token(Claims("\"\"", past)), Token(Claims("\"alice\"", past, ",\"x\":1")), Token(Claims("\"\\u0061lice\"", past)), Token(Claims("\"alice\"", past, $",\"nbf\":{Soon}")),
            Token(Claims("\"alice\"", past, $",\"iat\":{past - 90000}")), Token($$"""{"exp":{{past}}}"""),
        })
        {
            Assert.NotEqual(DenialReason.Expired, Verdict(text)!.Reason);
        }
    }

    [Theory]
    [Trait("attack", "A16")]
    [InlineData("\"\"")]
    [InlineData("null")]
    [InlineData("1")]
    [InlineData("true")]
    [InlineData("[\"alice\"]")]
    [InlineData("{\"a\":\"alice\"}")]
    [InlineData("\"a\\u0000b\"")]
    [InlineData("\"a\\r\\nb\"")]
    [InlineData("\"a\u007fb\"")]
    [InlineData("\"a\u0085b\"")]
    [InlineData("\"\\ud800\"")]
    [InlineData("\"\\udc00\\ud800\"")]
    public void Subject_NoUserId_IsRefusedWhateverTheSigner(string subject)
    {
        Assert.NotNull(Verdict(Token(Claims(subject, Soon))));
        Assert.NotNull(Verdict(Token(Claims(subject, Soon)), Directory(Key(encodes: true))));
    }

    [Fact]
    [Trait("attack", "A16")]
    public void Subject_AnyBytes_AreRefusedUnlessUtf8()
    {
        foreach (var bytes in new byte[][] { [0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82], [0x80], [0x00], [0x1f] })
        {
            byte[] claims = [.. "{\"sub\":\"a"u8, .. bytes, .. Encoding.ASCII.GetBytes($"\",\"exp\":{Soon}}}")];
            var token = Sign(Encoding.UTF8.GetBytes(HonestHeader), claims);
            Assert.Equal(DenialReason.CredentialMalformed, Verdict(token)!.Reason);
            Assert.Equal(DenialReason.CredentialMalformed, Verdict(token, Directory(Key(encodes: true)))!.Reason);
            byte[] name = [.. Encoding.ASCII.GetBytes(HonestClaims[..^1]), .. ",\"a"u8, .. bytes, .. "\":1}"u8];
            Assert.NotNull(Verdict(Sign(Encoding.UTF8.GetBytes(HonestHeader), name), Directory(Key(encodes: true))));
            byte[] header = [.. Encoding.ASCII.GetBytes(HonestHeader[..^1]), .. ",\"a"u8, .. bytes, .. "\":1}"u8];
            Assert.NotNull(Verdict(Sign(header, Encoding.UTF8.GetBytes(HonestClaims))));
        }
    }

    [Fact]
    [Trait("attack", "A16")]
    public void Subject_Length_IsOneTo256BytesOfUtf8()
    {
        foreach (var (text, accepted) in new[] { ("a", true), (new string('a', 256), true), (new string('a', 257), false), (new string('é', 128), true), (new string('é', 128) + "a", false), (string.Concat(Enumerable.Repeat("😀", 64)), true), (new string('a', 2500), false) })
        {
            Assert.Equal(accepted ? text : null, Subject(Token(Claims($"\"{text}\"", Soon))));
            Assert.Equal(accepted ? text : null, Subject(Token(Claims(JsonSerializer.Serialize(text), Soon)), Directory(Key(encodes: true))));
        }
    }

    [Fact]
    [Trait("attack", "A16")]
    public void Subject_ThatDiffersInFormCaseOrWidth_StaysAnotherUser()
    {
        string[] users = ["alice", "Alice", "ALICE", "alice ", " alice", "аlice", "ａlice", "e\u0301", "\u00e9", "ﬁ", "fi", "K", "\u212a", "alice\u200b", "alice\ufeff", "ß", "ss", "ı", "i"];

        Assert.Equal(users, users.Select(user => Subject(Token(Claims($"\"{user}\"", Soon)))));
        Assert.Equal(users.Length, users.Distinct(StringComparer.Ordinal).Count());
    }

    [Theory]
    [InlineData("\"\\u0061lice\"", "alice")]
    [InlineData("\"J\\u00f8rgen \\/ \\\"x\\\" \\\\\"", "Jørgen / \"x\" \\")]
    [InlineData("\"\\ud83d\\ude00\"", "😀")]
    public void Subject_WithEscapes_IsReadOfASignerThatEncodesAndRefusedOfAnyOther(string subject, string user)
    {
        Assert.Equal(DenialReason.CredentialMalformed, Verdict(Token(Claims(subject, Soon)))!.Reason);
        Assert.Equal(user, Subject(Token(Claims(subject, Soon)), Directory(Key(encodes: true))));
    }
}
