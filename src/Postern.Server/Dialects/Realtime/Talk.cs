using System.Net.WebSockets;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Sessions;
using Postern.Server.Flow;
using Postern.Server.Observability;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Realtime;

/// <summary>
/// Speaks the realtime protocol with the agent hosted here: one loop that reads, thinks and writes in turn, so that nothing of it
/// needs a lock. What the client may ask stands in <see cref="TalkRequests"/>.
/// </summary>
internal sealed class Talk(TalkContext context, bool isXai)
{
    private static readonly TimeSpan ListenEvery = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Rest = TimeSpan.FromMinutes(10);

    private readonly TimeProvider clock = context.Clock;
    private readonly TalkSocket socket = new(context);
    private readonly TalkEvents events = new(isXai);
    private Task<TalkInput> read = Task.FromResult<TalkInput>(default);
    private TalkRequests requests = null!;

    /// <summary>Converses until the client, the leash or the client's own doing ends it; how it ended is recorded when this returns.</summary>
    public async Task<SessionEnd> RunAsync()
    {
        using (socket)
        {
            context.Leash.OnEnd(socket.Hasten);
            context.Recorder.Begin(Opening.None, textOnly: false);
            var end = await ConverseAsync();
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

    private async Task<SessionEnd> ConverseAsync()
    {
        try
        {
            var session = context.Session;
            var configuration = new SessionConfiguration(session.Terms.Fixed, "sess_" + session.Id[(session.Id.IndexOf('_', StringComparison.Ordinal) + 1)..],
                session.Agent.Id.Value, session.Terms.EndBy.ToUnixTimeSeconds());
            requests = new TalkRequests(context, SendAsync, events, configuration);
            read = socket.ReadAsync();
            await SendAsync(events.Session("session.created", configuration));
            await SendAsync(events.Conversation(session.Id));
            return await GoOnAsync();
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
        using var alarm = new TalkAlarm(clock);
        var (warnAt, left) = Expiry.Of(context.Session);
        var warned = false;
        while (true)
        {
            var now = clock.GetUtcNow();
            if (!warned && now >= warnAt)
            {
                warned = true;
                await SendAsync(Expiry.Event(events.NextId(), left));
            }
            await requests.GoOnAsync();
            var wait = requests.IsListening ? ListenEvery : Rest;
            wait = !warned && warnAt - now < wait ? warnAt - now : wait;
            await Task.WhenAny(read, context.Leash.Ended, alarm.In(requests.Pause is { } pause && pause < wait ? pause : wait));
            if (context.Leash.TryGet(out var reason, out var detail))
            {
                return await EndAsync(new SessionEnd(reason, 0, detail));
            }
            if (read.IsCompleted && await TakeAsync() is { } end)
            {
                return end;
            }
        }
    }

    private async Task<SessionEnd?> TakeAsync()
    {
        var (text, end) = await read;
        if (end is not null)
        {
            if (end.Reason != SessionEndReason.ClientClosed)
            {
                return await EndAsync(end);
            }
            await socket.CloseAsync(new Farewell(null, new CloseFrame(Frames.IsCodeOnTheWire(end.CloseCode) ? end.CloseCode : (ushort)1000, ""), TimeSpan.Zero), read);
            return end;
        }
        context.Activity.Touch();
        JsonElement? message = null;
        try
        {
            message = JsonElement.Parse(text!.Value.Span, StrictJson.Document);
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            // Answered below: the session stays open.
        }
        read = socket.ReadAsync();
        await requests.TakeAsync(message);
        return null;
    }

    private async ValueTask SendAsync(byte[] text)
    {
        context.Activity.Touch();
        await socket.SendAsync(text);
    }

    private async Task<SessionEnd> EndAsync(SessionEnd end)
    {
        var farewell = context.Dialect.End(end.Reason, end.Detail);
        if (end.CloseCode != 0 && end.Reason is SessionEndReason.ProtocolError or SessionEndReason.MessageTooBig)
        {
            // Where the WebSocket protocol itself was broken its own code says more than a vendor's.
            farewell = farewell with { Close = farewell.Close with { Code = end.CloseCode } };
        }
        await socket.CloseAsync(farewell, read);
        return end with { CloseCode = farewell.Close.Code };
    }
}
