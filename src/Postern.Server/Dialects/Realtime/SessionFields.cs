using System.Text.Json;
using Postern.Core;

namespace Postern.Server.Dialects.Realtime;

/// <summary>One leaf of a session's configuration.</summary>
/// <param name="Path">Its dotted path in the form of the present protocol: <c>audio.output.voice</c>.</param>
/// <param name="Written">The members as they were written, which may be an older or the other vendor's: <c>voice</c>.</param>
/// <param name="Value">A scalar, null or a whole array.</param>
internal readonly record struct SessionField(string Path, IReadOnlyList<string> Written, JsonElement Value)
{
    /// <summary>The path as it was written.</summary>
    public string Name => string.Join('.', Written);
}

/// <summary>
/// Takes a session's configuration apart into leaves. xAI and the older protocol write some of them flat; both forms are one field, or
/// a lock on one would leave the other open.
/// </summary>
internal static class SessionFields
{
    private static readonly Dictionary<string, string> Flat = new(StringComparer.OrdinalIgnoreCase)
    {
        ["voice"] = "audio.output.voice",
        ["speed"] = "audio.output.speed",
        ["turn_detection"] = "audio.input.turn_detection",
        ["modalities"] = "output_modalities",
        ["input_audio_format"] = "audio.input.format",
        ["output_audio_format"] = "audio.output.format",
        ["input_audio_transcription"] = "audio.input.transcription",
        ["input_audio_noise_reduction"] = "audio.input.noise_reduction",
        ["max_response_output_tokens"] = "max_output_tokens",
    };

    private static readonly Dictionary<string, string> Formats = new(StringComparer.Ordinal)
    {
        ["pcm16"] = """{"type":"audio/pcm","rate":24000}""",
        ["g711_ulaw"] = """{"type":"audio/pcmu"}""",
        ["g711_alaw"] = """{"type":"audio/pcma"}""",
    };

    /// <summary>Every leaf, in the order of the text.</summary>
    public static List<SessionField> Leaves(JsonElement session)
    {
        var leaves = new List<SessionField>();
        foreach (var member in session.EnumerateObject())
        {
            var path = Canonical(member.Name);
            var isFormat = path.EndsWith(".format", StringComparison.Ordinal) && member.Value.ValueKind == JsonValueKind.String;
            Add(leaves, path, [member.Name], isFormat && Formats.TryGetValue(member.Value.GetString()!, out var format) ? JsonElement.Parse(format, StrictJson.Document) : member.Value);
        }
        return leaves;
    }

    /// <summary>A path in the present protocol's form, with or without the word session in front.</summary>
    public static string Canonical(string path)
    {
        path = path.StartsWith("session.", StringComparison.Ordinal) ? path["session.".Length..] : path;
        var dot = path.IndexOf('.', StringComparison.Ordinal);
        var first = dot < 0 ? path : path[..dot];
        return Flat.TryGetValue(first, out var found) ? dot < 0 ? found : found + path[dot..] : path;
    }

    /// <summary>Whether one path is the other, or lies above or below it.</summary>
    public static bool Touch(string one, string other) => IsWithin(one, other) || IsWithin(other, one);

    /// <summary>Whether a path is another one or lies below it. Case does not count: not every reader of JSON heeds it.</summary>
    public static bool IsWithin(string path, string above) =>
        path.StartsWith(above, StringComparison.OrdinalIgnoreCase) && (path.Length == above.Length || path[above.Length] == '.');

    private static void Add(List<SessionField> leaves, string path, string[] written, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            leaves.Add(new SessionField(path, written, value));
            return;
        }
        foreach (var member in value.EnumerateObject())
        {
            Add(leaves, $"{path}.{member.Name}", [.. written, member.Name], member.Value);
        }
    }
}
