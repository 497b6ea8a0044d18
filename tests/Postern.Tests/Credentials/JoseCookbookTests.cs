using System.Text;
using System.Text.Json;
using Postern.Core.Credentials;
using Postern.Core.Keys;

namespace Postern.Tests.Credentials;

/// <summary>RFC 7520, RFC 7797 and RFC 8037 examples: one of them is of our form, the others are what we must not take for it.</summary>
public sealed class JoseCookbookTests
{
    private const string Ours = "4_4.hmac-sha2_integrity_protection.json";

    [Fact]
    public void Cookbook_Figure35_IsAccepted()
    {
        var example = Corpora.Json("jose-cookbook/jws/" + Ours);

        Assert.True(Forge.Accepts(example.GetProperty("output").GetProperty("compact").GetString()!, Key(example), out var payload, out _));
        Assert.Equal(example.GetProperty("input").GetProperty("payload").GetString(), Encoding.UTF8.GetString(payload));
    }

    [Fact]
    [Trait("attack", "A4")]
    [Trait("attack", "A11")]
    public void Cookbook_EverythingElse_IsRefused()
    {
        var key = Key(Corpora.Json("jose-cookbook/jws/" + Ours));
        var texts = 0;
        foreach (var file in Corpora.Files("jose-cookbook"))
        {
            foreach (var text in Texts(Corpora.Json(file)).Where(text => !file.EndsWith(Ours, StringComparison.Ordinal) || text.StartsWith('{')))
            {
                texts++;
                Assert.False(Forge.Accepts(text, key), $"{file}: {text}");
                Assert.NotNull(Forge.Verdict("psu_" + text));
            }
        }

        Assert.True(texts > 60, $"only {texts} texts were found");
    }

    // Every output as the text it would be sent as: compact ones, and both JSON serialisations.
    private static IEnumerable<string> Texts(JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.Object)
        {
            yield return element.GetRawText();
            foreach (var text in element.EnumerateObject().SelectMany(member => Texts(member.Value)))
            {
                yield return text;
            }
        }
        else if (element.ValueKind == JsonValueKind.String)
        {
            yield return element.GetString()!;
        }
    }

    private static SigningKey Key(JsonElement example)
    {
        var jwk = example.GetProperty("input").GetProperty("key");
        var secret = new byte[64];
        Assert.True(Base64Text.TryDecode(Encoding.ASCII.GetBytes(jwk.GetProperty("k").GetString()!), secret, out var written));
        return new SigningKey(jwk.GetProperty("kid").GetString()!, secret.AsSpan(0, written), SigningKeyState.Active, null);
    }
}
