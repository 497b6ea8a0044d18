using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Keys;
using Postern.Core.Projects;

namespace Postern.Tests.Credentials;

/// <summary>Makes user tokens, honest ones and those that nobody should: any header and any claims under a genuine signature.</summary>
internal static class UserTokenForge
{
    public const string Kid = "11111111-2222-3333-4444-555555555555";
    public const string Secret = "sk-alg-" + "0GkzT5bX2nQv8WcE1rYh4LmJp7sDf9Ua3iZo6KxNqBw";
    public const string HonestHeader = """{"alg":"HS256","typ":"JWT","kid":"11111111-2222-3333-4444-555555555555"}""";

    public static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);
    public static readonly TimeSpan Day = TimeSpan.FromHours(24);

    /// <summary>Claims that hold at <see cref="Now"/>.</summary>
    public static string HonestClaims => Claims("\"alice\"", Now.ToUnixTimeSeconds() + 3600);

    public static string Claims(string subject, long expires, string more = "") => $$"""{"sub":{{subject}},"exp":{{expires}}{{more}}}""";

    public static UserTokenKey Key(string id = Kid, string secret = Secret, string project = "default", bool encodes = false, DateTimeOffset? cutOff = null, params ImmutableArray<AgentId> agents) =>
        new(id, new ProjectId(project), "test", Encoding.UTF8.GetBytes(secret), agents) { SignerEncodesJson = encodes, CutOff = cutOff };

    public static Core.Directory Directory(params ReadOnlySpan<UserTokenKey> keys)
    {
        var directory = new Core.Directory(Forge.Ring);
        foreach (var key in keys.Length == 0 ? [Key()] : keys)
        {
            directory.Put(key);
        }
        return directory;
    }

    /// <summary>A compact JWS over the texts as they are.</summary>
    public static string Sign(string header, string claims, string secret = Secret) => Sign(Encoding.UTF8.GetBytes(header), Encoding.UTF8.GetBytes(claims), secret);

    public static string Sign(ReadOnlySpan<byte> header, ReadOnlySpan<byte> claims, string secret = Secret) => Seal($"{Base64Text.Encode(header)}.{Base64Text.Encode(claims)}", secret);

    /// <summary>Signs what stands before the last dot, whatever it is.</summary>
    public static string Seal(string signed, string secret = Secret) =>
        $"{signed}.{Base64Text.Encode(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(signed)))}";

    /// <summary>A genuine token with these claims.</summary>
    public static string Token(string claims) => Sign(HonestHeader, claims);

    /// <summary>The refusal, null when accepted.</summary>
    public static Denial? Verdict(string token, Core.Directory? directory = null, string project = "default", AgentId? agent = null, DateTimeOffset? now = null) =>
        UserTokenVerifier.Verify(directory ?? Directory(), new ProjectId(project), token, agent, Day, now ?? Now).Denial;

    /// <summary>The user whom the token names, null when it is refused.</summary>
    public static string? Subject(string token, Core.Directory? directory = null) =>
        UserTokenVerifier.Verify(directory ?? Directory(), ProjectId.Default, token, null, Day, Now).IsDenied(out _, out var verified) ? null : verified.Subject;
}
