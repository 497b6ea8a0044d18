using System.Text;

namespace Postern.Server.Settings;

/// <summary>docs/configuration.md, generated from the options class.</summary>
internal static class ConfigurationDocument
{
    public static string Write()
    {
        var text = new StringBuilder(
            """
            # Configuration

            Every setting of Postern. This page is generated from the code (`postern check-config --document markdown`); a test keeps it current.

            A setting is read from the section `Postern` of `appsettings.json` in the folder it is started in, then from the environment, then from the
            command line; the later one wins. A name that is no setting, or a value out of its range, keeps Postern from starting and is told
            in one sentence. Durations are written `15m`, `900s` or `00:15:00`. `POSTERN_API_KEY` is no setting: at the first start it becomes
            the first API key, which otherwise is made and shown once.

            | Setting | Environment, option | Default | Range | What it is |
            |---|---|---|---|---|

            """);
        var defaults = new PosternOptions();
        foreach (var setting in Setting.All)
        {
            text.Append("| `").Append(setting.Name).Append("` | `").Append(setting.EnvironmentName).Append("`<br>`").Append(setting.OptionName)
                .Append("` | ").Append(Default(setting, defaults)).Append(" | ").Append(SettingText.Range(setting)).Append(" | ").Append(setting.Facts.Sentence).Append(" |\n");
        }
        return text.ToString();
    }

    private static string Default(Setting setting, PosternOptions defaults) =>
        setting.Facts.DefaultText ?? (SettingText.Format(setting.Read(defaults)) is { Length: > 0 } written ? $"`{written}`" : "empty");
}
