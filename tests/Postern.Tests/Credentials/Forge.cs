using System.Text;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Keys;
using Postern.Core.Projects;

namespace Postern.Tests.Credentials;

/// <summary>Makes credentials that nobody should: any header and any claims, signed by a genuine key.</summary>
internal static class Forge
{
    public const string HonestHeader = """{"alg":"HS256","typ":"postern-url","kid":"key-1"}""";
    public const string HonestClaims = """{"jti":"id","prj":"default","agt":"agent_1","iat":1800000000,"exp":1800000900}""";

    public static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);
    public static readonly SigningKey Key = new("key-1", Secret("one"), SigningKeyState.Active, null);
    public static readonly KeyRing Ring = new([Key]);

    /// <summary>32 bytes that everybody may know.</summary>
    public static byte[] Secret(string name) => Encoding.ASCII.GetBytes(name.PadRight(32, '.'));

    /// <summary>A compact JWS over the texts as they are.</summary>
    public static string Jws(string header, string claims, SigningKey? key = null) =>
        Jws(Encoding.UTF8.GetBytes(header), Encoding.UTF8.GetBytes(claims), key);

    public static string Jws(ReadOnlySpan<byte> header, ReadOnlySpan<byte> claims, SigningKey? key = null) =>
        Seal($"{Base64Text.Encode(header)}.{Base64Text.Encode(claims)}", key);

    /// <summary>Signs what stands before the last dot, whatever it is.</summary>
    public static string Seal(string signed, SigningKey? key = null)
    {
        Span<byte> mac = stackalloc byte[32];
        (key ?? Key).Hmac.Sign(Encoding.UTF8.GetBytes(signed), mac);
        return $"{signed}.{Base64Text.Encode(mac)}";
    }

    /// <summary>A signed URL's credential with these claims.</summary>
    public static string SignedUrl(string claims, SigningKey? key = null) => "psu_" + Jws(HonestHeader, claims, key);

    /// <summary>A genuine credential.</summary>
    public static Credential Issue(CredentialKind kind = CredentialKind.SignedUrl, SigningKey? key = null, Grant? grant = null) =>
        CredentialIssuer.Issue(key ?? Key, kind, grant ?? Grant(), Now);

    public static Grant Grant() => new(
        ProjectId.Default, new AgentId("agent_1"), "user-1", Now.AddMinutes(15), 1, TimeSpan.FromMinutes(5), ["app.example.com"], "conv_1");

    /// <summary>The verdict of our verifier: null when accepted.</summary>
    public static DenialReason? Verdict(string text, CredentialKind kind = CredentialKind.SignedUrl, KeyRing? ring = null, DateTimeOffset? now = null) =>
        CredentialVerifier.Verify(ring ?? Ring, new CredentialText(text), kind, now ?? Now).Denial?.Reason;

    /// <summary>The verdict of the general reader with one key that is found by its id, or when no id is given.</summary>
    public static bool Accepts(string jws, SigningKey key, out byte[] payload, out bool wellFormed)
    {
        return Accepts(Encoding.UTF8.GetBytes(jws), kid => kid is null || kid == key.Id ? key : null, out payload, out wellFormed);
    }

    /// <summary>The same with a look-up of one's own; the id is null when none is given.</summary>
    public static bool Accepts(ReadOnlySpan<byte> jws, Func<string?, SigningKey?> find, out byte[] payload, out bool wellFormed)
    {
        var (buffer, written) = (new byte[jws.Length], 0);
        wellFormed = CompactJws.TryRead(jws, new byte[jws.Length], out var read);
        var accepted = wellFormed && find(read.Kid.IsEmpty ? null : Encoding.ASCII.GetString(read.Kid)) is { } key && read.TryVerify(key.Hmac, buffer, out written);
        payload = buffer[..written];
        return accepted;
    }

    public static bool Accepts(string jws, SigningKey? key = null) => Accepts(jws, key ?? Key, out _, out _);
}
