using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using Postern.Core.Credentials;

namespace Postern.Core.Keys;

/// <summary>The value of a user-token key: made here, or brought along by a customer and then judged. A guessed one makes anybody every user.</summary>
public static class UserTokenSecret
{
    private const int ShortestBytes = 32;
    private const int LongestBytes = 512;
    private const int FewestDifferent = 8;

    // What published examples of 32 characters and more say of themselves; then pieces of the sequence that a much used page gives
    // out as random keys, plain and in hexadecimal. In random text none of them is to be expected.
    private static readonly string[] ExampleMarks =
    [
        "secret", "passw", "example", "sample", "change", "your-", "your_", "yours", "yourk", "qwerty", "jwtkey", "jwt_key", "jwt-key", "signing", "token",
        "12345678", "01234567", "abcdefgh", "deadbeef", "replace", "default", "development", "testtest", "test123",
        "2s5v8", "2r5u8", "3s6v9", "4u7x!", "4t7w!", "3t6w9z", "327335763", "327235753", "337336763", "347437772", "347537782",
    ];

    // Examples that look random: of RFCs and of much copied projects.
    private static readonly FrozenSet<string> Published = FrozenSet.ToFrozenSet(
    [
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", // RFC 7515, A.1
        "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg", // RFC 7520, 3.5
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
        "413F4428472B4B6250655368566D5970337336763979244226452948404D6351",
        "5367566B59703373367639792F423F4528482B4D6251655468576D5A71347437",
        "3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b",
        "9a02115a835ee03d5fb83cd8a468ea33e4090aaaec87f53c9fa54512bbef4db8dc656c82a315fa0c785c08b0134716b81ddcd0153d2a7556f2e154912cf5675f",
        "401b09eab3c013d4ca54922bb802bec8fd5318192b0a75f201d8b3727429090fb337591abd3e44453b954555b7a0812e1081c39b740293f765eae731f5a65ed1",
        "16f8c0ef4a5d391b26034086c628469d3f9f497f08163ab9b40137092f2909ef",
        "GQDstcKsx0NHjPOuXOYg5MbeJ1XT0uFiwDVvVBrk", "iNivDmHLpUA223sqsfhqGbMRdRj1PVkH", "r9iMKoe5CRMgvJBBtp4HrqN7QiPpUToj",
    ], StringComparer.OrdinalIgnoreCase);

    /// <summary>A new value of 256 random bits behind what the vendor's values start with, and scanners look for.</summary>
    public static string Create(string prefix) => prefix + Base64Text.Encode(RandomNumberGenerator.GetBytes(32));

    /// <summary>Why a value must not sign, null when it may.</summary>
    public static string? WhyRefused(string value)
    {
        var bytes = Encoding.UTF8.GetBytes(value);
        return bytes.Length is < ShortestBytes or > LongestBytes ? $"a secret has {ShortestBytes} to {LongestBytes} bytes (RFC 7518, 3.2); leave it out and one is made"
            : bytes.Distinct().Count() < FewestDifferent || IsRepeated(bytes) ? "this secret repeats itself; leave it out and one is made"
            : Published.Contains(value) || ExampleMarks.Any(mark => value.Contains(mark, StringComparison.OrdinalIgnoreCase))
                ? "this secret is, or is made like, a published example that anybody can try; leave it out and one is made"
            : null;
    }

    private static bool IsRepeated(byte[] bytes)
    {
        for (var period = 1; period <= bytes.Length / 2; period++)
        {
            if (Enumerable.Range(period, bytes.Length - period).All(i => bytes[i] == bytes[i - period]))
            {
                return true;
            }
        }
        return false;
    }
}
