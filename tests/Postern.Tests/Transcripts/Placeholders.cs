using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Postern.Tests.Transcripts;

/// <summary>
/// The values that a transcript has met, and the comparison with what it expects: <c>{{name}}</c> stands for a known value or takes an
/// unknown one, <c>{{name:pattern}}</c> takes one that fits, <c>{{*}}</c> is anything.
/// </summary>
internal sealed partial class Placeholders
{
    private readonly Dictionary<string, string> values = new(StringComparer.Ordinal);

    public string this[string name] { get => values[name]; set => values[name] = value; }

    /// <summary>The text with every known value in its place, and <c>{{repeat n text}}</c> written out.</summary>
    public string Fill(string text) => Known.Replace(
        Repeated.Replace(text, match => string.Concat(Enumerable.Repeat(match.Groups[2].Value, int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture)))),
        match => values.GetValueOrDefault(match.Groups[1].Value) ?? match.Value);

    /// <summary>Null when the body is as expected, else where it is not.</summary>
    public string? Compare(string expected, string actual)
    {
        if (expected is not ['{' or '[', ..] || expected.StartsWith("{{", StringComparison.Ordinal))
        {
            return Take(Fill(expected), actual) ? null : $"expected {expected}";
        }
        using var wanted = JsonDocument.Parse(Fill(expected), Core.StrictJson.Document);
        try
        {
            using var got = JsonDocument.Parse(actual, Core.StrictJson.Document);
            return Compare(wanted.RootElement, got.RootElement, "$");
        }
        catch (JsonException e)
        {
            return "no JSON: " + e.Message;
        }
    }

    /// <summary>Whether a text fits; an unknown placeholder takes it.</summary>
    public bool Take(string expected, string actual)
    {
        if (Placeholder.Match(expected) is not { Success: true } match)
        {
            return Fill(expected) == actual;
        }
        var (name, pattern) = (match.Groups[1].Value, match.Groups[2].Value);
        if (pattern.Length > 0 && !Regex.IsMatch(actual, $@"\A(?:{pattern})\z", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1)))
        {
            return false;
        }
        if (name != "*")
        {
            values[name] = actual;
        }
        return true;
    }

    private string? Compare(JsonElement expected, JsonElement actual, string place)
    {
        if (expected.ValueKind == JsonValueKind.String && Placeholder.IsMatch(expected.GetString()!))
        {
            var text = actual.ValueKind == JsonValueKind.String ? actual.GetString()! : actual.GetRawText();
            return Take(expected.GetString()!, text) ? null : $"{place}: {text} is not {expected.GetString()}";
        }
        if (expected.ValueKind != actual.ValueKind)
        {
            return $"{place}: {actual.GetRawText()} is not {expected.GetRawText()}";
        }
        return expected.ValueKind switch
        {
            JsonValueKind.Object => CompareMembers(expected, actual, place),
            JsonValueKind.Array when expected.GetArrayLength() != actual.GetArrayLength() => $"{place}: {actual.GetRawText()} is not {expected.GetRawText()}",
            JsonValueKind.Array => expected.EnumerateArray().Zip(actual.EnumerateArray()).Select((pair, i) => Compare(pair.First, pair.Second, $"{place}[{i}]")).FirstOrDefault(found => found is not null),
            JsonValueKind.String => expected.GetString() == actual.GetString() ? null : $"{place}: {actual.GetRawText()} is not {expected.GetRawText()}",
            // 1 and 1.0 are two texts: what was sent must come back as it was written.
            _ => expected.GetRawText() == actual.GetRawText() ? null : $"{place}: {actual.GetRawText()} is not {expected.GetRawText()}",
        };
    }

    private string? CompareMembers(JsonElement expected, JsonElement actual, string place)
    {
        foreach (var member in actual.EnumerateObject())
        {
            if (!expected.TryGetProperty(member.Name, out _))
            {
                return $"{place}.{member.Name}: unexpected, {member.Value.GetRawText()}";
            }
        }
        foreach (var member in expected.EnumerateObject())
        {
            if (!actual.TryGetProperty(member.Name, out var value))
            {
                return $"{place}.{member.Name}: missing";
            }
            if (Compare(member.Value, value, $"{place}.{member.Name}") is { } found)
            {
                return found;
            }
        }
        return null;
    }

    [GeneratedRegex(@"\{\{(\w+)\}\}")]
    private static partial Regex Known { get; }

    [GeneratedRegex(@"\{\{repeat (\d+) (.*?)\}\}")]
    private static partial Regex Repeated { get; }

    [GeneratedRegex(@"\A\{\{(\w+|\*)(?::(.*))?\}\}\z", RegexOptions.Singleline)]
    private static partial Regex Placeholder { get; }
}
