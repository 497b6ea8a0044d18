using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using static Postern.Tests.Credentials.UserTokenForge;

namespace Postern.Tests.Credentials;

/// <summary>Why our verdict on a token may differ from another package's, each judged of the token itself by lenient means of its own.</summary>
internal static partial class TokenDifferences
{
    /// <summary>By name, in the order of their names; the table in the documents has the same.</summary>
    public static readonly IReadOnlyList<(string Name, Func<Sample, bool> Holds)> Reasons =
    [
        ("alphabet", static token => token.Text.Split('.') is not [{ Length: > 0 } header, { Length: > 0 } payload, { Length: > 0 } mac] || !IsCanonical(header) || !IsCanonical(payload) || !IsCanonical(mac)),
        ("claim beyond the four", static token => !token.Encoding && token.Names.Any(name => name is not ("sub" or "exp" or "iat" or "nbf"))),
        ("claim for an audience", static token => token.Names.Contains("aud")),
        ("depth", static token => IsDeep(token.Header) || IsDeep(token.Payload)),
        ("escape", static token => (!token.Encoding && token.Payload.Contains('\\', StringComparison.Ordinal)) || EscapedKid.IsMatch(token.Header)),
        ("header parameter", static token => ForbiddenParameter.IsMatch(token.Header)),
        ("length", static token => token.Text.Length > 4096 || token.HeaderText.Length > 1024),
        ("lifetime", static token => token.Time("exp") is { } expires && expires - (token.Time("iat") ?? Now.ToUnixTimeSeconds()) > 86430),
        ("member twice", static token => HasTwice(token.Header) || HasTwice(token.Payload)),
        ("text that is no Unicode", static token => !token.IsUtf8 || LoneSurrogate.IsMatch(token.Payload)),
        ("time in the future", static token => token.Time("iat") > Now.ToUnixTimeSeconds() + 30),
        ("time that is no integer in range", static token => token.OddTimes),
        ("type", static token => token.Type is { } type && type is not "\"JWT\""),
        ("user id", static token => token.Subject is not { } subject || !Core.Projects.Subject.IsValid(subject)),
    ];

    /// <summary>Null when a reason explains the difference, else what is the matter.</summary>
    /// <param name="token">The token.</param>
    /// <param name="ours">Whom we take it for; null when it is refused.</param>
    /// <param name="theirs">Whom others take it for.</param>
    /// <param name="seen">Counts the reasons.</param>
    /// <param name="every">Look for every reason, not for one: costs more.</param>
    public static string? Explain(string token, string? ours, IReadOnlyList<string?> theirs, ConcurrentDictionary<string, int> seen, bool every)
    {
        if (ours is not null)
        {
            return theirs.Contains(null) ? "we accept what another refuses" : "it is read as two users";
        }
        var sample = new Sample(token);
        var found = false;
        foreach (var (name, holds) in Reasons)
        {
            if (holds(sample))
            {
                seen.AddOrUpdate(name, 1, static (_, count) => count + 1);
                found = true;
                if (!every)
                {
                    break;
                }
            }
        }
        return found ? null : "no reason holds";
    }

    private static bool IsCanonical(string text)
    {
        var bytes = Lenient(text);
        return Convert.ToBase64String(bytes).TrimEnd('=').Replace('+', '-').Replace('/', '_') == text;
    }

    // As Node's Buffer does it: what is not of the alphabet is passed over, the first sign of padding ends it.
    private static byte[] Lenient(string text)
    {
        var plain = new StringBuilder();
        foreach (var c in text.TakeWhile(c => c != '='))
        {
            plain.Append(c switch { '-' => "+", '_' => "/", _ when char.IsAsciiLetterOrDigit(c) || c is '+' or '/' => $"{c}", _ => "" });
        }
        var bytes = new byte[plain.Length];
        plain.Length -= plain.Length % 4 == 1 ? 1 : 0;
        _ = System.Buffers.Text.Base64.DecodeFromUtf8(Encoding.ASCII.GetBytes(plain.ToString().PadRight((plain.Length + 3) / 4 * 4, '=')), bytes, out _, out var written);
        return written > 0 || plain.Length < 2 ? bytes[..written] : Tail(plain.ToString());
    }

    // The framework refuses unused bits that are set; Node drops them.
    private static byte[] Tail(string text)
    {
        var last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".IndexOf(text[^1], StringComparison.Ordinal) & (text.Length % 4 == 2 ? 0b110000 : 0b111100);
        return Lenient(text[..^1] + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[last]);
    }

    private static bool HasTwice(string json) => Parses(json, true) && !Parses(json, false);

    private static bool IsDeep(string json)
    {
        var (depth, deepest) = (0, 0);
        foreach (var c in json)
        {
            depth += c is '{' or '[' ? 1 : c is '}' or ']' ? -1 : 0;
            deepest = Math.Max(depth, deepest);
        }
        return deepest > 8;
    }

    private static bool Parses(string json, bool twice)
    {
        try
        {
            JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = twice }).Dispose();
            return true;
        }
        catch (Exception e) when (Core.StrictJson.IsBadInput(e))
        {
            return false;
        }
    }

    [GeneratedRegex("\"kid\"\\s*:\\s*\"[^\"]*\\\\")]
    private static partial Regex EscapedKid { get; }

    [GeneratedRegex("\"(crit|b64|zip|jku|jwk|x5u|x5c|x5t|enc)\"")]
    private static partial Regex ForbiddenParameter { get; }

    [GeneratedRegex(@"\\u[dD][89a-fA-F]")]
    private static partial Regex LoneSurrogate { get; }

    /// <summary>A token taken apart leniently.</summary>
    internal sealed class Sample
    {
        private readonly JsonElement claims;
        private readonly JsonElement header;

        public Sample(string text)
        {
            Text = text;
            var parts = text.Split('.');
            (HeaderText, var payload) = (parts[0], Lenient(parts.ElementAtOrDefault(1) ?? ""));
            Header = System.Text.Encoding.UTF8.GetString(Lenient(HeaderText));
            Payload = System.Text.Encoding.UTF8.GetString(payload);
            IsUtf8 = System.Text.Unicode.Utf8.IsValid(payload) && System.Text.Unicode.Utf8.IsValid(Lenient(HeaderText));
            (header, claims) = (Read(Header), Read(Payload));
            Encoding = Member(header, "kid") is { ValueKind: JsonValueKind.String } kid && kid.GetRawText() == $"\"{TokenGenerator.EncodingKid}\"";
        }

        public string Text { get; }
        public string HeaderText { get; }
        public string Header { get; }
        public string Payload { get; }
        public bool IsUtf8 { get; }
        public bool Encoding { get; }
        public IEnumerable<string> Names => claims.ValueKind == JsonValueKind.Object ? claims.EnumerateObject().Select(member => member.Name) : [];
        public string? Type => Member(header, "typ")?.GetRawText();
        public bool OddTimes => new[] { "exp", "iat", "nbf" }.Any(name => Member(claims, name) is { } value && (value.ValueKind != JsonValueKind.Number || !value.TryGetInt64(out var number) || number is < 1 or > 253402300799));
        public string? Subject => Member(claims, "sub") is { ValueKind: JsonValueKind.String } value && !LoneSurrogate.IsMatch(value.GetRawText()) ? value.GetString() : null;

        public long? Time(string name) => Member(claims, name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt64(out var number) ? number : null;

        private static JsonElement? Member(JsonElement element, string name) => element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) ? value : null;

        private static JsonElement Read(string json)
        {
            try
            {
                return JsonElement.Parse(json, new JsonDocumentOptions { MaxDepth = 512 });
            }
            catch (Exception e) when (Core.StrictJson.IsBadInput(e))
            {
                return default;
            }
        }
    }
}
