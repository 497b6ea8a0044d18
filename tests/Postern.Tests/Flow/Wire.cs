using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Postern.Core.Sessions;
using Postern.Server.Flow;

namespace Postern.Tests.Flow;

/// <summary>One end of a connection, byte by byte: what a WebSocket class would mend or refuse can be sent and seen here.</summary>
internal sealed class Wire(Stream stream) : IAsyncDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(20);
    private readonly List<byte> unread = [];

    public Stream Stream => stream;

    internal readonly record struct Frame(Opcode Opcode, bool Final, byte[] Payload, bool Masked)
    {
        public string Text => Encoding.UTF8.GetString(Payload);

        public CloseFrame Close => Frames.ReadClose(Payload, out var close) ? close : throw new InvalidDataException("no close");
    }

    /// <summary>A client's connection, opened; <paramref name="behind"/> is sent in the same piece as the request.</summary>
    public static async Task<Wire> OpenAsync(int port, string more = "", byte[]? behind = null)
    {
        var wire = await DialAsync(port);
        await wire.SendAsync([.. Encoding.ASCII.GetBytes(Opening(more)), .. behind ?? []]);
        var head = await wire.ReadHeadAsync();
        Assert.StartsWith("HTTP/1.1 101 ", head, StringComparison.Ordinal);
        return wire;
    }

    public static string Opening(string more = "") =>
        $"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n";

    public static async Task<Wire> DialAsync(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port);
        return new(new NetworkStream(socket, ownsSocket: true));
    }

    public Task SendAsync(byte[] bytes) => stream.WriteAsync(bytes).AsTask().WaitAsync(Longest);

    public Task SendAsync(Opcode opcode, byte[] payload, bool final = true, bool masked = true) => SendAsync(Bytes(opcode, payload, final, masked));

    public Task SendAsync(string text, bool masked) => SendAsync(Opcode.Text, Encoding.UTF8.GetBytes(text), masked: masked);

    /// <summary>A frame as bytes, with a random mask when there is one.</summary>
    public static byte[] Bytes(Opcode opcode, ReadOnlySpan<byte> payload, bool final = true, bool masked = true)
    {
        uint? mask = masked ? (uint)RandomNumberGenerator.GetInt32(int.MaxValue) : null;
        var frame = new byte[FrameHeader.MaxSize + payload.Length];
        var size = FrameHeader.Write(frame, opcode, final, payload.Length, mask);
        payload.CopyTo(frame.AsSpan(size));
        if (mask is { } key) Frames.Mask(frame.AsSpan(size, payload.Length), key);
        return frame[..(size + payload.Length)];
    }

    public async Task<string> ReadHeadAsync()
    {
        while (true)
        {
            var end = Encoding.Latin1.GetString([.. unread]).IndexOf("\r\n\r\n", StringComparison.Ordinal);
            if (end >= 0) return Encoding.Latin1.GetString(Take(end + 4));
            if (!await FillAsync()) return Encoding.Latin1.GetString(Take(unread.Count));
        }
    }

    /// <summary>The next frame, unmasked; null at the end of the connection.</summary>
    public async Task<Frame?> ReadFrameAsync()
    {
        while (true)
        {
            var bytes = unread.ToArray();
            if (FrameHeader.Read(bytes, out var head) == OperationStatus.Done && bytes.Length >= head.Size + head.Length)
            {
                var payload = Take(head.Size + (int)head.Length)[head.Size..];
                Frames.Mask(payload, head.Mask);
                return new(head.Opcode, head.Final, payload, head.Masked);
            }
            if (!await FillAsync()) return null;
        }
    }

    /// <summary>Exactly so many bytes, as they come.</summary>
    public async Task<byte[]> ReadAsync(int count)
    {
        while (unread.Count < count && await FillAsync()) { }
        return Take(Math.Min(count, unread.Count));
    }

    /// <summary>All that still comes until the connection ends.</summary>
    public async Task<byte[]> ReadToEndAsync()
    {
        while (await FillAsync()) { }
        return Take(unread.Count);
    }

    private async Task<bool> FillAsync()
    {
        var buffer = new byte[16 * 1024];
        try
        {
            var count = await stream.ReadAsync(buffer).AsTask().WaitAsync(Longest);
            unread.AddRange(buffer.AsSpan(0, count));
            return count > 0;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private byte[] Take(int count)
    {
        var taken = unread[..count].ToArray();
        unread.RemoveRange(0, count);
        return taken;
    }

    public ValueTask DisposeAsync() => stream.DisposeAsync();
}
