using Postern.Server.Hosting;

namespace Postern.Server.Settings;

/// <summary>Turns what was written in the file, the environment and the command line into checked options.</summary>
internal static class SettingsReader
{
    /// <summary>The options; a later source wins. Throws <see cref="RefusedException"/> with exit code 2 at the first name or value that is wrong.</summary>
    public static PosternOptions Read(IEnumerable<WrittenSetting> written)
    {
        var options = new PosternOptions();
        var taken = new Dictionary<(Setting, SettingOrigin), string>();
        foreach (var one in written.OrderBy(one => one.Source))
        {
            var setting = Setting.Find(one.Name) ?? throw Unknown(one);
            if (!taken.TryAdd((setting, one.Source), one.Written))
                throw Wrong($"{Where(one, setting)} is given twice; keep one.");
            if (!SettingText.TryParse(setting, one.Text, out var value, out var expected))
                throw Wrong(setting.Facts.Secret ? $"{Where(one, setting)} must be {expected}." : $"{Where(one, setting)} is '{Short(one.Text)}' but must be {expected}.");
            setting.Write(options, value);
        }
        return StartChecks.OfSettings(options) is { } problem ? throw Wrong(problem) : options;
    }

    private static RefusedException Unknown(WrittenSetting one) => one.Source switch
    {
        SettingOrigin.Environment => Wrong($"The environment variable {one.Written} names no setting.{NearestName.Suggest(
            Setting.EnvironmentPrefix + Setting.Plain(one.Name).Replace(":", "__", StringComparison.Ordinal), Setting.All.Select(setting => setting.EnvironmentName))}"),
        SettingOrigin.CommandLine => Wrong($"The option {one.Written} is unknown.{NearestName.Suggest(one.Written, Setting.All.Select(setting => setting.OptionName))}"),
        _ => Wrong($"{one.Written} in {SettingSource.FileName} names no setting.{NearestName.Suggest(one.Name, Setting.All.Select(setting => setting.Name))}"),
    };

    private static string Where(WrittenSetting one, Setting setting) => one.Source switch
    {
        SettingOrigin.Environment => $"The environment variable {one.Written}",
        SettingOrigin.CommandLine => $"The option {setting.OptionName}",
        _ => $"The setting {setting.Name} in {SettingSource.FileName}",
    };

    private static RefusedException Wrong(string sentence) => new(sentence, RefusedException.Usage);

    private static string Short(string text)
    {
        var plain = new string([.. text.Select(c => char.IsControl(c) ? ' ' : c)]);
        return plain.Length <= 80 ? plain : plain[..80] + "…";
    }
}
