using System.Collections.Concurrent;
using Postern.Core.Credentials;

namespace Postern.Server.Storage;

/// <summary>When each user-token key was last used: kept in memory and written once a second, so that no request waits for it.</summary>
internal sealed class UserTokenUse(UserTokenKeyStore keys, TimeProvider clock) : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, long> used = new(StringComparer.Ordinal);
    private readonly Lock gate = new();
    private ITimer? timer;
    private bool disposed;

    /// <summary>Notes that a token was accepted.</summary>
    public void Note(UserToken token)
    {
        used[token.KeyId] = clock.GetUtcNow().ToUnixTimeMilliseconds();
        if (timer is null)
        {
            lock (gate)
            {
                timer ??= disposed ? null : clock.CreateTimer(_ => _ = FlushAsync(), null, Interval, Timeout.InfiniteTimeSpan);
            }
        }
    }

    /// <summary>Writes what has been noted. What cannot be written is noted anew by the next use: nothing rests on it.</summary>
    public async Task FlushAsync()
    {
        lock (gate)
        {
            timer?.Dispose();
            timer = null;
        }
        var taken = used.ToArray();
        foreach (var pair in taken)
        {
            used.TryRemove(pair);
        }
        if (taken.Length == 0)
        {
            return;
        }
        try
        {
            await keys.UsedAsync(taken);
        }
        catch (StorageException)
        {
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            disposed = true;
            timer?.Dispose();
        }
    }
}
