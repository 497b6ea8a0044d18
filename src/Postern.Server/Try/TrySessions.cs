using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Postern.Core;
using Postern.Core.Audit;
using Postern.Core.Projects;

namespace Postern.Server.Try;

/// <summary>What a newcomer's cookie stands for: an API key of its own that can mint and nothing else. The browser never sees the key.</summary>
/// <param name="Key">The key.</param>
/// <param name="KeyText">Its text; nowhere else.</param>
/// <param name="EndsAt">When the session is over.</param>
internal sealed record TrySession(ApiKey Key, string KeyText, DateTimeOffset EndsAt)
{
    private readonly Lock gate = new();
    private long minute;
    private int mints;

    /// <summary>Whether another mint is within this minute's bounds.</summary>
    public bool MayMint(DateTimeOffset now)
    {
        lock (gate)
        {
            var current = now.ToUnixTimeSeconds() / 60;
            (minute, mints) = (current, current == minute ? mints + 1 : 1);
            return mints <= TrySessions.MintsPerMinute;
        }
    }
}

/// <summary>The sessions of the page to try it on, in memory: a restart ends them.</summary>
internal sealed class TrySessions(Core.Directory directory, ILedger ledger, TimeProvider clock)
{
    /// <summary>How long a session lasts.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    /// <summary>More in a minute are answered 429.</summary>
    public const int MintsPerMinute = 30;

    private readonly ConcurrentDictionary<string, TrySession> sessions = new(StringComparer.Ordinal);

    /// <summary>A session that no cookie opens yet.</summary>
    public TrySession Prepare()
    {
        var now = clock.GetUtcNow();
        var text = ApiKeyText.Create();
        return new TrySession(
            new ApiKey("key_try_" + RandomText.Base62(RandomText.IdLength), ProjectId.Default, "try it", ApiKeyText.Shown(text), ApiKeyText.Hash(text), Scopes.Mint, now, null),
            text, now + Lifetime);
    }

    /// <summary>Begins a session; returns the text of its cookie.</summary>
    public async Task<string> BeginAsync(TrySession session)
    {
        await EndExpiredAsync();
        var cookie = RandomText.Base62(RandomText.SecretLength);
        directory.Put(session.Key);
        sessions[Name(cookie)] = session;
        return cookie;
    }

    /// <summary>The live session of a cookie.</summary>
    public TrySession? Find(string? cookie) =>
        cookie is { Length: RandomText.SecretLength } && sessions.TryGetValue(Name(cookie), out var session) && clock.GetUtcNow() < session.EndsAt ? session : null;

    /// <summary>Ends the session of a cookie and revokes its key.</summary>
    public Task EndAsync(string? cookie) =>
        cookie is { Length: RandomText.SecretLength } && sessions.TryRemove(Name(cookie), out var session) ? RevokeAsync(session) : Task.CompletedTask;

    private async Task EndExpiredAsync()
    {
        var now = clock.GetUtcNow();
        foreach (var (name, session) in sessions)
        {
            if (session.EndsAt <= now && sessions.TryRemove(name, out _))
            {
                await RevokeAsync(session);
            }
        }
    }

    private async Task RevokeAsync(TrySession session)
    {
        var now = clock.GetUtcNow();
        directory.Put(session.Key with { RevokedAt = now });
        await ledger.RecordAsync(new AuditEvent(now, AuditNames.KeyRevoked) { Project = session.Key.Project, Key = session.Key.Id });
    }

    // A cookie is found by its hash: how long the look-up takes tells nothing of it.
    private static string Name(string cookie) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(cookie)));
}
