using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Postern.Benchmarks.Load;

/// <summary>A WebSocket client by hand, small enough that thousands cost the generator nothing.</summary>
internal sealed class SocketClient : IDisposable
{
    public const byte Text = 0x81;
    public const byte Close = 0x88;
    private const int HandshakeBuffer = 1024;

    private static readonly byte[] CloseFrame = Frame(Close, [0x03, 0xE8]);

    private readonly Socket socket;
    private byte[] received = new byte[HandshakeBuffer];
    private int start;
    private int end;

    private SocketClient(Socket socket) => this.socket = socket;

    /// <summary>The status of the answer: 101 when it is a WebSocket.</summary>
    public int Status { get; private set; }

    /// <summary>Connects, asks for the upgrade and reads the head of the answer.</summary>
    /// <param name="target">What stands in the request line, and behind a line end the further headers.</param>
    public static async Task<SocketClient> OpenAsync(IPEndPoint address, string target, CancellationToken ct)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        var client = new SocketClient(socket);
        try
        {
            await socket.ConnectAsync(address, ct);
            var (line, headers) = target.Split("\r\n", 2) is [var path, var more] ? (path, more + "\r\n") : (target, "");
            var request = $"GET {line} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + $"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n{headers}\r\n";
            await socket.SendAsync(Encoding.ASCII.GetBytes(request), ct);
            int head;
            while ((head = client.Received.IndexOf("\r\n\r\n"u8)) < 0)
            {
                await client.FillAsync(ct);
            }
            client.Status = int.Parse(Encoding.ASCII.GetString(client.Received[9..12]), System.Globalization.CultureInfo.InvariantCulture);
            client.start += head + 4;
            return client;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>A masked frame, ready to be sent.</summary>
    public static byte[] Frame(byte first, ReadOnlySpan<byte> payload)
    {
        var wide = payload.Length > 125;
        var frame = new byte[(wide ? 8 : 6) + payload.Length];
        frame[0] = first;
        frame[1] = (byte)(0x80 | (wide ? 126 : payload.Length));
        if (wide)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(2), (ushort)payload.Length);
        }
        var mask = "mask"u8;
        var body = frame.AsSpan(wide ? 8 : 6);
        mask.CopyTo(frame.AsSpan(wide ? 4 : 2));
        for (var i = 0; i < payload.Length; i++)
        {
            body[i] = (byte)(payload[i] ^ mask[i & 3]);
        }
        return frame;
    }

    /// <summary>Sends a frame and waits for the first one that comes back, which must be of the same kind.</summary>
    public async Task EchoAsync(byte[] frame, CancellationToken ct)
    {
        await socket.SendAsync(frame, ct);
        int size;
        while ((size = FrameSize()) == 0)
        {
            await FillAsync(ct);
        }
        Take(frame[0], size);
    }

    /// <summary>As above, blocking: two system calls and nothing else between the two readings of a clock.</summary>
    public void Echo(byte[] frame)
    {
        socket.Send(frame);
        int size;
        while ((size = FrameSize()) == 0)
        {
            var count = socket.Receive(Space());
            end = count > 0 ? end + count : throw new IOException("The server closed the connection.");
        }
        Take(frame[0], size);
    }

    /// <summary>Closes and waits for the answering close.</summary>
    public Task CloseAsync(CancellationToken ct) => EchoAsync(CloseFrame, ct);

    /// <summary>Waits for the server's close, answers it, and waits until the server has closed the connection.</summary>
    public async Task BeClosedAsync(CancellationToken ct)
    {
        int size;
        while ((size = FrameSize()) == 0)
        {
            await FillAsync(ct);
        }
        Take(Close, size);
        await socket.SendAsync(CloseFrame, ct);
        await UntilEndAsync(ct);
    }

    /// <summary>Reads until the server has closed the connection.</summary>
    public async Task UntilEndAsync(CancellationToken ct)
    {
        while (await socket.ReceiveAsync(received.AsMemory(), ct) > 0)
        {
            // What stands behind the head does not matter.
        }
    }

    /// <summary>Gives the buffer of the opening back: an idle client holds nothing.</summary>
    public void Shrink() => (received, start, end) = (start == end ? [] : received[start..end], 0, end - start);

    public void Dispose() => socket.Dispose();

    private Span<byte> Received => received.AsSpan(start, end - start);

    private async Task FillAsync(CancellationToken ct)
    {
        Space();
        var count = await socket.ReceiveAsync(received.AsMemory(end), ct);
        end = count > 0 ? end + count : throw new IOException("The server closed the connection.");
    }

    private Span<byte> Space()
    {
        if (start == end)
        {
            start = end = 0;
        }
        if (end == received.Length)
        {
            Array.Resize(ref received, Math.Max(HandshakeBuffer, 2 * received.Length));
        }
        return received.AsSpan(end);
    }

    // 0 while the frame is not complete; servers send no masks.
    private int FrameSize()
    {
        var bytes = Received;
        if (bytes.Length < 2 || (bytes[1] == 126 && bytes.Length < 4))
        {
            return 0;
        }
        var size = bytes[1] == 126 ? 4 + BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]) : 2 + bytes[1];
        return bytes.Length >= size ? size : 0;
    }

    private void Take(byte expected, int size)
    {
        if (Received[0] != expected)
        {
            throw new InvalidDataException($"A frame 0x{Received[0]:x2} came where 0x{expected:x2} was due: {Encoding.UTF8.GetString(Received[..size])}");
        }
        start += size;
    }
}
