using System.Reflection;
using System.Text;

namespace Postern.Server.Settings;

/// <summary>One setting: where it lives in <see cref="PosternOptions"/> and what it is called in each source.</summary>
internal sealed class Setting
{
    public const string EnvironmentPrefix = "POSTERN__";

    private readonly PropertyInfo? section;
    private readonly PropertyInfo property;

    private Setting(PropertyInfo? section, PropertyInfo property, SettingAttribute facts)
    {
        this.section = section;
        this.property = property;
        Facts = facts;
        Name = section is null ? property.Name : $"{section.Name}:{property.Name}";
    }

    /// <summary>All settings, in the order of the classes.</summary>
    public static IReadOnlyList<Setting> All { get; } = [.. List()];

    public SettingAttribute Facts { get; }

    /// <summary>The name in appsettings.json, below "Postern": <c>Sessions:MaxDuration</c>.</summary>
    public string Name { get; }

    /// <summary>The environment variable: <c>POSTERN__SESSIONS__MAXDURATION</c>.</summary>
    public string EnvironmentName => EnvironmentPrefix + Name.Replace(":", "__", StringComparison.Ordinal).ToUpperInvariant();

    /// <summary>The option on the command line: <c>--sessions:max-duration</c>.</summary>
    public string OptionName
    {
        get
        {
            var text = new StringBuilder("--");
            for (var i = 0; i < Name.Length; i++)
            {
                if (i > 0 && char.IsUpper(Name[i]) && Name[i - 1] != ':') text.Append('-');
                text.Append(char.ToLowerInvariant(Name[i]));
            }
            return text.ToString();
        }
    }

    public Type Type => property.PropertyType;

    /// <summary>The setting with this name in any case, with or without dashes and underscores inside its words.</summary>
    public static Setting? Find(string name)
    {
        var plain = Plain(name);
        return All.FirstOrDefault(setting => string.Equals(setting.Name, plain, StringComparison.OrdinalIgnoreCase));
    }

    public object? Read(PosternOptions options) => property.GetValue(Owner(options));

    public void Write(PosternOptions options, object? value) => property.SetValue(Owner(options), value);

    /// <summary>The name without the marks that sources put between its words.</summary>
    public static string Plain(string name) =>
        name.Replace("-", "", StringComparison.Ordinal).Replace("_", "", StringComparison.Ordinal);

    private object Owner(PosternOptions options) => section is null ? options : section.GetValue(options)!;

    private static IEnumerable<Setting> List()
    {
        foreach (var outer in typeof(PosternOptions).GetProperties())
        {
            if (outer.GetCustomAttribute<SettingAttribute>() is { } facts) yield return new Setting(null, outer, facts);
            else
                foreach (var inner in outer.PropertyType.GetProperties())
                    if (inner.GetCustomAttribute<SettingAttribute>() is { } innerFacts) yield return new Setting(outer, inner, innerFacts);
        }
    }
}
