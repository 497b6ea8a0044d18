using System.Net.Sockets;

namespace Postern.Server.Flow;

/// <summary>A socket's stream that tries to send at once: what the runtime keeps for a socket that has ever waited to send stays as long as it does.</summary>
internal sealed class SocketStream : NetworkStream
{
    public SocketStream(Socket socket) : base(socket, ownsSocket: true) => socket.Blocking = false;

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested || !CanWrite) return base.WriteAsync(buffer, cancellationToken);
        var sent = Socket.Send(buffer.Span, SocketFlags.None, out _);
        // No room, or an error, which comes again.
        return sent == buffer.Length ? ValueTask.CompletedTask : base.WriteAsync(buffer[sent..], cancellationToken);
    }
}
