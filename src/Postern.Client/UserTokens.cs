using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Postern.Client;

/// <summary>
/// Makes user tokens: what your backend gives a page, an app or a game of a user who is logged in, so that the agent knows who is
/// speaking. A compact JWS of HS256 (RFC 7515 and 7519).
/// </summary>
public static class UserTokens
{
    /// <summary>The longest user id, in bytes of UTF-8.</summary>
    public const int LongestSubjectBytes = 256;

    /// <summary>Postern takes no longer lifetime unless its settings say so.</summary>
    public static readonly TimeSpan LongestLifetime = TimeSpan.FromHours(24);

    /// <summary>A token that names <paramref name="subject"/> from now on for <paramref name="lifetime"/>.</summary>
    /// <param name="key">The secret key that the application has at Postern.</param>
    /// <param name="subject">
    /// Your own id of the user who is logged in. Take it from your session, never from the request's body. With a quote or a backslash
    /// in it, the token is taken only of a key whose <c>signerEncodesJson</c> is set; of any other character there is no escape.
    /// </param>
    /// <param name="lifetime">A second to a day; a page asks for a new token when it needs one.</param>
    /// <exception cref="ArgumentException">
    /// The subject is no user id: empty, longer than 256 bytes, with a control character or half of a surrogate pair.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The lifetime is shorter than a second or longer than a day.</exception>
    public static string ForgeUserToken(UserTokenKey key, string subject, TimeSpan lifetime) => ForgeUserToken(key, subject, lifetime, TimeProvider.System);

    /// <summary>The same with a clock of your own.</summary>
    /// <param name="key">The secret key.</param>
    /// <param name="subject">The user's id.</param>
    /// <param name="lifetime">A second to a day.</param>
    /// <param name="clock">Tells the time of issue.</param>
    /// <exception cref="ArgumentException">The subject is no user id.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The lifetime is out of range.</exception>
    public static string ForgeUserToken(UserTokenKey key, string subject, TimeSpan lifetime, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(subject);
        ArgumentNullException.ThrowIfNull(clock);
        if (WhyNoSubject(subject) is { } problem)
        {
            throw new ArgumentException(problem, nameof(subject));
        }
        ArgumentOutOfRangeException.ThrowIfLessThan(lifetime, TimeSpan.FromSeconds(1));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lifetime, LongestLifetime);
        var issued = clock.GetUtcNow().ToUnixTimeSeconds();
        var signed = Encode(json =>
        {
            json.WriteString("alg"u8, "HS256");
            json.WriteString("typ"u8, "JWT");
            json.WriteString("kid"u8, key.Id);
        }) + "." + Encode(json =>
        {
            json.WritePropertyName("sub"u8);
            json.WriteRawValue(Quote(subject));
            json.WriteNumber("exp"u8, issued + (long)lifetime.TotalSeconds);
            json.WriteNumber("iat"u8, issued); // without it «log this user out» must refuse the token for good
        });
        return $"{signed}.{Base64Url.EncodeToString(HMACSHA256.HashData(key.Secret, Encoding.ASCII.GetBytes(signed)))}";
    }

    // The framework's encoders escape much that need not be, and an escape is refused of signers that are not said to encode.
    private static string Quote(string subject) =>
        $"\"{subject.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";

    private static string? WhyNoSubject(string subject)
    {
        for (var i = 0; i < subject.Length;)
        {
            if (Rune.DecodeFromUtf16(subject.AsSpan(i), out var rune, out var length) != OperationStatus.Done || Rune.IsControl(rune))
            {
                return string.Create(CultureInfo.InvariantCulture, $"A user id holds no control character and no half of a surrogate pair; this one does, at {i}.");
            }
            i += length;
        }
        return Encoding.UTF8.GetByteCount(subject) is 0 or > LongestSubjectBytes ? $"A user id has 1 to {LongestSubjectBytes} bytes of UTF-8." : null;
    }

    private static string Encode(Action<Utf8JsonWriter> members)
    {
        var bytes = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }
        return Base64Url.EncodeToString(bytes.WrittenSpan);
    }
}
