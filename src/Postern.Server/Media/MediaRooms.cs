using System.Net;
using System.Net.Http.Headers;
using Postern.Core.Agents;
using Postern.Server.Flow;
using Postern.Server.Hosting;
using Postern.Server.Observability;

namespace Postern.Server.Media;

/// <summary>
/// Closes rooms of media servers by LiveKit's server API (Twirp), so that a session's end puts its participant out. It is dialled like
/// an upstream: addresses are checked as resolved, nothing is followed elsewhere.
/// </summary>
internal sealed class MediaRooms(PosternOptions options, ILogger<MediaRooms> log, TimeProvider clock) : IDisposable
{
    private const string DeleteRoom = "/twirp/livekit.RoomService/DeleteRoom";
    private const int Attempts = 3;
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    private readonly HttpClient http = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false, UseCookies = false, ConnectCallback = (context, ct) => DialAsync(context, options, ct) })
    {
        Timeout = Wait, MaxResponseContentBufferSize = 64 * 1024,
    };

    /// <summary>Puts everybody out of a room. A room that is not there is as good; a server that does not answer is logged.</summary>
    public async Task CloseAsync(MediaServer server, string room)
    {
        var problem = "";
        for (var attempt = 1; attempt <= Attempts; attempt++)
        {
            try
            {
                using var answer = await http.SendAsync(Request(server, room));
                if (answer.IsSuccessStatusCode || answer.StatusCode == HttpStatusCode.NotFound)
                {
                    return;
                }
                problem = $"status {(int)answer.StatusCode}";
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException or UpstreamException)
            {
                problem = e.InnerException is UpstreamException refused ? refused.Message : e.GetType().Name;
            }
            await Task.Delay(attempt < Attempts ? attempt * Pause : TimeSpan.Zero);
        }
        Log.RoomNotClosed(log, room, problem);
    }

    public void Dispose() => http.Dispose();

    private HttpRequestMessage Request(MediaServer server, string room)
    {
        var address = UpstreamAddress.Parse(server.Url, out var problem) ?? throw new UpstreamException(UpstreamFailure.Unreachable, problem!);
        return new HttpRequestMessage(HttpMethod.Post, $"{(address.Tls ? "https" : "http")}://{address.Authority}{address.Target.TrimEnd('/')}{DeleteRoom}")
        {
            Headers = { Authorization = new AuthenticationHeaderValue("Bearer", RoomToken.WriteServer(server, clock.GetUtcNow())) }, Content = JsonContent.Create(new { room }),
        };
    }

    private static async ValueTask<Stream> DialAsync(SocketsHttpConnectionContext context, PosternOptions options, CancellationToken ct)
    {
        var socket = await Flow.Upstream.DialAsync(context.DnsEndPoint.Host, context.DnsEndPoint.Port, options.Agents.AllowPrivateUpstreams, ct);
        await SocketThread.LeaveAsync();
        return new PooledStream(socket);
    }
}
