using System.Collections.Concurrent;
using Postern.Core;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Core.Sessions;
using Postern.Server.Dialects;
using Postern.Server.Media;
using Postern.Server.Observability;
using Postern.Server.Storage;

namespace Postern.Server.Flow;

/// <summary>
/// Sessions that are held in rooms of a media server. No connection of theirs passes here, so they last until the client hangs up,
/// their longest duration is over, an operator ends them or the server stops; then the room is closed at the media server.
/// </summary>
internal sealed class HeldRooms(
    ILedger ledger, RoomStore rooms, ConversationStore conversations, Core.Directory directory, LiveSessions live, MediaRooms media, SessionTimers timers, ILogger<HeldRooms> log, TimeProvider clock)
{
    private readonly ConcurrentDictionary<string, Held> held = new(StringComparer.Ordinal);

    /// <summary>Puts an admitted session on its leash and keeps its record until it ends; false when it has ended by now.</summary>
    public bool Hold(Opened opened, string? address)
    {
        var session = opened.Session;
        var leash = new Leash();
        held[session.Id] = new Held(opened, leash);
        live.Add(session, leash);
        _ = UntilEndAsync(session, leash, opened.Request.Connect.Subject, address);
        return !leash.TryGet(out _, out _);
    }

    /// <summary>The session of this id, until all of it is recorded.</summary>
    public Opened? Find(string id) => held.GetValueOrDefault(id)?.Opened;

    /// <summary>
    /// Ends a session for its client, on whatever node it is held; false when there is none of this id, or the credential that was sent is
    /// not its owner's.
    /// </summary>
    public async Task<bool> EndAsync(HangUp asked)
    {
        if (asked.Session is not { } id || rooms.Find(id) is not { } open || !await OwnsAsync(open, asked.Presented))
        {
            return false;
        }
        if (held.TryGetValue(id, out var here))
        {
            return here.Leash.End(SessionEndReason.ClientClosed);
        }
        await rooms.HangUpAsync(id);
        return true;
    }

    // The credential that opened it, even an expired one: it is checked when a session begins and never again. Or a key of the project.
    private async Task<bool> OwnsAsync(OpenRoom open, string? presented) =>
        presented is null
        || (CredentialVerifier.ReadOpaque(new CredentialText(presented), CredentialKind.PersonalAccessToken) is var (id, hash) && id == open.Credential && await ledger.FindAsync(id, hash) is not null)
        || (!directory.Verify(presented, Scopes.Mint).IsDenied(out _, out var key) && key.Project == open.Project);

    private async Task UntilEndAsync(Session session, Leash leash, string? claimed, string? address)
    {
        await using var recorder = new ConversationRecorder(conversations, session, clock);
        recorder.Begin(Opening.None with { ClaimedSubject = claimed }, textOnly: false);
        using (timers.Schedule(leash, session.Terms.EndBy - session.StartedAt))
        {
            await leash.Ended;
        }
        leash.TryGet(out var reason, out var detail);
        var end = new SessionEnd(reason, Frames.NoCode, detail);
        var closed = media.CloseAsync(session.Agent.Media!, session.Id);
        try
        {
            await EndAsync(recorder, session, end, address);
            await closed;
        }
        finally
        {
            held.TryRemove(session.Id, out _); // not before: who hangs up twice would pass for the client of another node
            live.Remove(session.Id);
        }
    }

    private async Task EndAsync(ConversationRecorder recorder, Session session, SessionEnd end, string? address)
    {
        try
        {
            await recorder.EndAsync(end);
        }
        catch (StorageException e)
        {
            Log.EndNotRecorded(log, session.Id, end.Reason.ToString(), e.Message);
        }
        await SessionEnding.WriteAsync(ledger, session, end, address, clock.GetUtcNow(), log);
    }

    private sealed record Held(Opened Opened, Leash Leash);
}
