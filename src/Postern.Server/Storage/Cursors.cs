using System.Security.Cryptography;
using System.Text;
using Postern.Core.Credentials;

namespace Postern.Server.Storage;

/// <summary>
/// Where the next page of a list begins, as a text that only this server can have written: whoever reads one back need not doubt what
/// stands in it (attack F12). It says no more than where to go on; whose rows are listed is the key's to say, in every query.
/// </summary>
internal sealed class Cursors(byte[] key)
{
    private const int MacLength = 16;

    /// <summary>The cursor of a place in a list; places of one list open no other.</summary>
    public string Write(string list, string place)
    {
        var text = Encoding.UTF8.GetBytes(place);
        return Base64Text.Encode([.. Mac(list, text), .. text]);
    }

    /// <summary>The place; null when nobody here has written the cursor for this list.</summary>
    public string? Read(string list, string cursor)
    {
        var bytes = new byte[cursor.Length];
        return Base64Text.TryDecode(Encoding.UTF8.GetBytes(cursor), bytes, out var length) && length >= MacLength
            && CryptographicOperations.FixedTimeEquals(bytes.AsSpan(0, MacLength), Mac(list, bytes.AsSpan(MacLength, length - MacLength)))
            ? Encoding.UTF8.GetString(bytes, MacLength, length - MacLength) : null;
    }

    private ReadOnlySpan<byte> Mac(string list, ReadOnlySpan<byte> place)
    {
        byte[] text = [.. Encoding.UTF8.GetBytes(list), 0, .. place];
        return HMACSHA256.HashData(key, text).AsSpan(0, MacLength);
    }
}
