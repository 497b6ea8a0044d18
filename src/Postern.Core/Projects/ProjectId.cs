namespace Postern.Core.Projects;

/// <summary>Names a project: the isolation boundary that owns agents, keys and conversations.</summary>
public readonly record struct ProjectId(string Value)
{
    /// <summary>The project that the first start creates.</summary>
    public static readonly ProjectId Default = new("default");

    /// <summary>Whether it may name a new project: 1 to 64 letters, digits, hyphens and underscores, as vendors' clients put it into addresses.</summary>
    public bool IsValid => Value.Length is > 0 and <= 64 && Credentials.Base64Text.IsAlphabet(Value);

    /// <inheritdoc/>
    public override string ToString() => Value;
}
