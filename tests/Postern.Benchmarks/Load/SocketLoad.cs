using System.Net;
using System.Text;

namespace Postern.Benchmarks.Load;

/// <summary>Many WebSockets: opened, refused, held, closed.</summary>
internal static class SocketLoad
{
    private const int AtOnce = 16;
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    private static readonly byte[] First = SocketClient.Frame(SocketClient.Text, Encoding.UTF8.GetBytes("""{"type":"conversation_initiation_client_data"}"""));

    /// <summary>Opens one session for each target; each has sent its first message and has had it back.</summary>
    public static async Task<SocketClient[]> OpenAsync(IPEndPoint address, IReadOnlyList<string> targets)
    {
        var clients = new SocketClient[targets.Count];
        await EachAsync(targets.Count, async (i, ct) =>
        {
            var client = clients[i] = await SocketClient.OpenAsync(address, targets[i], ct);
            if (client.Status != 101)
            {
                throw new InvalidDataException($"The server answered {client.Status} to an opening.");
            }
            await client.EchoAsync(First, ct);
            client.Shrink();
        });
        return clients;
    }

    /// <summary>Closes them, each by a close frame that is answered.</summary>
    public static Task CloseAsync(SocketClient[] clients) => EachAsync(clients.Length, async (i, ct) =>
    {
        using var client = clients[i];
        await client.CloseAsync(ct);
    });

    /// <summary>One message on each of them, and back.</summary>
    public static Task EchoAsync(SocketClient[] clients) => EachAsync(clients.Length, (i, ct) => clients[i].EchoAsync(First, ct));

    /// <summary>Openings that the server refuses: with 101 and a close frame, or with any other status.</summary>
    public static Task BeRefusedAsync(IPEndPoint address, IReadOnlyList<string> targets, bool? byFrame) => EachAsync(targets.Count, async (i, ct) =>
    {
        using var client = await SocketClient.OpenAsync(address, targets[i], ct);
        if (byFrame is { } wanted && client.Status == 101 != wanted)
        {
            throw new InvalidDataException($"The server answered {client.Status} to a forged signed URL.");
        }
        await (client.Status == 101 ? client.BeClosedAsync(ct) : client.UntilEndAsync(ct));
    });

    private static async Task EachAsync(int count, Func<int, CancellationToken, Task> act)
    {
        using var time = new CancellationTokenSource(Longest);
        var next = -1;
        await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(async _ =>
        {
            for (var i = Interlocked.Increment(ref next); i < count; i = Interlocked.Increment(ref next))
            {
                await act(i, time.Token);
            }
        }));
    }
}
