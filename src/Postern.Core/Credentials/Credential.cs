using System.Collections.Immutable;
using System.Text.Json;
using Postern.Core.Agents;
using Postern.Core.Projects;

namespace Postern.Core.Credentials;

/// <summary>Names a credential: 16 bytes, the first six of them the time in milliseconds, the others random. Public, safe in logs.</summary>
public readonly record struct CredentialId(string Value)
{
    /// <summary>Characters of an id.</summary>
    public const int Length = 22;

    /// <summary>A new id. Ids of one time stand together in an index.</summary>
    public static CredentialId Create(DateTimeOffset now)
    {
        Span<byte> bytes = stackalloc byte[16];
        System.Buffers.Binary.BinaryPrimitives.WriteInt64BigEndian(bytes, now.ToUnixTimeMilliseconds() << 16);
        RandomText.Bytes(bytes[6..]);
        return new CredentialId(Base64Text.Encode(bytes));
    }

    /// <inheritdoc/>
    public override string ToString() => Value;
}

/// <summary>What a credential allows.</summary>
/// <param name="Project">The project of the key that minted it.</param>
/// <param name="Agent">The only agent that it opens; null is any of the project, for personal access tokens alone.</param>
/// <param name="Subject">The end user, opaque and byte-exact (RFC 7519, sub).</param>
/// <param name="StartBy">A session must start before; a running one outlives it.</param>
/// <param name="Uses">How many sessions it opens; null is any number.</param>
/// <param name="MaxDuration">Longest duration of each session, or of all together (<see cref="CredentialKinds.CountsTime"/>); null is the agent's.</param>
/// <param name="Origins">Further hosts that must match; empty is any.</param>
/// <param name="ConversationId">The conversation that it opens, when that was fixed at the mint.</param>
public sealed record Grant(
    ProjectId Project, AgentId? Agent, string? Subject, DateTimeOffset StartBy, int? Uses, TimeSpan? MaxDuration,
    ImmutableArray<string> Origins, string? ConversationId)
{
    /// <summary>Values that the mint has fixed are in the ledger, under the credential's id: a client could read a token, and it has a size.</summary>
    public bool HasFixed { get; init; }
}

/// <summary>What the mint says of the conversation: what no client can change, and what a session merely begins with.</summary>
/// <param name="Variables">Dynamic variables by name.</param>
/// <param name="Fields">Configuration leaves by dotted path, in the naming of the dialect that minted.</param>
public sealed record FixedValues(IReadOnlyDictionary<string, JsonElement> Variables, IReadOnlyDictionary<string, JsonElement> Fields)
{
    private static readonly IReadOnlyDictionary<string, JsonElement> Nothing = new Dictionary<string, JsonElement>();

    /// <summary>Nothing is said.</summary>
    public static readonly FixedValues None = new(Nothing, Nothing);

    /// <summary>Configuration leaves that a session begins with and its client may change; named like <see cref="Fields"/>.</summary>
    public IReadOnlyDictionary<string, JsonElement> Defaults { get; init; } = Nothing;

    /// <summary>Whether nothing is said.</summary>
    public bool IsEmpty => Variables.Count == 0 && Fields.Count == 0 && Defaults.Count == 0;

    /// <summary>The same with nothing that the client may change.</summary>
    public FixedValues WithoutDefaults() => new(Variables, Fields.Concat(Defaults).ToDictionary(StringComparer.Ordinal));
}

/// <summary>A credential as the ledger keeps it: never its text.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Kind">Its kind.</param>
/// <param name="Grant">What it allows; <see cref="Grant.StartBy"/> is its present expiry.</param>
/// <param name="KeyId">The API key that minted it.</param>
/// <param name="MintedAt">When.</param>
/// <param name="RevokedAt">When it was revoked, if it was; a revoked minting key counts.</param>
/// <param name="Used">How many sessions it has opened, where that is counted.</param>
public sealed record StoredCredential(CredentialId Id, CredentialKind Kind, Grant Grant, string? KeyId, DateTimeOffset MintedAt, DateTimeOffset? RevokedAt, int Used);

/// <summary>A minted credential. Only this value holds its text.</summary>
public sealed class Credential
{
    private readonly Lazy<CredentialText> text;

    internal Credential(CredentialId id, CredentialKind kind, Grant grant, Func<CredentialText> write) =>
        (Id, Kind, Grant, text) = (id, kind, grant, new Lazy<CredentialText>(write, LazyThreadSafetyMode.None));

    /// <summary>Its id.</summary>
    public CredentialId Id { get; }

    /// <summary>Its kind.</summary>
    public CredentialKind Kind { get; }

    /// <summary>What it allows.</summary>
    public Grant Grant { get; }

    /// <summary>Its text, signed when it is first asked for: in place of a conversation token a room's own is handed out.</summary>
    public CredentialText Text => text.Value;

    /// <inheritdoc/>
    public override string ToString() => $"{Kind} {Id} [credential]";
}

/// <summary>A credential whose signature held; its time and uses are still to be judged.</summary>
/// <param name="Id">The credential's id.</param>
/// <param name="Kind">Its kind.</param>
/// <param name="Grant">What it allows.</param>
/// <param name="KeyId">The signing key, or the API key that stood in its place.</param>
public sealed record VerifiedCredential(CredentialId Id, CredentialKind Kind, Grant Grant, string KeyId);

/// <summary>Bearer text. Prints as <c>[credential]</c>, so that no log line or exception carries it by accident.</summary>
public readonly record struct CredentialText(string Value)
{
    /// <inheritdoc/>
    public override string ToString() => "[credential]";
}
