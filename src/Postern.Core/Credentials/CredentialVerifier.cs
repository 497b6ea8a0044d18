using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using Postern.Core.Keys;

namespace Postern.Core.Credentials;

/// <summary>Reads a credential with trust: only what our own ring has signed, for the kind that the route accepts.</summary>
public static class CredentialVerifier
{
    /// <summary>
    /// The verified credential, or CredentialMalformed, WrongKind or BadSignature. Costs no look-up beyond the ring; neither time nor
    /// uses are judged here.
    /// </summary>
    public static Decision<VerifiedCredential> Verify(KeyRing ring, CredentialText credential, CredentialKind kind, DateTimeOffset now)
    {
        var text = credential.Value;
        if (text.Length is 0 or > CompactJws.LongestText)
        {
            return new Denial(DenialReason.CredentialMalformed);
        }
        if (!text.StartsWith(kind.Prefix(), StringComparison.Ordinal))
        {
            return new Denial(CredentialKinds.IsCredential(text) || text.StartsWith(Projects.ApiKeyText.Prefix, StringComparison.Ordinal) ? DenialReason.WrongKind : DenialReason.CredentialMalformed);
        }
        if (!kind.IsSigned())
        {
            return new Denial(DenialReason.CredentialMalformed); // nothing to verify: the ledger knows it or nobody does
        }
        var length = text.Length - kind.Prefix().Length;
        var rented = ArrayPool<byte>.Shared.Rent(length * 2);
        try
        {
            var jws = rented.AsSpan(0, length);
            if (!Ascii.IsValid(text) || Encoding.ASCII.GetBytes(text.AsSpan(kind.Prefix().Length), jws) != length)
            {
                return new Denial(DenialReason.CredentialMalformed);
            }
            var payload = rented.AsSpan(length);
            if (!CompactJws.TryVerify(jws, ring, kind, now, payload, out var written, out var wellFormed, out var signer))
            {
                return new Denial(wellFormed ? DenialReason.BadSignature : DenialReason.CredentialMalformed);
            }
            return Claims.Read(payload[..written]) is { } claims
                ? new VerifiedCredential(claims.Id, kind, claims.Grant, signer!.Id)
                : new Denial(DenialReason.CredentialMalformed);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented, clearArray: true);
        }
    }

    /// <summary>
    /// The id that the text of an opaque credential of this kind begins with, and the SHA-256 of it all: what the ledger finds it by, and
    /// knows it by. Null for what can be none, before anything is looked up.
    /// </summary>
    public static (CredentialId Id, byte[] Hash)? ReadOpaque(CredentialText credential, CredentialKind kind) =>
        credential.Value.Length == kind.Prefix().Length + CredentialId.Length + RandomText.SecretLength
        && credential.Value.StartsWith(kind.Prefix(), StringComparison.Ordinal) && Base64Text.IsAlphabet(credential.Value)
            ? (new CredentialId(credential.Value.Substring(kind.Prefix().Length, CredentialId.Length)), SHA256.HashData(Encoding.ASCII.GetBytes(credential.Value)))
            : null;
}
