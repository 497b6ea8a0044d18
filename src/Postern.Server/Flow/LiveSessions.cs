using System.Collections.Concurrent;
using Postern.Core.Sessions;

namespace Postern.Server.Flow;

/// <summary>The sessions that live on this node, so that something outside them can end them.</summary>
internal sealed class LiveSessions(Core.Directory directory)
{
    private readonly ConcurrentDictionary<string, (Session Session, Leash Leash)> sessions = new(StringComparer.Ordinal);
    private volatile bool closing;

    /// <summary>Whether no new session may begin.</summary>
    public bool IsClosing => closing;

    /// <summary>How many live.</summary>
    public int Count => sessions.Count;

    /// <summary>Puts a session on its leash, and ends it at once when what opened it is gone by now.</summary>
    public void Add(Session session, Leash leash)
    {
        sessions[session.Id] = (session, leash);
        if (closing)
        {
            leash.End(SessionEndReason.Shutdown);
        }
        else if (!directory.StillHolds(session))
        {
            leash.End(SessionEndReason.Revoked); // it came between the commit and the line above, and ended only the sessions that were there
        }
    }

    /// <summary>The session is over.</summary>
    public void Remove(string id) => sessions.TryRemove(id, out _);

    /// <summary>Ends every session that matches; returns how many.</summary>
    public int End(Func<Session, bool> match, SessionEndReason reason)
    {
        var ended = 0;
        foreach (var (session, leash) in sessions.Values)
        {
            if (match(session))
            {
                leash.End(reason);
                ended++;
            }
        }
        return ended;
    }

    /// <summary>Lets no new session begin, tells the live ones to end, and waits until they have or <paramref name="grace"/> is over.</summary>
    public async Task CloseAsync(TimeSpan grace, TimeProvider clock)
    {
        closing = true;
        End(static _ => true, SessionEndReason.Shutdown);
        var deadline = clock.GetTimestamp() + (long)(grace.TotalSeconds * clock.TimestampFrequency);
        while (!sessions.IsEmpty && clock.GetTimestamp() < deadline)
        {
            await Task.Delay(20);
        }
    }
}
