using Postern.Core.Sessions;

namespace Postern.Server.Flow;

/// <summary>What is said last: an optional text message, a pause for the client to act on it, then the close.</summary>
internal sealed record Farewell(byte[]? Event, CloseFrame Close, TimeSpan Pause);

/// <summary>Everything outside a session that may end it calls <see cref="End"/>; the first call wins.</summary>
internal sealed class Leash
{
    private readonly TaskCompletionSource<(SessionEndReason Reason, string Detail)> ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when something wants the session to end.</summary>
    public Task<(SessionEndReason Reason, string Detail)> Ended => ended.Task;

    /// <summary>Ends the session, whoever calls first.</summary>
    public void End(SessionEndReason reason, string detail = "") => ended.TrySetResult((reason, detail));
}
