using System.Text;

namespace Postern.Client;

/// <summary>A secret key of the application: it signs user tokens. Keep it in your backend; whoever has it is every user.</summary>
public sealed class UserTokenKey
{
    private const int ShortestSecret = 32;

    /// <summary>A secret key as Postern or the vendor has shown it.</summary>
    /// <param name="id">Its id, a UUID.</param>
    /// <param name="value">Its whole value, with <c>sk-alg-</c> in front.</param>
    /// <exception cref="ArgumentException">The id is not of 1 to 64 characters of A-Z a-z 0-9 _ -, or the value has fewer than 32 bytes.</exception>
    public UserTokenKey(string id, string value)
    {
        ArgumentNullException.ThrowIfNull(id);
        ArgumentNullException.ThrowIfNull(value);
        if (id.Length is 0 or > 64 || !id.All(static c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-'))
        {
            throw new ArgumentException("The id of a secret key has 1 to 64 characters of A-Z a-z 0-9 _ -.", nameof(id));
        }
        Secret = Encoding.UTF8.GetBytes(value);
        if (Secret.Length < ShortestSecret)
        {
            throw new ArgumentException($"The value of a secret key has at least {ShortestSecret} bytes: give it whole, with sk-alg- in front.", nameof(value));
        }
        Id = id;
    }

    /// <summary>The key's id, which its tokens name as <c>kid</c>.</summary>
    public string Id { get; }

    internal byte[] Secret { get; }

    /// <summary>The id; the value never reaches a log.</summary>
    public override string ToString() => $"user-token key {Id}";
}
