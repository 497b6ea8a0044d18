using System.Text;
using Postern.Core.Agents;
using Postern.Core.Projects;

namespace Postern.Core.Credentials;

/// <summary>
/// The one verifier of user tokens: compact JWS that customers' backends sign (HS256, RFC 7515 and 7519). A valid one allocates
/// nothing, its user's first apart. What it refuses has its true reason in the denial's detail, for the audit alone.
/// </summary>
public static class UserTokenVerifier
{
    /// <summary>Longer texts are refused before anything is read.</summary>
    public const int LongestText = 4096;

    /// <summary>How far the clocks of signer and Postern may be apart.</summary>
    public static readonly TimeSpan Leeway = TimeSpan.FromSeconds(30);

    /// <summary>
    /// The token, or why it is none: malformed, a signature or a key that does not hold, a scope, a cut-off; Expired only when all else
    /// holds, so that nobody learns from it who has no signature.
    /// </summary>
    /// <param name="directory">Knows the keys.</param>
    /// <param name="project">The project of the API key beside it: another project's key is as unknown as none.</param>
    /// <param name="text">The token as received.</param>
    /// <param name="agent">The agent that the request concerns, if one.</param>
    /// <param name="longest">The longest lifetime.</param>
    /// <param name="now">The time of the request.</param>
    public static Decision<UserToken> Verify(Directory directory, ProjectId project, string text, AgentId? agent, TimeSpan longest, DateTimeOffset now)
    {
        if (text.Length is 0 or > LongestText)
        {
            return Malformed("user token: it has 1 to 4096 bytes");
        }
        Span<byte> bytes = stackalloc byte[text.Length];
        Span<byte> buffer = stackalloc byte[text.Length];
        if (Ascii.FromUtf16(text, bytes, out _) != System.Buffers.OperationStatus.Done || !CompactJws.TryRead(bytes, buffer, out var jws))
        {
            return Malformed("user token: no compact JWS of HS256, or a header that is refused");
        }
        if (!jws.Type.IsEmpty && !IsJwt(jws.Type))
        {
            return Malformed("user token: typ is not JWT");
        }
        if (jws.Kid.IsEmpty)
        {
            return Malformed("user token: no kid");
        }
        if (directory.FindUserTokenKey(project, jws.Kid) is not { } key)
        {
            return new Denial(DenialReason.BadSignature, "user token: kid names no secret key of the project");
        }
        Span<byte> payload = stackalloc byte[text.Length];
        if (!jws.TryVerify(key.Hmac, payload, out var written))
        {
            return new Denial(DenialReason.BadSignature, $"user token: the signature is not that of secret key {key.Id}");
        }
        if (UserTokenClaims.Read(payload[..written], key, out var claims) is { } problem)
        {
            return Malformed(problem);
        }
        return claims.WhyRefused(now, longest) is { } untimely ? new Denial(DenialReason.CredentialMalformed, untimely)
            : agent is { } opened && !key.Opens(opened) ? new Denial(DenialReason.AgentMismatch, $"user token: secret key {key.Id} is not for this agent")
            : claims.IssuedBefore(directory.CutOff(key, claims.User.Subject)) ? new Denial(DenialReason.Revoked, "user token: issued before a cut-off of its user or its key")
            : now >= claims.ExpiresAt + Leeway ? new Denial(DenialReason.Expired, $"user token: exp of {claims.ExpiresAt:O}")
            : claims.User;
    }

    private static bool IsJwt(ReadOnlySpan<byte> type) => type.Length == 3 && type.StartsWith("JWT"u8);

    private static Denial Malformed(string detail) => new(DenialReason.CredentialMalformed, detail);
}
