namespace Postern.Core.Projects;

/// <summary>Names a project: the isolation boundary that owns agents, keys and conversations.</summary>
public readonly record struct ProjectId(string Value)
{
    /// <summary>The project that the first start creates.</summary>
    public static readonly ProjectId Default = new("default");

    /// <inheritdoc/>
    public override string ToString() => Value;
}
