using System.Collections;
using System.Text.Json;

namespace Postern.Server.Settings;

/// <summary>One written value: the name as it was written, without its prefix, the text, and where it stands.</summary>
/// <param name="Name">The name with ':' between section and setting.</param>
/// <param name="Text">The value as written.</param>
/// <param name="Written">The name as the operator wrote it.</param>
/// <param name="Source">Where it stands.</param>
internal sealed record WrittenSetting(string Name, string Text, string Written, SettingOrigin Source);

/// <summary>Where a setting was written; a later one wins over an earlier one.</summary>
internal enum SettingOrigin
{
    File,
    Environment,
    CommandLine,
}

/// <summary>The three places that settings are read from.</summary>
internal static class SettingSource
{
    public const string FileName = "appsettings.json";

    /// <summary>The variable that becomes the first API key; it is no setting.</summary>
    public const string ApiKeyVariable = "POSTERN_API_KEY";

    /// <summary>The section "Postern" of the file; nothing where there is no file.</summary>
    public static IEnumerable<WrittenSetting> FromFile(string path)
    {
        if (!File.Exists(path)) return [];
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions
            {
                AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip, AllowDuplicateProperties = false, MaxDepth = 8,
            });
            return [.. FromRoot(document.RootElement, path)];
        }
        catch (Exception cause) when (cause is JsonException or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            throw new RefusedException($"{path} cannot be read: {OneLine(cause.Message)}", RefusedException.Usage);
        }
    }

    /// <summary>The variables that begin with <c>POSTERN__</c>; an empty one counts as not set.</summary>
    public static IEnumerable<WrittenSetting> FromEnvironment(IDictionary variables)
    {
        foreach (DictionaryEntry entry in variables)
        {
            var (name, text) = ((string)entry.Key, (string?)entry.Value ?? "");
            if (text.Length == 0) continue;
            if (name.StartsWith(Setting.EnvironmentPrefix, StringComparison.OrdinalIgnoreCase))
                yield return new WrittenSetting(name[Setting.EnvironmentPrefix.Length..].Replace("__", ":", StringComparison.Ordinal), text, name, SettingOrigin.Environment);
            else if (name.StartsWith("POSTERN_", StringComparison.OrdinalIgnoreCase) && Meant(name) is { } meant)
                throw new RefusedException($"The environment variable {name} is not read. Did you mean {meant}?", RefusedException.Usage);
        }
    }

    // Orchestrators put variables of their own (POSTERN_PORT, POSTERN_SERVICE_HOST) beside ours, so only a clear slip is refused.
    private static string? Meant(string name)
    {
        if (name == ApiKeyVariable) return null;
        var plain = Setting.Plain(name["POSTERN_".Length..]);
        if (string.Equals(plain, "APIKEY", StringComparison.OrdinalIgnoreCase)) return ApiKeyVariable;
        return Setting.All.FirstOrDefault(setting =>
            string.Equals(setting.Name.Replace(":", "", StringComparison.Ordinal), plain, StringComparison.OrdinalIgnoreCase))?.EnvironmentName;
    }

    private static IEnumerable<WrittenSetting> FromRoot(JsonElement root, string path)
    {
        if (root.ValueKind != JsonValueKind.Object) throw new JsonException("it must hold an object with the section \"Postern\".");
        foreach (var member in root.EnumerateObject())
        {
            if (!string.Equals(member.Name, "Postern", StringComparison.OrdinalIgnoreCase))
            {
                if (IsMeantForUs(member.Name))
                    throw new RefusedException($"{path} holds \"{member.Name}\", but only the section \"Postern\" is read: put it there.", RefusedException.Usage);
                continue;
            }
            if (member.Value.ValueKind != JsonValueKind.Object)
                throw new RefusedException($"{path}: \"Postern\" must be an object with settings.", RefusedException.Usage);
            foreach (var setting in FromSection("", member.Value)) yield return setting;
        }
    }

    // The file may be another program's as well: "Logging" and its like are left alone, and "AllowedHosts" is in every template.
    private static bool IsMeantForUs(string name) => NearestName.Suggest(name, ["Postern"]).Length > 0
        || (name != "AllowedHosts" && Setting.All.Any(setting => string.Equals(setting.Name.Split(':')[0], name, StringComparison.OrdinalIgnoreCase)));

    private static IEnumerable<WrittenSetting> FromSection(string prefix, JsonElement section)
    {
        foreach (var member in section.EnumerateObject())
        {
            var name = prefix + member.Name;
            if (member.Value.ValueKind == JsonValueKind.Object)
                foreach (var inner in FromSection(name + ":", member.Value)) yield return inner;
            else if (member.Value.ValueKind != JsonValueKind.Null)
                yield return new WrittenSetting(name, TextOf(name, member.Value), $"\"Postern:{name}\"", SettingOrigin.File);
        }
    }

    private static string TextOf(string name, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Array when value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) =>
            string.Join(",", value.EnumerateArray().Select(item => item.GetString())),
        JsonValueKind.Array => throw new RefusedException($"The setting {name} takes a list of texts.", RefusedException.Usage),
        _ => value.GetRawText(),
    };

    private static string OneLine(string text) => text.ReplaceLineEndings(" ");
}
