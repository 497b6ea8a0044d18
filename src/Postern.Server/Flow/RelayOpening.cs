using Postern.Core.Sessions;
using Postern.Server.Dialects;

namespace Postern.Server.Flow;

/// <summary>
/// Holds a relayed client's first message back until it has been judged. A client that stays silent for a while does not keep the
/// upstream waiting: the conversation begins, and the first message is still judged when it comes.
/// </summary>
internal sealed class RelayOpening
{
    private const int MostSkipped = 4;

    private static readonly CloseFrame Invalid = new(1008, "Invalid message received");

    private readonly Func<ReadOnlyMemory<byte>?, (CloseFrame? Refused, Opening Opening)> judge;
    private readonly Leash leash;
    private readonly Task<ClientMessage> first;

    /// <param name="skip">Messages that come before the first and are dropped.</param>
    public RelayOpening(
        Stream client, Func<ReadOnlyMemory<byte>, bool> skip, Func<ReadOnlyMemory<byte>?, (CloseFrame? Refused, Opening Opening)> judge, int maxBytes, Leash leash)
    {
        (Client, this.judge, this.leash) = (client, judge, leash);
        first = ReadFirstAsync(client, skip, maxBytes, leash.Token);
    }

    /// <summary>What is to be passed on first: the client's frames as they came, or what the mint has fixed in their place.</summary>
    public ReadOnlyMemory<byte> Frames { get; private set; }

    /// <summary>The stream to read on from.</summary>
    public Stream Client { get; private set; }

    /// <summary>Waits for the first message; not null when the session ends here.</summary>
    public async Task<(CloseFrame Close, SessionEnd End)?> ReadAsync(TimeSpan wait)
    {
        await ((Task)first).WaitAsync(wait).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!first.IsCompleted)
        {
            Frames = Fixed(judge(null).Opening);
            Client = new Guarded(Client, this);
            return null;
        }
        var message = await first;
        switch (message.Outcome)
        {
            case ReadOutcome.Message when Judge(message) is var (refused, opening):
                Frames = Passed(message, opening);
                return refused is { } close ? (close, new SessionEnd(SessionEndReason.FirstMessageRefused, close.Code, close.Reason)) : null;
            case ReadOutcome.Broken:
                return (message.Close, new SessionEnd(SessionEndReason.ProtocolError, message.Close.Code, message.Close.Reason));
            case ReadOutcome.Closed:
                return (message.Close, new SessionEnd(SessionEndReason.ClientClosed, message.Close.Code, message.Close.Reason));
            case ReadOutcome.TimedOut when leash.TryGet(out _, out _):
                return null; // the dialling sees the leash and says why in the dialect's words
            default:
                return (new CloseFrame(1001, ""), new SessionEnd(SessionEndReason.ClientClosed, 1006));
        }
    }

    private static async Task<ClientMessage> ReadFirstAsync(Stream client, Func<ReadOnlyMemory<byte>, bool> skip, int maxBytes, CancellationToken ct)
    {
        var message = await FirstMessage.ReadAsync(client, default, maxBytes, ct, keepPings: true);
        for (var skipped = 0; skipped < MostSkipped && message is { Outcome: ReadOutcome.Message, IsText: true } && skip(message.Payload); skipped++)
        {
            message = await FirstMessage.ReadAsync(client, message.Surplus, maxBytes, ct, keepPings: true);
        }
        return message;
    }

    private (CloseFrame? Refused, Opening Opening) Judge(ClientMessage message) => message.IsText ? judge(message.Payload) : (Invalid, Opening.None);

    private static ReadOnlyMemory<byte> Passed(ClientMessage message, Opening opening) => opening.Upstream is null ? message.FramesAndSurplus
        : (byte[])[.. Fixed(opening).Span, .. (opening.UpstreamReplaces ? message.Surplus : message.FramesAndSurplus).Span];

    private static ReadOnlyMemory<byte> Fixed(Opening opening) => opening.Upstream is { } text ? Flow.Frames.MaskedText(text) : default;

    /// <summary>Gives the judged first message, then the rest of the stream; a refused one ends the session.</summary>
    private sealed class Guarded(Stream inner, RelayOpening opening) : Stream
    {
        private ReadOnlyMemory<byte> pending;
        private bool judged;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (!judged)
            {
                var message = await opening.first.WaitAsync(cancellationToken);
                var (refused, judgedOpening) = message.Outcome == ReadOutcome.Message ? opening.Judge(message) : (null, Opening.None);
                // What the mint has fixed was said already: initiation data that comes now would be a second say.
                if ((judgedOpening.UpstreamReplaces && !opening.Frames.IsEmpty ? Invalid : refused) is { } close)
                {
                    opening.leash.End(SessionEndReason.FirstMessageRefused, close.Reason);
                    await Task.Delay(Timeout.Infinite, cancellationToken);
                }
                // A close or a broken frame too: the relay passes on the one and answers the other.
                pending = opening.Frames.IsEmpty ? Passed(message, judgedOpening) : message.FramesAndSurplus;
                judged = true;
            }
            if (pending.IsEmpty)
            {
                return await inner.ReadAsync(buffer, cancellationToken);
            }
            var count = Math.Min(buffer.Length, pending.Length);
            pending[..count].CopyTo(buffer);
            pending = pending[count..];
            return count;
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => inner.WriteAsync(buffer, cancellationToken);

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() => inner.Flush();
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
