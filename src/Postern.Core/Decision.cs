using System.Diagnostics.CodeAnalysis;
using Postern.Core.Credentials;

namespace Postern.Core;

/// <summary>A value, or a named refusal: never both, never neither. Classes only: the default of a struct would read as a grant.</summary>
public readonly struct Decision<T> where T : class
{
    private readonly T? value;
    private readonly Denial? denial;

    private Decision(T? value, Denial? denial) => (this.value, this.denial) = (value, denial);

    /// <summary>The refusal, when there is one. A default-constructed decision is an <see cref="DenialReason.Unavailable"/>.</summary>
    public Denial? Denial => value is null ? denial ?? new Denial(DenialReason.Unavailable) : null;

    /// <summary>True and the refusal when refused; false and the value when granted.</summary>
    public bool IsDenied([NotNullWhen(true)] out Denial? refusal, [NotNullWhen(false)] out T? granted)
    {
        refusal = Denial;
        granted = value;
        return refusal is not null;
    }

    /// <summary>A grant.</summary>
    public static implicit operator Decision<T>(T granted) => new(granted, null);

    /// <summary>A refusal.</summary>
    public static implicit operator Decision<T>(Denial refusal) => new(default, refusal);
}

/// <summary>A refusal as a value: the reason, and what a developer must know to mend it. Never holds a secret.</summary>
/// <param name="Reason">The named reason.</param>
/// <param name="Detail">The field, host or range concerned; dialects put it into the vendor's words.</param>
public sealed record Denial(DenialReason Reason, string? Detail = null)
{
    /// <summary>The genuine credential that was refused, if one was.</summary>
    public CredentialId? Credential { get; init; }
}
