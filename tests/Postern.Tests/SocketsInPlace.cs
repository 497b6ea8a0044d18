using System.Runtime.CompilerServices;
using Postern.Server.Hosting;

namespace Postern.Tests;

internal static class SocketsInPlace
{
    /// <summary>As the server's program does, so that its tests run on the same threads; and what would block one fails.</summary>
    [ModuleInitializer]
    internal static void Initialize()
    {
        SocketThread.HandleInPlace();
        SocketThread.IsWatched = true;
    }
}
