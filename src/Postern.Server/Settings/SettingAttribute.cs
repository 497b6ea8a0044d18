namespace Postern.Server.Settings;

/// <summary>Marks a property as a setting, with the sentence and the range that docs/configuration.md shows.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class SettingAttribute(string sentence) : Attribute
{
    /// <summary>One sentence for the operator.</summary>
    public string Sentence { get; } = sentence;

    /// <summary>The least value allowed, as it would be written in a setting.</summary>
    public string? Min { get; init; }

    /// <summary>The greatest value allowed, as it would be written in a setting.</summary>
    public string? Max { get; init; }

    /// <summary>The only values allowed, separated by commas.</summary>
    public string? OneOf { get; init; }

    /// <summary>What the document shows as default where the value itself depends on the machine.</summary>
    public string? DefaultText { get; init; }

    /// <summary>A value that no message may repeat.</summary>
    public bool Secret { get; init; }
}
