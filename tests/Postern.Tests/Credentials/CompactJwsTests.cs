using System.Text;
using Postern.Core.Credentials;
using Postern.Core.Keys;

namespace Postern.Tests.Credentials;

/// <summary>The one strict reader of compact JWS. Every text here carries a genuine signature where it can have one.</summary>
public sealed class CompactJwsTests
{
    private const string Claims = """{"a":1}""";

    [Theory]
    [InlineData("""{"alg":"HS256"}""")]
    [InlineData("""{"alg":"HS256","kid":"key-1"}""")]
    [InlineData(""" { "typ" : "JWT" , "alg" : "HS256" , "kid":"key-1" } """)]
    [InlineData("""{"alg":"HS256","kid":"key-1","cty":"JWT"}""")]
    [InlineData("""{"\u0061lg":"HS25\u0036"}""")]
    public void Header_OfOurAlgorithm_IsAccepted(string header) => Assert.True(Forge.Accepts(Forge.Jws(header, Claims)));

    [Theory]
    [Trait("attack", "A1")]
    [InlineData("none")]
    [InlineData("None")]
    [InlineData("nOnE")]
    [InlineData("NONE")]
    public void Algorithm_None_IsRefusedWithAnySignature(string algorithm)
    {
        var signed = Forge.Jws($$"""{"alg":"{{algorithm}}","kid":"key-1"}""", Claims);
        var body = signed[..(signed.LastIndexOf('.') + 1)];

        Assert.False(Forge.Accepts(body));
        Assert.False(Forge.Accepts(body + "junk"));
        Assert.False(Forge.Accepts(body + new string('A', 43)));
        Assert.False(Forge.Accepts(signed));
    }

    [Theory]
    [Trait("attack", "A2")]
    [InlineData("\"RS256\"")]
    [InlineData("\"RS384\"")]
    [InlineData("\"RS512\"")]
    [InlineData("\"ES256\"")]
    [InlineData("\"ES256K\"")]
    [InlineData("\"ES384\"")]
    [InlineData("\"ES512\"")]
    [InlineData("\"PS256\"")]
    [InlineData("\"PS512\"")]
    [InlineData("\"EdDSA\"")]
    [InlineData("\"HS384\"")]
    [InlineData("\"HS512\"")]
    [InlineData("\"HS1\"")]
    [InlineData("\"hs256\"")]
    [InlineData("\"Hs256\"")]
    [InlineData("\"HS256 \"")]
    [InlineData("\" HS256\"")]
    [InlineData("\"HS256\\u0000\"")]
    [InlineData("\"HS-256\"")]
    [InlineData("\"HMACSHA256\"")]
    [InlineData("\"HS256,none\"")]
    [InlineData("\"ＨＳ256\"")]
    [InlineData("\"\"")]
    [InlineData("\"dir\"")]
    [InlineData("\"A256GCM\"")]
    [InlineData("[\"HS256\"]")]
    [InlineData("{\"alg\":\"HS256\"}")]
    [InlineData("256")]
    [InlineData("true")]
    [InlineData("null")]
    public void Algorithm_AnyOtherSpelling_IsRefused(string algorithm) => Assert.False(Forge.Accepts(Forge.Jws($$"""{"alg":{{algorithm}},"kid":"key-1"}""", Claims)));

    [Theory]
    [Trait("attack", "A2")]
    [Trait("attack", "A12")]
    [InlineData("{}")]
    [InlineData("""{"ALG":"HS256"}""")]
    [InlineData("""{"alg":"HS256","alg":"HS256"}""")]
    [InlineData("""{"alg":"none","alg":"HS256"}""")]
    [InlineData("""{"alg":"HS256","\u0061lg":"none"}""")]
    [InlineData("""{"alg":"HS256","kid":"key-1","kid":"key-2"}""")]
    [InlineData("""{"alg":"HS256","x":{"y":1,"y":2}}""")]
    [InlineData("""["alg","HS256"]""")]
    [InlineData("\"HS256\"")]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("""{"alg":"HS256"}{}""")]
    [InlineData("""{"alg":"HS256",}""")]
    [InlineData("""{"alg":"HS256"/**/}""")]
    [InlineData("{'alg':'HS256'}")]
    [InlineData("\uFEFF{\"alg\":\"HS256\"}")]
    [InlineData("""{"alg":"HS256","\ud800":1}""")]
    public void Header_NotOneObjectWithOneAlgorithm_IsRefused(string header) => Assert.False(Forge.Accepts(Forge.Jws(header, Claims)));

    [Theory]
    [Trait("attack", "A4")]
    [InlineData("\"crit\":[\"b64\"],\"b64\":false")]
    [InlineData("\"crit\":[]")]
    [InlineData("\"crit\":null")]
    [InlineData("\"b64\":false")]
    [InlineData("\"b64\":true")]
    [InlineData("\"zip\":\"DEF\"")]
    [InlineData("\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}")]
    [InlineData("\"jku\":\"https://127.0.0.1/keys\"")]
    [InlineData("\"x5u\":\"https://127.0.0.1/chain\"")]
    [InlineData("\"x5c\":[\"AA\"]")]
    [InlineData("\"x5t\":\"AA\"")]
    [InlineData("\"x5t#S256\":\"AA\"")]
    [InlineData("\"enc\":\"A256GCM\"")]
    [InlineData("\"\\u006aku\":\"https://127.0.0.1/keys\"")]
    public void Header_KeyOrExtensionInside_IsRefused(string member) => Assert.False(Forge.Accepts(Forge.Jws($$"""{"alg":"HS256","kid":"key-1",{{member}}}""", Claims)));

    [Theory]
    [Trait("attack", "A5")]
    [InlineData("\"\"")]
    [InlineData("null")]
    [InlineData("1")]
    [InlineData("[\"key-1\"]")]
    [InlineData("{}")]
    [InlineData("\"../../dev/null\"")]
    [InlineData("\"' UNION SELECT 1 --\"")]
    [InlineData("\"|sleep 10\"")]
    [InlineData("\"key-1\\u0000\"")]
    [InlineData("\"key-1\\r\\n\"")]
    [InlineData("\"key-1 \"")]
    [InlineData("\"ключ\"")]
    [InlineData("\"key.1\"")]
    [InlineData("\"\\udc00\"")]
    public void KeyId_Hostile_IsRefusedBeforeAnyLookUp(string id)
    {
        var lookedUp = false;
        var text = Encoding.UTF8.GetBytes(Forge.Jws($$"""{"alg":"HS256","kid":{{id}}}""", Claims));

        Assert.False(Forge.Accepts(text, Find, out _, out var wellFormed));
        Assert.False(lookedUp);
        Assert.False(wellFormed);

        SigningKey Find(string? kid)
        {
            lookedUp = true;
            return Forge.Key;
        }
    }

    [Fact]
    [Trait("attack", "A5")]
    public void KeyId_Length_IsAtMostSixtyFour()
    {
        var longest = new SigningKey(new string('k', 64), Forge.Secret("long"), SigningKeyState.Active, null);

        Assert.True(Forge.Accepts(Forge.Jws($$"""{"alg":"HS256","kid":"{{longest.Id}}"}""", Claims, longest), longest));
        Assert.False(Forge.Accepts(Forge.Jws($$"""{"alg":"HS256","kid":"{{longest.Id}}k"}""", Claims, longest), longest));
        Assert.Throws<ArgumentException>(() => new SigningKey(longest.Id + "k", Forge.Secret("long"), SigningKeyState.Active, null));
        Assert.Throws<ArgumentException>(() => new SigningKey("", Forge.Secret("long"), SigningKeyState.Active, null));
    }

    [Fact]
    [Trait("attack", "A6")]
    public void KeyId_Unknown_IsWellFormedAndRefused()
    {
        Assert.False(Forge.Accepts(Forge.Jws("""{"alg":"HS256","kid":"key-2"}""", Claims), Forge.Key, out _, out var wellFormed));
        Assert.True(wellFormed);
    }

    [Fact]
    [Trait("attack", "A3")]
    public void Key_PublicStringsAsSecret_AreRefused()
    {
        foreach (var known in new[] { "key-1", "default", "agent_1", Forge.HonestHeader, Base64Text.Encode(Encoding.UTF8.GetBytes(Forge.HonestHeader)), "HS256", "" })
        {
            var forger = new SigningKey("key-1", Forge.Secret(known), SigningKeyState.Active, null);
            Assert.False(Forge.Accepts(Forge.Jws(Forge.HonestHeader, Claims, forger)));
        }
    }

    [Theory]
    [Trait("attack", "A8")]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(16)]
    [InlineData(31)]
    public void Key_ShorterThan32Bytes_IsRefused(int length) =>
        Assert.Throws<ArgumentException>(() => new SigningKey("k", new byte[length], SigningKeyState.Active, null));

    [Fact]
    [Trait("attack", "A9")]
    public void Signature_EveryBitAndEveryLength_IsChecked()
    {
        var text = Forge.Jws("""{"alg":"HS256"}""", Claims);
        var dot = text.LastIndexOf('.');
        var mac = new byte[32];
        Assert.True(Base64Text.TryDecode(Encoding.ASCII.GetBytes(text[(dot + 1)..]), mac, out _));

        for (var bit = 0; bit < 256; bit++)
        {
            var flipped = mac.ToArray();
            flipped[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.False(Forge.Accepts($"{text[..dot]}.{Base64Text.Encode(flipped)}", Forge.Key, out var payload, out var wellFormed));
            Assert.True(wellFormed);
            Assert.Empty(payload);
        }
        for (var length = 0; length < 64; length++)
        {
            var resized = new byte[length];
            mac.AsSpan(0, Math.Min(32, length)).CopyTo(resized);
            Assert.Equal(length == 32, Forge.Accepts($"{text[..dot]}.{Base64Text.Encode(resized)}"));
        }
    }

    [Fact]
    [Trait("attack", "A11")]
    public void Segments_OtherThanThree_AreRefused()
    {
        var text = Forge.Jws("""{"alg":"HS256"}""", Claims);
        var parts = text.Split('.');

        foreach (var shape in new[]
        {
            "", ".", "..", "...", parts[0], $"{parts[0]}.{parts[1]}", $"{parts[0]}..{parts[2]}", $".{parts[1]}.{parts[2]}", $"{parts[0]}.{parts[1]}.",
            $"{text}.", $".{text}", $"{text}.{parts[2]}", $"{parts[0]}.{parts[1]}.{parts[1]}.{parts[2]}", $"{parts[0]}.{parts[1]}.{parts[1]}.{parts[1]}.{parts[2]}",
            $$"""{"payload":"{{parts[1]}}","protected":"{{parts[0]}}","signature":"{{parts[2]}}"}""", $" {text}", $"{text}\n", $"Bearer {text}", $"\"{text}\"",
        })
        {
            Assert.False(Forge.Accepts(shape), shape);
        }
        // Four parts of which the first three are signed: a dot inside the payload is no dot of ours.
        Assert.False(Forge.Accepts(Forge.Seal($"{parts[0]}.{parts[1]}.{parts[1]}")));
    }

    [Theory]
    [Trait("attack", "A10")]
    [InlineData("VGVzdA", true)]
    [InlineData("VGVzdA=", false)]
    [InlineData("VGVzdA==", false)]
    [InlineData("VGVzdA%%", false)]
    [InlineData("VGVzdA%3D%3D", false)]
    [InlineData("VGVz dA", false)]
    [InlineData("VGVz\ndA", false)]
    [InlineData("VGVz\r\ndA", false)]
    [InlineData("VGVz\tdA", false)]
    [InlineData(" VGVzdA", false)]
    [InlineData("VGVzdA\n", false)]
    [InlineData("VGVzdB", false)]
    [InlineData("VGVzdP", false)]
    [InlineData("VGVzdA\0", false)]
    [InlineData("VGVzdÀ", false)]
    [InlineData("V", false)]
    [InlineData("VGVzd", false)]
    [InlineData("VG+/", false)]
    [InlineData("VG-_", true)]
    [InlineData("VG", false)]
    [InlineData("Vg", true)]
    [InlineData("VGU", true)]
    [InlineData("VGV", false)]
    [InlineData("", true)]
    public void Encoding_OneTextForEachByteString_NothingElse(string text, bool canonical)
    {
        var bytes = new byte[64];
        Assert.Equal(canonical, Base64Text.TryDecode(Encoding.UTF8.GetBytes(text), bytes, out var written));
        if (canonical)
        {
            Assert.Equal(text, Base64Text.Encode(bytes.AsSpan(0, written)));
        }
        // The same spellings as a genuinely signed payload: what is signed is the text, so only our decoder stands in the way.
        Assert.Equal(canonical, Forge.Accepts(Forge.Seal($"{Base64Text.Encode("""{"alg":"HS256"}"""u8)}.{text}")));
    }

    [Fact]
    [Trait("attack", "A10")]
    public void Encoding_AllTwoAndThreeCharacterTails_DecodeOnlyCanonically()
    {
        var bytes = new byte[8];
        var accepted = 0;
        for (var a = 0; a < 128; a++)
        {
            for (var b = 0; b < 128; b++)
            {
                byte[] text = [(byte)'A', (byte)a, (byte)b];
                if (Base64Text.TryDecode(text, bytes, out var written))
                {
                    accepted++;
                    Assert.Equal(Encoding.ASCII.GetString(text), Base64Text.Encode(bytes.AsSpan(0, written)));
                }
            }
        }

        Assert.Equal(64 * 16, accepted);
    }

    [Fact]
    [Trait("attack", "A18")]
    public void Text_LongerThanTheLimit_CostsNothing()
    {
        var header = Base64Text.Encode("""{"alg":"HS256"}"""u8);
        var longest = Forge.Seal($"{header}.{new string('A', (CompactJws.LongestText - header.Length - 45) / 4 * 4)}");
        Assert.True(Forge.Accepts(longest));

        var tooLong = Encoding.ASCII.GetBytes(Forge.Seal($"{header}.{new string('A', CompactJws.LongestText)}"));
        var buffer = new byte[tooLong.Length];
        CompactJws.TryRead(tooLong, buffer, out _);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.False(CompactJws.TryRead(tooLong, buffer, out _));
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 256);
        // Deep or long headers: refused by size, then by depth.
        Assert.False(Forge.Accepts(Forge.Jws("{\"alg\":\"HS256\",\"x\":" + new string('[', 100) + new string(']', 100) + "}", Claims)));
        Assert.False(Forge.Accepts(Forge.Jws("{\"alg\":\"HS256\",\"x\":\"" + new string('x', 1000) + "\"}", Claims)));
    }
}
