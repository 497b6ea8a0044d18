using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Postern.Server.Flow;

/// <summary>The client's side of an opening handshake, written and read by hand (RFC 6455, 4.1): one buffer, no header objects.</summary>
internal static class UpstreamHandshake
{
    public const int MaxHead = 16 * 1024;
    private const int KeyChars = 24;

    private static readonly string[] Own =
    [
        "Host", "Connection", "Upgrade", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Content-Length", "Expect",
        "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "HTTP2-Settings",
    ];

    /// <summary>What is wrong with a header to be sent upstream, as a sentence that does not quote the value, or null.</summary>
    public static string? CheckHeader(string name, string value) =>
        !HttpText.IsToken(name) || name.Length > 128 ? "The header's name is not a valid name."
        : name.StartsWith("Sec-WebSocket-", StringComparison.OrdinalIgnoreCase) || Own.Contains(name, StringComparer.OrdinalIgnoreCase)
            ? $"The header {name} belongs to the connection and is set by Postern."
        : !HttpText.IsValue(value) || value.Length > 8192 ? $"The value of the header {name} may contain visible ASCII characters, spaces and tabs only."
        : null;

    /// <summary>Writes the request into a rented array. Throws <see cref="UpstreamException"/> when a header is not fit to be sent.</summary>
    public static (byte[] Rented, int Length) WriteRequest(UpstreamAddress address, UpstreamTarget target, out string key)
    {
        key = NewKey();
        var size = 256 + address.Target.Length + address.Authority.Length + (target.Subprotocol?.Length ?? 0);
        if (target.Subprotocol is { } protocol && !HttpText.IsToken(protocol))
            throw new UpstreamException(UpstreamFailure.BadHandshake, "The subprotocol for the upstream is not a token.");
        foreach (var (name, value) in target.Headers)
        {
            if (CheckHeader(name, value) is { } problem) throw new UpstreamException(UpstreamFailure.BadHandshake, problem);
            size += name.Length + value.Length + 4;
        }
        var rented = ArrayPool<byte>.Shared.Rent(size);
        var length = 0;
        Append("GET ", address.Target, " HTTP/1.1\r\nHost: ", address.Authority);
        Append("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ", key, "\r\n");
        if (target.Subprotocol is not null) Append("Sec-WebSocket-Protocol: ", target.Subprotocol, "\r\n");
        foreach (var (name, value) in target.Headers) Append(name, ": ", value, "\r\n");
        Append("\r\n");
        return (rented, length);

        void Append(params ReadOnlySpan<string> parts)
        {
            foreach (var part in parts) length += Encoding.ASCII.GetBytes(part, rented.AsSpan(length));
        }
    }

    private static string NewKey()
    {
        Span<byte> random = stackalloc byte[16];
        RandomNumberGenerator.Fill(random);
        return Convert.ToBase64String(random);
    }

    /// <summary>Reads the answer's head: its size, and the subprotocol chosen. 0 when it is not complete yet.</summary>
    public static int ReadAnswer(ReadOnlySpan<byte> bytes, string key, string? asked, out string? subprotocol)
    {
        subprotocol = null;
        var end = bytes.IndexOf("\r\n\r\n"u8);
        if (end < 0) return bytes.Length > MaxHead ? throw Bad("answered with a head of more than 16 KiB") : 0;
        if (end > MaxHead) throw Bad("answered with a head of more than 16 KiB");

        var lines = bytes[..end];
        ReadStatus(NextLine(ref lines));
        bool upgrade = false, connection = false, accept = false;
        while (!lines.IsEmpty)
        {
            var line = NextLine(ref lines);
            var colon = line.IndexOf((byte)':');
            if (colon <= 0 || !IsToken(line[..colon])) throw Bad("answered with a malformed header");
            var name = line[..colon];
            var value = line[(colon + 1)..].Trim(" \t"u8);
            if (value.ContainsAnyInRange((byte)0, (byte)8) || value.ContainsAnyInRange((byte)10, (byte)31)) throw Bad("answered with a control character in a header");

            if (Is(name, "upgrade")) Once(ref upgrade, Is(value, "websocket"), "Upgrade");
            else if (Is(name, "connection")) connection |= ListHas(value, "upgrade");
            else if (Is(name, "sec-websocket-accept")) Once(ref accept, Ascii.Equals(value, WebSocketHandshake.AcceptValue(key)), "Sec-WebSocket-Accept");
            else if (Is(name, "sec-websocket-extensions")) throw Bad("chose an extension that was not offered");
            else if (Is(name, "transfer-encoding") || (Is(name, "content-length") && !value.SequenceEqual("0"u8))) throw Bad("announced a body behind its 101");
            else if (Is(name, "sec-websocket-protocol"))
            {
                if (asked is null || subprotocol is not null || !Ascii.Equals(value, asked)) throw Bad("chose a subprotocol that was not offered");
                subprotocol = asked;
            }
        }
        if (!upgrade || !connection || !accept) throw Bad("answered 101 without a valid Upgrade, Connection or Sec-WebSocket-Accept");
        return end + 4;
    }

    private static void ReadStatus(ReadOnlySpan<byte> line)
    {
        if (!line.StartsWith("HTTP/1.1 "u8) || line.Length < 12 || (line.Length > 12 && line[12] != ' ')
            || !Utf8Parser.TryParse(line.Slice(9, 3), out int status, out var read) || read != 3 || status < 100)
            throw Bad("did not answer in HTTP/1.1");
        if (status != 101) throw new UpstreamException(UpstreamFailure.Refused, $"The upstream answered {status} to the WebSocket opening.");
    }

    private static ReadOnlySpan<byte> NextLine(ref ReadOnlySpan<byte> lines)
    {
        var end = lines.IndexOf("\r\n"u8);
        var line = end < 0 ? lines : lines[..end];
        lines = end < 0 ? default : lines[(end + 2)..];
        // A bare CR or LF ends a line for some readers and not for others.
        return line.ContainsAny((byte)'\r', (byte)'\n') ? throw Bad("answered with a bare line end") : line;
    }

    private static void Once(ref bool seen, bool right, string name) =>
        seen = !seen && right ? true : throw Bad($"answered 101 with a wrong {name}");

    private static bool ListHas(ReadOnlySpan<byte> list, string wanted)
    {
        foreach (var part in list.Split((byte)','))
        {
            if (Is(list[part].Trim(" \t"u8), wanted)) return true;
        }
        return false;
    }

    private static bool IsToken(ReadOnlySpan<byte> name)
    {
        Span<char> chars = stackalloc char[64];
        return name.Length > chars.Length
            ? !name.ContainsAnyExceptInRange((byte)'!', (byte)'~')
            : Ascii.ToUtf16(name, chars, out var count) == OperationStatus.Done && HttpText.IsToken(chars[..count]);
    }

    private static bool Is(ReadOnlySpan<byte> value, string wanted) => Ascii.EqualsIgnoreCase(value, wanted);

    private static UpstreamException Bad(string what) => new(UpstreamFailure.BadHandshake, $"The upstream {what}.");
}
