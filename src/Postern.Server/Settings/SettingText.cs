using System.Globalization;
using System.Net;

namespace Postern.Server.Settings;

/// <summary>How the value of a setting is written and read: one way for every source and for the document.</summary>
internal static class SettingText
{
    private static readonly (string Suffix, TimeSpan Unit)[] Units =
    [
        ("ms", TimeSpan.FromMilliseconds(1)), ("s", TimeSpan.FromSeconds(1)), ("m", TimeSpan.FromMinutes(1)),
        ("h", TimeSpan.FromHours(1)), ("d", TimeSpan.FromDays(1)),
    ];

    /// <summary>The value, or false and what would have been expected.</summary>
    public static bool TryParse(Setting setting, string text, out object? value, out string expected)
    {
        var type = setting.Type;
        text = text.Trim();
        value = null;
        expected = "";
        if (setting.Facts.OneOf is { } words)
        {
            expected = "one of " + string.Join(", ", words.Split(','));
            value = words.Split(',').FirstOrDefault(word => string.Equals(word, text, StringComparison.OrdinalIgnoreCase));
            return value is not null;
        }
        if (type == typeof(string)) { value = text; return true; }
        if (type == typeof(IReadOnlyList<string>))
        {
            value = text.Split([',', ' '], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            return true;
        }
        if (type == typeof(PublicAddress))
        {
            expected = "http:// or https:// with a host, perhaps a port and nothing else, such as https://agents.example.com";
            if (text.Length == 0) return true;
            value = PublicAddress.Parse(text);
            return value is not null;
        }
        if (type == typeof(IPEndPoint))
        {
            expected = "ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080, or off";
            return string.Equals(text, "off", StringComparison.OrdinalIgnoreCase) || TryParseEndPoint(text, out value);
        }
        if (type == typeof(bool))
        {
            expected = "true or false";
            var parsed = bool.TryParse(text, out var flag);
            value = flag;
            return parsed;
        }
        expected = Range(setting);
        IComparable? number = type == typeof(int) ? ParseInt(text) : type == typeof(TimeSpan) ? ParseTime(text)
            : throw new NotSupportedException($"Settings of type {type} cannot be read.");
        value = number;
        return number is not null && Bound(type, setting.Facts.Min) is var min && Bound(type, setting.Facts.Max) is var max
            && (min is null || number.CompareTo(min) >= 0) && (max is null || number.CompareTo(max) <= 0);
    }

    /// <summary>The range for people, such as <c>10s to 24h</c>; empty where anything goes.</summary>
    public static string Range(Setting setting) => setting switch
    {
        { Facts.OneOf: { } words } => words.Replace(",", ", ", StringComparison.Ordinal),
        { Facts: { Min: { } min, Max: { } max } } => $"between {min} and {max}",
        _ when setting.Type == typeof(bool) => "true, false",
        _ => "",
    };

    /// <summary>The value as one would write it in a setting.</summary>
    public static string Format(object? value) => value switch
    {
        null => "",
        IPEndPoint point => point.ToString(),
        TimeSpan time => FormatTime(time),
        bool flag => flag ? "true" : "false",
        IReadOnlyList<string> list => string.Join(",", list),
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };

    private static IComparable? Bound(Type type, string? text) =>
        text is null ? null : type == typeof(int) ? ParseInt(text) : ParseTime(text);

    private static IComparable? ParseInt(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>A duration such as <c>15m</c>, <c>900s</c> or <c>00:15:00</c>; null for anything else.</summary>
    public static TimeSpan? ParseTime(string text)
    {
        foreach (var (suffix, unit) in Units)
            if (text.EndsWith(suffix, StringComparison.Ordinal)
                && int.TryParse(text.AsSpan(0, text.Length - suffix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var count))
                return unit * count;
        return text.Contains(':', StringComparison.Ordinal)
            && TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var time) ? time : null;
    }

    private static string FormatTime(TimeSpan time)
    {
        foreach (var (suffix, unit) in Units.Reverse())
            if (time >= unit && time.Ticks % unit.Ticks == 0) return (time.Ticks / unit.Ticks).ToString(CultureInfo.InvariantCulture) + suffix;
        return time == TimeSpan.Zero ? "0s" : time.ToString("c", CultureInfo.InvariantCulture);
    }

    private static bool TryParseEndPoint(string text, out object? value)
    {
        value = null;
        if (text.StartsWith("localhost:", StringComparison.OrdinalIgnoreCase)) text = "127.0.0.1" + text["localhost".Length..];
        // IPEndPoint.Parse takes a missing port as 0 and "8080" as the address 0.0.31.144: both would listen where nobody meant.
        var colon = text.LastIndexOf(':');
        if (colon <= 0 || (text.Count(c => c == ':') > 1 && text[colon - 1] != ']') || text[..colon].Count(c => c == '.') is not (0 or 3)) return false;
        if (!text.StartsWith('[') && !text.Contains('.', StringComparison.Ordinal)) return false;
        if (!IPEndPoint.TryParse(text, out var point)) return false;
        value = point;
        return true;
    }
}
