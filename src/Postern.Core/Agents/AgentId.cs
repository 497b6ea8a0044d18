using System.Security.Cryptography;
using System.Text;

namespace Postern.Core.Agents;

/// <summary>Names an agent: <c>agent_</c> and letters and digits.</summary>
public readonly record struct AgentId(string Value)
{
    private const int Version = 8; // RFC 9562: a form of one's own

    /// <summary>A new random id.</summary>
    public static AgentId Create() => new("agent_" + RandomText.Base62(RandomText.IdLength));

    /// <summary>The same agent for clients that demand a UUID: always the same one, made of the id, so that nothing has to be kept.</summary>
    public string Uuid
    {
        get
        {
            Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
            SHA256.HashData(Encoding.UTF8.GetBytes("agent uuid " + Value), hash);
            hash[6] = (byte)((hash[6] & 0x0F) | (Version << 4));
            hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
            return new Guid(hash[..16], bigEndian: true).ToString("D");
        }
    }

    /// <summary>Whether a text is a UUID in its usual form, hyphens and all.</summary>
    public static bool IsUuid(string text) => Guid.TryParseExact(text, "D", out _);

    /// <inheritdoc/>
    public override string ToString() => Value;
}
