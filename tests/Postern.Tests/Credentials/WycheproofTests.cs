using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Postern.Core.Credentials;
using Postern.Core.Keys;

namespace Postern.Tests.Credentials;

/// <summary>C2SP/wycheproof, testvectors_v1. What an HS256-only verifier accepts of it is a closed list of ten.</summary>
public sealed class WycheproofTests
{
    // 367 and 370 say "invalid" but are byte for byte the valid 357 (C2SP/wycheproof#236).
    private static readonly int[] Accepted = [1, 348, 352, 357, 358, 359, 367, 370, 376, 377];

    [Fact]
    [Trait("attack", "A1")]
    [Trait("attack", "A2")]
    [Trait("attack", "A10")]
    [Trait("attack", "A11")]
    public void Jws_AllVectors_ExactlyTheKnownTenAreAccepted()
    {
        var accepted = new List<int>();
        var seen = 0;
        foreach (var group in Corpora.Json("wycheproof/json_web_signature_test.json").GetProperty("testGroups").EnumerateArray())
        {
            var keys = Keys(group);
            foreach (var test in group.GetProperty("tests").EnumerateArray())
            {
                seen++;
                var jws = test.GetProperty("jws");
                if (keys.Any(key => Forge.Accepts(jws.ValueKind == JsonValueKind.String ? jws.GetString()! : jws.GetRawText(), key)))
                {
                    accepted.Add(test.GetProperty("tcId").GetInt32());
                }
            }
        }

        Assert.Equal(401, seen);
        Assert.Equal(Accepted, accepted.Order());
    }

    // A verifier that lets the header choose would take the bytes of a public key for an HMAC secret.
    [Fact]
    [Trait("attack", "A3")]
    public void Jws_PublicKeyMaterialAsSecret_IsRefused()
    {
        var accepted =
            from line in Corpora.Json("wycheproof/json_web_signature_test.json").GetProperty("testGroups").EnumerateArray()
            where line.TryGetProperty("public", out _)
            let secret = Encoding.UTF8.GetBytes(line.GetProperty("public").GetRawText())
            let key = new SigningKey("public", secret, SigningKeyState.Active, null)
            from test in line.GetProperty("tests").EnumerateArray()
            where Forge.Accepts(test.GetProperty("jws").ToString(), key)
            select test.GetProperty("tcId").GetInt32();

        Assert.Empty(accepted);
    }

    [Fact]
    public void Hmac_AllVectors_HoldWithTheWholeTagOnly()
    {
        var (held, seen) = (0, 0);
        foreach (var group in Corpora.Json("wycheproof/hmac_sha256_test.json").GetProperty("testGroups").EnumerateArray())
        {
            foreach (var test in group.GetProperty("tests").EnumerateArray())
            {
                seen++;
                var id = test.GetProperty("tcId").GetInt32();
                var secret = Hex(test, "key");
                var tag = Hex(test, "tag");
                var valid = test.GetProperty("result").GetString() == "valid";
                if (secret.Length < SigningKey.ShortestSecret)
                {
                    Assert.Throws<ArgumentException>(() => new SigningKey("k", secret, SigningKeyState.Active, null));
                    // The primitive itself still has to agree.
                    Assert.True(valid == CryptographicOperations.FixedTimeEquals(HMACSHA256.HashData(secret, Hex(test, "msg")).AsSpan(0, tag.Length), tag), $"tcId {id}");
                    continue;
                }
                var key = new SigningKey("k", secret, SigningKeyState.Active, null);
                var mac = new byte[32];
                key.Hmac.Sign(Hex(test, "msg"), mac);
                Assert.True(valid == CryptographicOperations.FixedTimeEquals(mac.AsSpan(0, tag.Length), tag), $"tcId {id}");
                // A truncated tag is right as far as it goes, and refused.
                Assert.Equal(valid && tag.Length == 32, key.Hmac.Matches(Hex(test, "msg"), tag));
                held++;
            }
        }

        Assert.Equal(174, seen);
        Assert.True(held > 50, $"only {held} vectors have keys that we take");
    }

    [Fact]
    [Trait("attack", "A7")]
    [Trait("attack", "A8")]
    public void Jwk_SymmetricSets_AreTakenOrRefusedAsSaid()
    {
        var verdicts = new SortedDictionary<int, bool>();
        foreach (var group in Corpora.Json("wycheproof/json_web_key_test.json").GetProperty("testGroups").EnumerateArray())
        {
            foreach (var test in group.GetProperty("tests").EnumerateArray())
            {
                verdicts[test.GetProperty("tcId").GetInt32()] = Takes(group, test.GetProperty("jws").GetString()!);
            }
        }

        // 14 and 15 are long keys of algorithms that we do not have, 5 is an RSA key; 1 is refused by the suite for its mixture.
        Assert.Equal(26, verdicts.Count);
        Assert.Equal([2, 13], verdicts.Where(v => v.Value && v.Key != 1).Select(v => v.Key));
    }

    private static bool Takes(JsonElement group, string jws)
    {
        try
        {
            var keys = Keys(group);
            var ring = new KeyRing([.. keys.Select((key, i) => i == 0 ? key : new SigningKey(key.Id, Forge.Secret("other"), SigningKeyState.Retiring, null))]);
            return ring.Keys.Length > 0 && Forge.Accepts(Encoding.UTF8.GetBytes(jws), kid => keys.FirstOrDefault(k => k.Id == kid), out _, out _);
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            return false;
        }
    }

    private static List<SigningKey> Keys(JsonElement group)
    {
        var named = group.TryGetProperty("private", out var found) || group.TryGetProperty("public", out found) ? found : default;
        JsonElement[] all = named.ValueKind != JsonValueKind.Object ? [] : named.TryGetProperty("keys", out var set) ? [.. set.EnumerateArray()] : [named];
        return [.. all
            .Where(key => Text(key, "kty") == "oct" && Text(key, "alg") == "HS256" && Text(key, "use") == "sig")
            .Select(key => new SigningKey(Text(key, "kid")!, Decode(Text(key, "k")!), SigningKeyState.Active, null))];
    }

    private static byte[] Decode(string text)
    {
        var bytes = new byte[text.Length];
        return Base64Text.TryDecode(Encoding.ASCII.GetBytes(text), bytes, out var written) ? bytes[..written] : throw new ArgumentException(text);
    }

    private static string? Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? value.GetString() : null;

    private static byte[] Hex(JsonElement test, string name) => Convert.FromHexString(test.GetProperty(name).GetString()!.ToUpper(CultureInfo.InvariantCulture));
}
