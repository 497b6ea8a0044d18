using System.Collections.Immutable;
using System.Text;
using Postern.Core.Credentials;

namespace Postern.Core.Keys;

/// <summary>What a signing key is used for at present.</summary>
public enum SigningKeyState
{
    /// <summary>Signs and verifies.</summary>
    Active,
    /// <summary>Verifies what it signed, until its time.</summary>
    Retiring,
    /// <summary>Neither. Kept, so that its id is never used again.</summary>
    Retired,
}

/// <summary>An HMAC-SHA256 key (RFC 7518, 3.2) with its id. The algorithm comes from the key, never from the text.</summary>
public sealed class SigningKey
{
    /// <summary>Shorter keys are refused.</summary>
    public const int ShortestSecret = 32;

    private readonly byte[][] headers;

    /// <summary>A key of at least 32 bytes.</summary>
    /// <exception cref="ArgumentException">The secret is shorter, or the id is not of 1 to 64 characters of base64url.</exception>
    public SigningKey(string id, ReadOnlySpan<byte> secret, SigningKeyState state, DateTimeOffset? verifiesUntil)
    {
        if (secret.Length < ShortestSecret)
        {
            throw new ArgumentException($"A signing key has at least {ShortestSecret} bytes.", nameof(secret));
        }
        if (!IsId(id))
        {
            throw new ArgumentException("A key id has 1 to 64 characters of A-Z a-z 0-9 _ -.", nameof(id));
        }
        (Id, Hmac, State, VerifiesUntil) = (id, new HmacKey(secret.ToArray()), state, verifiesUntil);
        headers = [.. Enum.GetValues<CredentialKind>().Where(kind => kind.IsSigned()).Select(kind => Encoding.ASCII.GetBytes(
            Base64Text.Encode(Encoding.UTF8.GetBytes($$"""{"alg":"HS256","typ":"{{kind.Type()}}","kid":"{{id}}"}"""))))];
    }

    /// <summary>The <c>kid</c>.</summary>
    public string Id { get; }

    /// <summary>What it is used for.</summary>
    public SigningKeyState State { get; }

    /// <summary>When a retiring key stops to verify.</summary>
    public DateTimeOffset? VerifiesUntil { get; }

    /// <summary>Whether what it signed is still believed at <paramref name="now"/>.</summary>
    public bool Verifies(DateTimeOffset now) => State switch
    {
        SigningKeyState.Active => true,
        SigningKeyState.Retiring => VerifiesUntil is { } until && now < until,
        SigningKeyState.Retired => false,
        _ => false,
    };

    /// <summary>Whether <paramref name="text"/> may be a key id; checked before any look-up.</summary>
    public static bool IsId(ReadOnlySpan<char> text) => text.Length is > 0 and <= 64 && Base64Text.IsAlphabet(text);

    /// <summary>The same of ASCII bytes.</summary>
    public static bool IsId(ReadOnlySpan<byte> text) => text.Length is > 0 and <= 64 && Base64Text.IsAlphabet(text);

    /// <summary>The encoded header of this key's credentials of one kind: the only header they have.</summary>
    internal ReadOnlySpan<byte> Header(CredentialKind kind) => headers[(int)kind];

    /// <summary>Signs and verifies.</summary>
    internal HmacKey Hmac { get; }
}

/// <summary>The signing keys of an installation: one active, the older ones verifying until their time.</summary>
public sealed class KeyRing
{
    /// <summary>A ring of keys with different ids, one of them active.</summary>
    /// <exception cref="ArgumentException">None or several are active, or two have one id: it would depend on the order which one is believed.</exception>
    public KeyRing(ImmutableArray<SigningKey> keys)
    {
        if (keys.Count(k => k.State == SigningKeyState.Active) != 1 || keys.DistinctBy(k => k.Id, StringComparer.Ordinal).Count() != keys.Length)
        {
            throw new ArgumentException("A key ring has one active key, and no id twice.", nameof(keys));
        }
        Keys = keys;
        Active = keys.Single(k => k.State == SigningKeyState.Active);
    }

    /// <summary>All keys, retired ones too.</summary>
    public ImmutableArray<SigningKey> Keys { get; }

    /// <summary>The key that signs.</summary>
    public SigningKey Active { get; }

    /// <summary>The key of this id, whatever its state.</summary>
    public SigningKey? Find(ReadOnlySpan<char> id)
    {
        foreach (var key in Keys)
        {
            if (id.Equals(key.Id, StringComparison.Ordinal))
            {
                return key;
            }
        }
        return null;
    }
}
