using System.Text;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Credentials;
using Postern.Core.Keys;
using Postern.Core.Projects;
using static Postern.Tests.Credentials.UserTokenForge;

namespace Postern.Tests.Credentials;

/// <summary>
/// Public vectors through the verifier of user tokens. None of them has claims of ours: the ten whose signature must hold come as far
/// as their claims, all others must fail before.
/// </summary>
public sealed class UserTokenVectorTests
{
    [Fact]
    [Trait("attack", "A1")]
    [Trait("attack", "A2")]
    [Trait("attack", "A10")]
    [Trait("attack", "A11")]
    public void Wycheproof_AllVectors_ExactlyTheKnownTenComeToTheirClaims()
    {
        var (seen, verified) = (0, new List<int>());
        foreach (var (id, text, keys) in WycheproofTexts())
        {
            seen++;
            var denial = Verdict(text, Directory([.. keys.DefaultIfEmpty(Key())]));
            Assert.NotNull(denial);
            if (IsOfClaims(denial))
            {
                verified.Add(id);
            }
        }

        Assert.Equal(401, seen);
        Assert.Equal([1, 348, 352, 357, 358, 359, 367, 370, 376, 377], verified.Order());
    }

    [Fact]
    [Trait("attack", "A4")]
    [Trait("attack", "A11")]
    public void Cookbook_EverythingButFigure35_FailsBeforeItsClaims()
    {
        var own = Corpora.Json("jose-cookbook/jws/4_4.hmac-sha2_integrity_protection.json");
        var jwk = own.GetProperty("input").GetProperty("key");
        var directory = Directory(OfJwk(jwk));
        var texts = Corpora.Files("jose-cookbook").SelectMany(file => Texts(Corpora.Json(file))).ToList();
        var compact = own.GetProperty("output").GetProperty("compact").GetString();

        Assert.True(texts.Count > 60, $"only {texts.Count} texts were found");
        Assert.Equal([compact], texts.Where(text => IsOfClaims(Verdict(text, directory)!)).Distinct());
    }

    [Fact]
    [Trait("attack", "A12")]
    [Trait("attack", "A18")]
    public void JsonSuite_AsHeaderOrClaims_IsRefusedWithoutAnException()
    {
        var (plain, encodes) = (Directory(), Directory(Key(encodes: true)));
        var files = SuiteFiles();
        foreach (var (name, bytes) in files)
        {
            foreach (var directory in new[] { plain, encodes })
            {
                Assert.True(Verdict(Sign(bytes, Encoding.UTF8.GetBytes(HonestClaims)), directory)?.Reason == DenialReason.CredentialMalformed, name);
                Assert.True(Verdict(Sign(Encoding.UTF8.GetBytes(HonestHeader), bytes), directory)?.Reason == DenialReason.CredentialMalformed, name);
            }
        }

        Assert.Equal(318 + 22, files.Count);
    }

    // A further member is ignored in a header, and in claims of a signer that encodes: then its value must be sound JSON, no more.
    [Fact]
    [Trait("attack", "A12")]
    public void JsonSuite_AsAMembersValue_IsTakenWhereItIsSoundJson()
    {
        var (plain, encodes) = (Directory(), Directory(Key(encodes: true)));
        var (inHeader, inClaims) = (new List<string>(), new List<string>());
        foreach (var (name, bytes) in SuiteFiles())
        {
            byte[] header = [.. Encoding.UTF8.GetBytes(HonestHeader[..^1] + ",\"other\":"), .. bytes, .. "}"u8];
            byte[] claims = [.. Encoding.UTF8.GetBytes(HonestClaims[..^1] + ",\"other\":"), .. bytes, .. "}"u8];
            Assert.NotNull(Verdict(Sign(Encoding.UTF8.GetBytes(HonestHeader), claims), plain));
            inHeader.AddRange(Verdict(Sign(header, Encoding.UTF8.GetBytes(HonestClaims)), plain) is null ? [name] : []);
            inClaims.AddRange(Verdict(Sign(Encoding.UTF8.GetBytes(HonestHeader), claims), encodes) is null ? [name] : []);
        }

        foreach (var accepted in new[] { inHeader, inClaims })
        {
            Assert.DoesNotContain(accepted, name => name.StartsWith("n_", StringComparison.Ordinal) && name != "n_structure_trailing_#.json");
            Assert.DoesNotContain("y_object_duplicated_key.json", accepted);
            Assert.DoesNotContain("y_object_duplicated_key_and_value.json", accepted);
            Assert.Equal(93, accepted.Count(name => name.StartsWith("y_", StringComparison.Ordinal)));
        }
    }

    /// <summary>Every vector with the HS256 keys of its group.</summary>
    internal static IEnumerable<(int Id, string Text, IReadOnlyList<UserTokenKey> Keys)> WycheproofTexts() =>
        from line in Corpora.Json("wycheproof/json_web_signature_test.json").GetProperty("testGroups").EnumerateArray()
        let named = line.TryGetProperty("private", out var found) || line.TryGetProperty("public", out found) ? found : default
        let all = named.ValueKind != JsonValueKind.Object ? [] : named.TryGetProperty("keys", out var set) ? set.EnumerateArray().ToArray() : [named]
        let keys = all.Where(key => Text(key, "kty") == "oct" && Text(key, "alg") == "HS256" && Text(key, "use") == "sig").Select(OfJwk).ToList()
        from test in line.GetProperty("tests").EnumerateArray()
        let jws = test.GetProperty("jws")
        select (test.GetProperty("tcId").GetInt32(), jws.ValueKind == JsonValueKind.String ? jws.GetString()! : jws.GetRawText(), (IReadOnlyList<UserTokenKey>)keys);

    private static bool IsOfClaims(Denial denial) => denial.Detail!.StartsWith("user token claims", StringComparison.Ordinal);

    private static UserTokenKey OfJwk(JsonElement jwk)
    {
        var secret = new byte[512];
        Assert.True(Base64Text.TryDecode(Encoding.ASCII.GetBytes(Text(jwk, "k")!), secret, out var length));
        return new UserTokenKey(Text(jwk, "kid")!, ProjectId.Default, "vector", secret.AsSpan(0, length), []);
    }

    private static string? Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? value.GetString() : null;

    // Every output as the text it would be sent as: compact ones, and both JSON serialisations.
    private static IEnumerable<string> Texts(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().SelectMany(member => Texts(member.Value)).Prepend(element.GetRawText()),
        JsonValueKind.String => [element.GetString()!],
        _ => [],
    };

    private static List<(string Name, byte[] Bytes)> SuiteFiles() =>
        [.. Corpora.Files("jsontestsuite/test_parsing").Concat(Corpora.Files("jsontestsuite/test_transform")).Select(file => (Path.GetFileName(file), Corpora.Read(file)))];
}
