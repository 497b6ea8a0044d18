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

    /// <summary>Path to value for every leaf that a mint is to fix, or what keeps one of them from being held to.</summary>
    public static Decision<Dictionary<string, JsonElement>> Fix(JsonElement wanted)
    {
        if (wanted.ValueKind != JsonValueKind.Object)
        {
            return new Denial(DenialReason.RequestInvalid, "overrides must be an object of a session's fields.");
        }
        var leaves = Leaves(wanted);
        return leaves.FirstOrDefault(field => MintForm.NotConfiguration.Contains(field.Path.Split('.')[0])) is { Path: not null } other
                ? new Denial(DenialReason.RequestInvalid, $"overrides: '{other.Name}' is no field that a session can be fixed to.")
            : Twice(leaves) is { } path ? new Denial(DenialReason.RequestInvalid, $"overrides: '{path}' is given twice, in two forms.")
            : leaves.ToDictionary(field => field.Path, field => field.Value, StringComparer.Ordinal);
    }

    /// <summary>The first path that more than one leaf stands for; null when each has its own.</summary>
    public static string? Twice(IEnumerable<SessionField> leaves) =>
        leaves.GroupBy(field => field.Path, StringComparer.OrdinalIgnoreCase).FirstOrDefault(same => same.Skip(1).Any())?.Key;

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
