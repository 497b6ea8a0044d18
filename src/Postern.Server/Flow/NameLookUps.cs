using System.Collections.Concurrent;
using System.Net;

namespace Postern.Server.Flow;

/// <summary>
/// Finds the addresses of names beside the thread pool. The platform's own way keeps a thread of the pool for as long as a name server is
/// silent, and a few of those would stop everything else. Each name has a thread of its own while it is looked up; whoever wants it
/// meanwhile waits for the same answer.
/// </summary>
/// <param name="resolve">Asks for the addresses of one name, and waits.</param>
internal sealed class NameLookUps(Func<string, IPAddress[]> resolve)
{
    private readonly ConcurrentDictionary<string, Lazy<Task<IPAddress[]>>> asked = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The addresses of a name.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">It has none.</exception>
    public Task<IPAddress[]> FindAsync(string name) => asked.GetOrAdd(name, name => new Lazy<Task<IPAddress[]>>(() => Task.Factory.StartNew(
        () =>
        {
            try
            {
                return resolve(name);
            }
            finally
            {
                asked.TryRemove(name, out _);
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))).Value;
}
