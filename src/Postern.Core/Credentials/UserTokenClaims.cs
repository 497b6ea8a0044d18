using System.Text.Json;
using System.Text.Unicode;
using Postern.Core.Keys;
using Postern.Core.Projects;

namespace Postern.Core.Credentials;

/// <summary>
/// The claims of a user token: sub and exp, iat and nbf if present, each once. Several of the vendor's own signers put the payload
/// together as text, so that a user id with a quote in it becomes JSON of the user's choosing under a valid signature: no duplicate,
/// no further claim and no backslash in sub are what stops it. All three are needed.
/// </summary>
internal readonly struct UserTokenClaims
{
    // 9999-12-31: beyond, DateTimeOffset throws.
    private const long LatestTime = 253402300799;

    private readonly long? issued;
    private readonly long? notBefore;

    private UserTokenClaims(UserToken user, long expires, long? issued, long? notBefore)
    {
        (User, this.issued, this.notBefore) = (user, issued, notBefore);
        ExpiresAt = DateTimeOffset.FromUnixTimeSeconds(expires);
    }

    /// <summary>The end user.</summary>
    public UserToken User { get; }

    /// <summary>The <c>exp</c>.</summary>
    public DateTimeOffset ExpiresAt { get; }

    /// <summary>Null and the claims, or what is wrong with them.</summary>
    public static string? Read(ReadOnlySpan<byte> payload, UserTokenKey key, out UserTokenClaims claims)
    {
        claims = default;
        try
        {
            return ReadStrictly(payload, key, out claims);
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return "user token claims: no JSON, or a text that is no Unicode";
        }
    }

    /// <summary>What is against its times, its expiry apart.</summary>
    public string? WhyRefused(DateTimeOffset now, TimeSpan longest)
    {
        var latest = (now + UserTokenVerifier.Leeway).ToUnixTimeSeconds();
        return issued > latest ? "user token claims: iat is in the future"
            : notBefore > latest ? "user token claims: nbf is in the future"
            : ExpiresAt - (issued is { } at ? DateTimeOffset.FromUnixTimeSeconds(at) : now) > longest + UserTokenVerifier.Leeway
                ? $"user token claims: a lifetime of more than {longest.TotalSeconds:0} seconds"
            : null;
    }

    /// <summary>Whether it is older than a cut-off; one that does not say how old it is counts as older than any.</summary>
    public bool IssuedBefore(DateTimeOffset? cutOff) =>
        cutOff is { } time && (issued is not { } at || DateTimeOffset.FromUnixTimeSeconds(at) < time);

    private static string? ReadStrictly(ReadOnlySpan<byte> payload, UserTokenKey key, out UserTokenClaims claims)
    {
        claims = default;
        var encoded = key.SignerEncodesJson;
        var reader = new Utf8JsonReader(payload, StrictJson.Claims);
        UserToken? user = null;
        long? expires = null, issued = null, notBefore = null;
        var known = true;
        // The reader looks at names and at strings that nobody asks for as bytes only.
        if (!Utf8.IsValid(payload) || !reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return "user token claims: not one JSON object in UTF-8";
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (!encoded && reader.ValueIsEscaped)
            {
                return "user token claims: an escaped name";
            }
            var sound = reader.ValueTextEquals("sub"u8) ? ReadSubject(ref reader, key, ref user)
                : reader.ValueTextEquals("exp"u8) ? ReadTime(ref reader, ref expires)
                : reader.ValueTextEquals("iat"u8) ? ReadTime(ref reader, ref issued)
                : reader.ValueTextEquals("nbf"u8) ? ReadTime(ref reader, ref notBefore)
                : encoded && !reader.ValueTextEquals("aud"u8); // for somebody, and Postern has no name to be meant by (RFC 7519, 4.1.3)
            if (!sound)
            {
                return "user token claims: other than one sub, exp, iat and nbf of the right form; see docs/user-tokens.md";
            }
            if (reader.TokenType == JsonTokenType.PropertyName)
            {
                known = false;
                reader.Skip();
            }
        }
        if (reader.TokenType != JsonTokenType.EndObject || reader.Read() || user is null || expires is null || !(known || StrictJson.HasNoDuplicates(payload)))
        {
            return "user token claims: sub or exp is missing";
        }
        claims = new UserTokenClaims(user, expires.Value, issued, notBefore);
        return null;
    }

    // Each reader is false for a second occurrence.
    private static bool ReadSubject(ref Utf8JsonReader reader, UserTokenKey key, ref UserToken? user)
    {
        if (user is not null || !reader.Read() || reader.TokenType != JsonTokenType.String || (reader.ValueIsEscaped && !key.SignerEncodesJson)
            || reader.ValueSpan.Length > (reader.ValueIsEscaped ? 6 : 1) * Subject.LongestBytes)
        {
            return false;
        }
        Span<char> text = stackalloc char[reader.ValueSpan.Length];
        text = text[..reader.CopyString(text)];
        if (!Subject.IsValid(text))
        {
            return false;
        }
        user = key.Of(text);
        return true;
    }

    private static bool ReadTime(ref Utf8JsonReader reader, ref long? time)
    {
        if (time is not null || !reader.Read() || reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var number) || number is < 1 or > LatestTime)
        {
            return false;
        }
        time = number;
        return true;
    }
}
