using System.Text;
using Postern.Core.Conversations;
using Postern.Core.Credentials;
using Postern.Core.Sessions;
using Postern.Server.Dialects;
using Postern.Server.Storage;

namespace Postern.Server.Flow;

/// <summary>
/// Keeps what is said in one conversation. Nothing said waits for the disk: what is new gathers while the write before it is under
/// way, one write at a time, so that turns stay in order. <see cref="EndAsync"/> returns when all of it is committed.
/// </summary>
/// <param name="takenUp">The earlier conversation that the session takes up again; null for one of its own.</param>
internal sealed class ConversationRecorder(ConversationStore store, Session session, TimeProvider clock, string? takenUp = null) : IAsyncDisposable
{
    private const int MostWaiting = 256;
    private const int LongestMessage = 16 * 1024;
    private const int MostRated = 1000;
    private const int Attempts = 3;
    private static readonly TimeSpan BetweenAttempts = TimeSpan.FromMilliseconds(200);

    // Whom the credential names: a user whom the client merely claims to be owns nothing.
    private readonly Owner owner = new(session.Agent.Project, session.Agent.Id, session.Terms.Subject ?? "");
    private readonly Lock gate = new();
    private readonly List<Turn> turns = [];
    private readonly Dictionary<long, bool> likes = [];
    private ConversationStart? start;
    private Task writing = Task.CompletedTask;
    private int count;
    private bool begun, ended, isWriting;

    /// <summary>The conversation begins.</summary>
    public void Begin(Opening opening, bool textOnly)
    {
        if (!session.Agent.KeepsConversations)
        {
            return;
        }
        lock (gate)
        {
            begun = true;
            start = new ConversationStart(session, AuthorizationMethod(session.Credential), Clean(opening.ClaimedSubject), opening.Raw, textOnly);
            Write();
        }
    }

    /// <summary>Something was said. Waits only for a client that says more than can be written.</summary>
    public async ValueTask AddAsync(TurnRole role, string message)
    {
        Task? full;
        if (!session.Agent.KeepsConversations)
        {
            return;
        }
        lock (gate)
        {
            turns.Add(new Turn(count++, role, Clean(message)!, clock.GetUtcNow()));
            Write();
            full = turns.Count > MostWaiting ? writing : null;
        }
        if (full is not null)
        {
            await full;
        }
    }

    /// <summary>The user likes an answer, does not, or takes that back.</summary>
    public void Feedback(long answer, bool? likesIt)
    {
        lock (gate)
        {
            if (likesIt is null)
            {
                likes.Remove(answer);
            }
            else if (likes.Count < MostRated)
            {
                likes[answer] = likesIt.Value;
            }
        }
    }

    /// <summary>The conversation is over: writes what is still to be written, and how it ended.</summary>
    /// <exception cref="StorageException">It could not be written, several times.</exception>
    public async Task EndAsync(SessionEnd end)
    {
        lock (gate)
        {
            if (!begun || ended)
            {
                return;
            }
            ended = true;
        }
        await writing;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await store.WriteAsync(Take() with { End = (end, clock.GetUtcNow(), likes.Count(like => like.Value), likes.Count(like => !like.Value)) });
                return;
            }
            catch (StorageException) when (attempt < Attempts)
            {
                await Task.Delay(BetweenAttempts, clock);
            }
        }
    }

    /// <summary>Whatever else ended the conversation was a defect.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await EndAsync(new SessionEnd(SessionEndReason.InternalError, Frames.Abnormal));
        }
        catch (StorageException)
        {
            // The session's own row says the same, or its failure is in the log.
        }
    }

    private void Write()
    {
        if (!isWriting)
        {
            isWriting = true;
            writing = WriteAsync();
        }
    }

    // What could not be written stays for the next write; the last one insists.
    private async Task WriteAsync()
    {
        await Task.Yield(); // the caller holds the gate and is about to send
        try
        {
            while (Next() is { } change)
            {
                await store.WriteAsync(change);
                Written(change);
            }
        }
        catch (StorageException)
        {
            lock (gate)
            {
                isWriting = false;
            }
        }
    }

    private ConversationChange? Next()
    {
        lock (gate)
        {
            isWriting = start is not null || turns.Count > 0;
            return isWriting ? Take() : null;
        }
    }

    private ConversationChange Take()
    {
        lock (gate)
        {
            return new ConversationChange(owner, takenUp ?? session.Id, start, [.. turns]) { By = takenUp is null ? null : session.Id };
        }
    }

    private void Written(ConversationChange change)
    {
        lock (gate)
        {
            start = null;
            turns.RemoveRange(0, change.Turns.Count);
        }
    }

    private static string AuthorizationMethod(VerifiedCredential? credential) => credential switch
    {
        null => "public",
        { KeyId: ['k', 'e', 'y', '_', ..] } => "authorization_header",
        { Kind: CredentialKind.ConversationToken } => "livekit_token",
        { Kind: CredentialKind.SignedUrl } => "signed_url",
        _ => "authorization_header", // a client secret or a personal access token, which the vendor's closed list has no other word for
    };

    // PostgreSQL's text holds no NUL; a message longer than this is kept in its first part.
    private static string? Clean(string? text)
    {
        if (text is null)
        {
            return null;
        }
        if (text.Length > LongestMessage)
        {
            text = string.Concat(text.AsSpan(0, char.IsHighSurrogate(text[LongestMessage - 1]) ? LongestMessage - 1 : LongestMessage), "…");
        }
        return text.Replace('\0', (char)Rune.ReplacementChar.Value);
    }
}
