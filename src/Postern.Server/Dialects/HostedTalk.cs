using System.Net.WebSockets;
using System.Text;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Flow;
using Postern.Server.Observability;
using Postern.Server.Storage;

namespace Postern.Server.Dialects;

/// <summary>
/// A conversation with an agent hosted here: one loop that reads, answers and writes in turn, so that nothing of it needs a lock. While an
/// answer comes it goes on reading. What is said is a dialect's.
/// </summary>
/// <typeparam name="TMessage">What a client says.</typeparam>
internal abstract class HostedTalk<TMessage>(TalkContext context)
{
    // An answer that is there already is said before the next message is looked at, but no answer keeps a client from being heard.
    private const int MostActsAtOnce = 256;

    private readonly TalkSocket socket = new(context);
    private readonly StringBuilder pieces = new();
    private Task<TalkInput> read = Task.FromResult<TalkInput>(default);
    private TalkAnswer? answer;

    protected TalkContext Context => context;

    protected TimeProvider Clock => context.Clock;

    /// <summary>Converses until the client, the leash or the client's own doing ends it; how it ended is recorded when this returns.</summary>
    public async Task<SessionEnd> RunAsync()
    {
        using (socket)
        {
            context.Leash.OnEnd(socket.Hasten);
            var end = await ConverseAsync();
            await StopAnsweringAsync();
            await socket.StopAsync(read);
            try
            {
                await context.Recorder.EndAsync(end);
            }
            catch (StorageException e)
            {
                Log.ConversationNotRecorded(context.Log, context.Session.Id, e.Message);
            }
            return end;
        }
    }

    /// <summary>Begins the conversation; says how it ended when it came to nothing.</summary>
    protected abstract Task<SessionEnd?> OpenAsync();

    /// <summary>Reads a message; what it returns does not hold on to the bytes.</summary>
    protected abstract TMessage Read(ReadOnlyMemory<byte> text);

    /// <summary>Does what a message asks; says how the conversation ended when it ended it.</summary>
    protected abstract Task<SessionEnd?> TakeAsync(TMessage message);

    /// <summary>Does what is due by now; returns how long nothing else will be.</summary>
    protected abstract ValueTask<TimeSpan> DueAsync();

    /// <summary>Says what the agent does.</summary>
    protected abstract ValueTask DoAsync(AgentAct act);

    /// <summary>Says that the answer is over.</summary>
    /// <param name="isCut">It was cut short; else it came to its own end.</param>
    protected abstract ValueTask AnsweredAsync(bool isCut);

    /// <summary>The last words for an end.</summary>
    protected abstract Farewell LastWords(SessionEnd end);

    /// <summary>The close for a client that closed first, or that never got so far that anything else could be said.</summary>
    protected virtual CloseFrame Refusal(SessionEnd end) => new(Frames.IsCodeOnTheWire(end.CloseCode) ? end.CloseCode : (ushort)1000, "");

    /// <summary>Sends one text message.</summary>
    public virtual ValueTask SendAsync(byte[] text) => socket.SendAsync(text);

    /// <summary>The next message, once it is there.</summary>
    protected Task NextMessage => read;

    /// <summary>Takes the message that is there, and reads on; null with the end when there is none any more.</summary>
    protected async Task<(T? Message, SessionEnd? End)> NextAsync<T>(Func<ReadOnlyMemory<byte>, T> reader)
    {
        var (text, end) = await read;
        if (end is not null)
        {
            return (default, end);
        }
        var message = reader(text!.Value);
        read = socket.ReadAsync();
        return (message, null);
    }

    /// <summary>Lets the agent answer.</summary>
    public void Answer(IHostedAgent agent, AgentTurn turn) => answer = new TalkAnswer(agent, turn);

    /// <summary>Cuts the answer under way short, if there is one.</summary>
    public async ValueTask CutAsync()
    {
        if (await StopAnsweringAsync())
        {
            await AnsweredAsync(isCut: true);
        }
    }

    /// <summary>Closes the connection.</summary>
    protected Task CloseAsync(Farewell farewell) => socket.CloseAsync(farewell, read);

    /// <summary>Ends the conversation with the dialect's last words.</summary>
    protected async Task<SessionEnd> EndAsync(SessionEnd end)
    {
        await StopAnsweringAsync();
        var farewell = LastWords(end);
        await CloseAsync(farewell);
        return end with { CloseCode = farewell.Close.Code };
    }

    /// <summary>What is said when the leash ends it, before the last words.</summary>
    protected virtual ValueTask BeforeEndAsync(SessionEndReason reason) => ValueTask.CompletedTask;

    private async Task<SessionEnd> ConverseAsync()
    {
        try
        {
            read = socket.ReadAsync();
            return await OpenAsync() ?? await GoOnAsync();
        }
        catch (Exception e) when (e is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            return context.Leash.TryGet(out var reason, out var detail)
                ? new SessionEnd(reason, Frames.Abnormal, detail)
                : new SessionEnd(SessionEndReason.ClientClosed, Frames.Abnormal, "the connection was lost");
        }
        catch (Exception e)
        {
            Log.TalkFailed(context.Log, context.Session.Id, e.ToString());
            return await EndAsync(new SessionEnd(SessionEndReason.InternalError, 1011));
        }
    }

    private async Task<SessionEnd> GoOnAsync()
    {
        using var alarm = new TalkAlarm(Clock);
        while (true)
        {
            var wait = alarm.In(await DueAsync());
            await (answer is null ? Task.WhenAny(read, context.Leash.Ended, wait) : Task.WhenAny(answer.Next, read, context.Leash.Ended, wait));
            if (context.Leash.TryGet(out var reason, out var detail))
            {
                await StopAnsweringAsync();
                await BeforeEndAsync(reason);
                return await EndAsync(new SessionEnd(reason, context.Leash.Code, detail));
            }
            for (var acts = 0; answer is { Next.IsCompleted: true } && acts < MostActsAtOnce; acts++)
            {
                await SayAsync();
            }
            if (read.IsCompleted && await TakeAsync() is { } end)
            {
                return end;
            }
        }
    }

    private async Task SayAsync()
    {
        if (!await answer!.Next)
        {
            await answer.DisposeAsync();
            answer = null;
            await AnsweredAsync(isCut: false);
            return;
        }
        var act = answer.Take();
        context.Activity.Touch();
        if (act is AgentAct.Piece piece)
        {
            pieces.Append(piece.Text);
        }
        else if (act is AgentAct.Says or AgentAct.Failed)
        {
            await RecordAsync();
        }
        await DoAsync(act);
    }

    private async Task<SessionEnd?> TakeAsync()
    {
        var (message, end) = await NextAsync(Read);
        if (end is null)
        {
            return await TakeAsync(message!);
        }
        if (end.Reason != SessionEndReason.ClientClosed)
        {
            return await EndAsync(end);
        }
        await StopAnsweringAsync();
        await CloseAsync(new Farewell(null, Refusal(end), TimeSpan.Zero));
        return end;
    }

    private async ValueTask<bool> StopAnsweringAsync()
    {
        if (answer is null)
        {
            return false;
        }
        await answer.DisposeAsync();
        answer = null;
        await RecordAsync();
        return true;
    }

    private async ValueTask RecordAsync()
    {
        if (pieces.Length > 0)
        {
            await context.Recorder.AddAsync(TurnRole.Agent, pieces.ToString());
            pieces.Clear();
        }
    }
}
