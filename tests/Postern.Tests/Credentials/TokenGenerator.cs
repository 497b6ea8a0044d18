using System.Text;
using Postern.Core.Credentials;
using static Postern.Tests.Credentials.UserTokenForge;

namespace Postern.Tests.Credentials;

/// <summary>Makes tokens of which about a third hold: the rest is changed in structure, algorithm, header, claims, encoding or signature.</summary>
internal sealed class TokenGenerator(Dice dice)
{
    public const string EncodingKid = "22222222-2222-3333-4444-555555555555";

    private static readonly long Time = Now.ToUnixTimeSeconds();
    private static readonly string[] Algorithms = ["\"none\"", "\"None\"", "\"HS512\"", "\"HS384\"", "\"RS256\"", "\"ES256\"", "\"hs256\"", "\"HS256 \"", "\"\\u0048S256\"", "null", "256", "[\"HS256\"]", "\"\""];
    private static readonly string[] Kids = ["\"\"", "null", "1", "\"unknown\"", "\"../../dev/null\"", "\"1\\u0031111111-2222-3333-4444-555555555555\"", "[\"x\"]"];
    private static readonly string[] Types = ["\"JWT\"", "\"JWT\"", "\"jwt\"", "\"at+jwt\"", "\"\"", "1", "null"];
    private static readonly string[] HeaderMembers =
        ["\"cty\":\"x\"", "\"cty\":\"JWT\"", "\"x\":{\"y\":[1]}", "\"crit\":[\"exp\"]", "\"crit\":[]", "\"b64\":false", "\"b64\":true", "\"zip\":\"DEF\"", "\"jku\":\"https://127.0.0.1/\"", "\"jwk\":{\"kty\":\"oct\"}", "\"x5c\":[\"AA\"]", "\"alg\":\"HS256\"", "\"alg\":\"none\"", "\"kid\":\"other\"", "\"x\":1,\"x\":2", "\"x\":[[[[[[[[[1]]]]]]]]]"];
    private static readonly string[] Subjects =
    [
        "\"alice\"", "\"bob\"", "\"Jørgen\"", "\"张伟\"", "\"😀\"", "\"a b\"", "\"alice@example.com\"", "\"\"", "null", "1", "true", "[\"alice\"]", "{}", "\"\\u0061lice\"", "\"J\\u00f8rgen\"", "\"a\\\"b\"", "\"a\\/b\"",
        "\"a\\u0000b\"", "\"a\\nb\"", "\"a\u007fb\"", "\"a\u0085b\"", "\"\\ud800\"", "\"\\ud83d\\ude00\"", "\"\ufeff\"", "\"a\\x\"", "\"a\tb\"",
    ];
    private static readonly string[] Injected = ["mallory\",\"sub\":\"alice", "alice\",\"x\":\"", "\\u0061lice", "mallory\",\"s\\u0075b\":\"alice", "alice\",\"exp\":1900000000,\"x\":\"", "alice\"}", "alice\\", "{\"sub\":\"alice\"}"];
    private static readonly string[] Times = ["null", "\"1800003600\"", "1800003600.0", "1800003600.5", "1.8000036e9", "1e10", "1e400", "-1", "0", "-0", "9007199254740993", "9223372036854775808", "253402300799", "253402300800", "true", "[1800003600]", "{}", "01800003600"];
    private static readonly string[] Members = ["\"iss\":\"shop\"", "\"aud\":\"shop\"", "\"aud\":[\"a\",\"b\"]", "\"jti\":\"1\"", "\"admin\":true", "\"SUB\":\"bob\"", "\"x\":{\"y\":1,\"y\":2}", "\"x\":[[[[[[[[1]]]]]]]]", "\"__proto__\":{\"sub\":\"eve\"}", "\"constructor\":1", "\"\":0", "\"sub\":\"eve\"", "\"exp\":1900000000", "\"s\\u0075b\":\"eve\""];
    private static readonly string[] Payloads = ["", "{}", "[]", "null", "\"alice\"", "1", "alice", "{\"sub\":\"alice\"", "\ufeff{}", "{\"sub\":\"alice\",\"exp\":1800003600}}", "{'sub':'alice'}", "{\"sub\":\"alice\",\"exp\":1800003600,}", "/**/{\"sub\":\"alice\",\"exp\":1800003600}"];
    private static readonly string[] Strangers = ["=", "==", "%", " ", "+", "/", ".", "é", "A", "-", "_", "\u00a0", "~", "a.b", "\t"];

    /// <summary>Two keys of one secret: the signer of the second is said to encode.</summary>
    public static Core.Directory Directory() => UserTokenForge.Directory(Key(), Key(EncodingKid, encodes: true));

    public string Next()
    {
        var header = Header();
        var claims = One(40) ? dice.Of(Payloads) : Claims();
        var bytes = Encoding.UTF8.GetBytes(claims);
        if (One(60) && bytes.Length > 0)
        {
            bytes[dice.Next(bytes.Length)] = (byte)dice.Next(256);
        }
        var signed = $"{Base64Text.Encode(Encoding.UTF8.GetBytes(header))}.{Base64Text.Encode(bytes)}";
        if (One(30))
        {
            signed = Change(signed); // and signed as it then stands: the decoder alone decides
        }
        var token = Seal(signed, One(25) ? dice.Of<string>(["", Kid, "default", Secret[7..], Secret + "\n"]) : Secret);
        return One(12) ? Change(token) : token;
    }

    private string Header()
    {
        var members = new List<string>
        {
            $"\"alg\":{(One(20) ? dice.Of(Algorithms) : "\"HS256\"")}",
            $"\"kid\":{(One(20) ? dice.Of(Kids) : One(3) ? $"\"{EncodingKid}\"" : $"\"{Kid}\"")}",
        };
        AddSometimes(members, 2, () => $"\"typ\":{(One(5) ? dice.Of(Types) : "\"JWT\"")}");
        AddSometimes(members, 12, () => dice.Of(HeaderMembers));
        return Written(members);
    }

    private string Claims()
    {
        if (One(12)) // as the vendor's concatenating functions do it
        {
            return $"{{\"sub\":\"{dice.Of(Injected)}\",\"exp\":{Time + 3600}}}";
        }
        var members = new List<string>();
        AddUnless(members, 40, () => $"\"sub\":{(One(3) ? dice.Of(Subjects) : One(30) ? $"\"{new string('u', 250 + dice.Next(12))}\"" : "\"alice\"")}");
        AddUnless(members, 40, () => $"\"exp\":{(One(12) ? dice.Of(Times) : One(6) ? $"{Time - 40 + dice.Next(20)}" : One(6) ? $"{Time + 86400 + dice.Next(60)}" : $"{Time + 1 + dice.Next(80000)}")}");
        AddSometimes(members, 3, () => $"\"iat\":{(One(12) ? dice.Of(Times) : $"{Time - 100 + dice.Next(140)}")}");
        AddSometimes(members, 10, () => $"\"nbf\":{(One(5) ? dice.Of(Times) : $"{Time - 100 + dice.Next(140)}")}");
        AddSometimes(members, 8, () => dice.Of(Members));
        return Written(members);
    }

    private string Written(List<string> members)
    {
        for (var i = members.Count - 1; i > 0; i--)
        {
            var j = One(3) ? dice.Next(i + 1) : i;
            (members[i], members[j]) = (members[j], members[i]);
        }
        var space = One(15) ? dice.Of<string>([" ", "\n", "\t", "\r\n "]) : "";
        return "{" + space + string.Join("," + space, members) + space + "}" + (One(400) ? new string(' ', 3200) : "");
    }

    // One place is changed, or the whole shape.
    private string Change(string text)
    {
        var at = dice.Next(text.Length);
        var parts = text.Split('.');
        return dice.Next(9) switch
        {
            0 => text.Remove(at, 1),
            1 => text.Insert(at, dice.Of(Strangers)),
            2 => text[..at] + dice.Of(Strangers) + text[(at + 1)..],
            3 => text + dice.Of(Strangers),
            4 => text[..at],
            5 => string.Join('.', parts.Take(1 + dice.Next(parts.Length))) + (One(2) ? "." : ""),
            6 => parts is [_, _, { Length: > 0 }] ? $"{parts[0]}.{parts[1]}.{parts[2][..^1]}{dice.Of<string>(["A", "B", "E", "Q", "g", "w", "8"])}" : text + "A",
            7 => text.Replace("-", "+", StringComparison.Ordinal).Replace("_", "/", StringComparison.Ordinal),
            _ => parts.Length > 2 ? $"{parts[0]}.{parts[1]}=.{parts[2]}" : text + "=",
        };
    }

    private bool One(int outOf) => dice.Next(outOf) == 0;

    private void AddSometimes(List<string> members, int outOf, Func<string> member)
    {
        if (One(outOf))
        {
            members.Add(member());
        }
    }

    private void AddUnless(List<string> members, int outOf, Func<string> member)
    {
        if (!One(outOf))
        {
            members.Add(member());
        }
    }
}
