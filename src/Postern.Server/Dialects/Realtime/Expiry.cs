using Postern.Core.Sessions;

namespace Postern.Server.Dialects.Realtime;

/// <summary>The warning before a session's longest duration is over: an event that clients that do not know it pass over.</summary>
internal static class Expiry
{
    private static readonly TimeSpan Before = TimeSpan.FromSeconds(30);

    /// <summary>When to warn, and how much is left then: half a minute, or half of a session shorter than a minute.</summary>
    public static (DateTimeOffset At, TimeSpan Left) Of(Session session)
    {
        var whole = session.Terms.EndBy - session.StartedAt;
        var left = whole < 2 * Before ? whole / 2 : Before;
        return (session.Terms.EndBy - left, left);
    }

    public static byte[] Event(string id, TimeSpan left) => JsonText.Object(json =>
    {
        json.WriteString("type"u8, "session.expiring");
        json.WriteString("event_id"u8, id);
        json.WriteNumber("seconds_left"u8, Math.Ceiling(left.TotalSeconds));
    });
}
