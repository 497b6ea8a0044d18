using System.Net.Sockets;

namespace Postern.Server.Hosting;

/// <summary>
/// Notices a peer that is gone without a word, as when its network fails (attack C15): the relay passes pings on and sends none, so the
/// kernel asks. One that is there and does not read is found by the session's own limit, long before.
/// </summary>
internal static class DeadPeers
{
    /// <summary>After this long without an answer a connection is lost.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    private const int Tcp = 6, TcpUserTimeout = 18;

    /// <summary>Makes the kernel watch a connection, or all that a listener accepts.</summary>
    public static void Watch(Socket socket)
    {
        if (socket.AddressFamily is not (AddressFamily.InterNetwork or AddressFamily.InterNetworkV6))
        {
            return;
        }
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 20);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 4);
        if (OperatingSystem.IsLinux())
        {
            // While something is on its way the kernel sends no questions, and gives up after a quarter of an hour by itself.
            socket.SetRawSocketOption(Tcp, TcpUserTimeout, BitConverter.GetBytes((int)Patience.TotalMilliseconds));
        }
    }
}
