using System.Net.Sockets;
using Postern.Server.Hosting;

namespace Postern.Server.Flow;

/// <summary>A socket's stream that tries to send at once: what the runtime keeps for a socket that has ever waited to send stays as long as it does.</summary>
internal class SocketStream : NetworkStream
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

/// <summary>As above; whoever reads it goes on in the pool: for TLS, whose checks of certificates may ask the network, and for clients of HTTP.</summary>
internal sealed class PooledStream(Socket socket) : SocketStream(socket)
{
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return await base.ReadAsync(buffer, cancellationToken);
        }
        finally
        {
            await SocketThread.LeaveAsync();
        }
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        SocketThread.LeaveAfterAsync(base.WriteAsync(buffer, cancellationToken));
}
