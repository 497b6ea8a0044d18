using Postern.Core.Sessions;

namespace Postern.Server.Flow;

/// <summary>What everything outside holds of a live session: timers, revocation, an operator, the end of the server.
/// The first call of <see cref="End"/> decides why the session ends. Thread-safe.</summary>
internal sealed class Leash
{
    private Cut? cut;
    private Action? listeners;
    private TaskCompletionSource? ended;
    private CancellationTokenSource? cancellation;

    private sealed record Cut(SessionEndReason Reason, string Detail, ushort Code);

    /// <summary>Completes when the session is to end; made when first asked for.</summary>
    public Task Ended
    {
        get
        {
            if (Volatile.Read(ref ended) is { } made) return made.Task;
            var task = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (Interlocked.CompareExchange(ref ended, task, null) is { } other) return other.Task;
            OnEnd(() => task.TrySetResult());
            return task.Task;
        }
    }

    /// <summary>Cancelled when the session is to end, unless it was dropped by then; made when first asked for.</summary>
    public CancellationToken Token
    {
        get
        {
            lock (this)
            {
                return cut is not null ? new CancellationToken(canceled: true) : (cancellation ??= new()).Token;
            }
        }
    }

    /// <summary>Nothing waits on the <see cref="Token"/> any more: a session does not carry it to its end.</summary>
    public void DropToken()
    {
        lock (this) cancellation = null;
    }

    /// <summary>The close code that RFC 6455 has for what the client broke; 0 where nothing of it was broken.</summary>
    public ushort Code => Volatile.Read(ref cut)?.Code ?? 0;

    /// <summary>Ends the session; false when something else did before.</summary>
    public bool End(SessionEndReason reason, string detail = "", ushort code = 0)
    {
        Action? told;
        CancellationTokenSource? waited;
        lock (this)
        {
            if (cut is not null) return false;
            cut = new(reason, detail, code);
            (told, listeners) = (listeners, null);
            (waited, cancellation) = (cancellation, null);
        }
        // Cancelled elsewhere: what waits on the token must not run on the thread of whoever ends sessions.
        _ = waited?.CancelAsync();
        told?.Invoke();
        return true;
    }

    public bool TryGet(out SessionEndReason reason, out string detail)
    {
        var made = Volatile.Read(ref cut);
        (reason, detail) = made is null ? (default, "") : (made.Reason, made.Detail);
        return made is not null;
    }

    /// <summary>Calls <paramref name="listener"/> once, at the end or at once when it has come. It must neither block nor throw.</summary>
    public void OnEnd(Action listener)
    {
        lock (this)
        {
            if (cut is null)
            {
                listeners += listener;
                return;
            }
        }
        listener();
    }
}
