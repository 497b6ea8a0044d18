using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json;
using Postern.Core;
using Postern.Server.Flow;
using Postern.Server.Hosting;
using Upstream = Postern.Core.Agents.Upstream;

namespace Postern.Server.Agents.Chat;

/// <summary>
/// Posts to chat endpoints over connections of its own: no redirect is followed, no proxy, cookie or compression used, and every address
/// is judged when it is dialled.
/// </summary>
internal sealed class ChatEndpoints : IDisposable
{
    private const int LongestError = 4096;

    private readonly ConcurrentDictionary<(string Url, string Model), ChatForm> forms = new();
    private readonly HttpMessageInvoker http;
    private readonly bool allowPrivate;

    public ChatEndpoints(PosternOptions options)
    {
        allowPrivate = options.Agents.AllowPrivateUpstreams;
        http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            AllowAutoRedirect = false, UseProxy = false, UseCookies = false, AutomaticDecompression = DecompressionMethods.None, ActivityHeadersPropagator = null,
            ConnectCallback = DialAsync, ConnectTimeout = options.Sessions.UpstreamConnect,
            EnableMultipleHttp2Connections = true, MaxResponseHeadersLength = 16,
            // Names change their addresses: no connection outlives that for long.
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        });
    }

    /// <summary>Asks for an answer; returns when the endpoint has begun to give one.</summary>
    /// <exception cref="ChatException">It did not.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="ct"/> was cancelled; the request with it.</exception>
    /// <param name="body">The request in a form. One that the endpoint refuses is tried in the next; the one that it takes is remembered.</param>
    public async Task<ChatStream> OpenAsync(Upstream.Chat chat, Func<ChatForm, byte[]> body, CancellationToken ct)
    {
        var known = forms.GetValueOrDefault((chat.Url, chat.Model));
        for (var form = known; ;)
        {
            try
            {
                var stream = await OpenAsync(chat, body(form), ct);
                if (form != known)
                {
                    forms[(chat.Url, chat.Model)] = form;
                }
                return stream;
            }
            catch (ChatException e) when (e.Status is 400 or 422 && form.After(e) is { } next)
            {
                form = next;
            }
        }
    }

    private async Task<ChatStream> OpenAsync(Upstream.Chat chat, byte[] body, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, chat.Url + "/chat/completions")
        {
            Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
            Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } },
        };
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        if (chat.Key is { } key)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }
        HttpResponseMessage? response = null;
        try
        {
            response = await http.SendAsync(request, ct);
            await JudgeAsync(response, ct);
            return new ChatStream(response, await response.Content.ReadAsStreamAsync(ct));
        }
        catch (Exception e)
        {
            response?.Dispose();
            throw e is OperationCanceledException && ct.IsCancellationRequested ? e : Translate(e);
        }
    }

    public void Dispose() => http.Dispose();

    /// <summary>What a failure of the connection is; any other exception is itself.</summary>
    public static Exception Translate(Exception e) => e switch
    {
        HttpRequestException { InnerException: UpstreamException inner } => Translate(inner),
        UpstreamException upstream => new ChatException(upstream.Failure == UpstreamFailure.AddressForbidden ? AgentFailure.Broken : AgentFailure.Unreachable, upstream.Message, e),
        HttpRequestException { InnerException: SocketException socket } => new ChatException(AgentFailure.Unreachable, $"The endpoint could not be reached: {socket.SocketErrorCode}.", e),
        HttpRequestException { InnerException: AuthenticationException } => new ChatException(AgentFailure.Broken, "The endpoint's certificate is not trusted, or TLS failed.", e),
        HttpRequestException http => new ChatException(AgentFailure.Unreachable, $"The request failed: {http.HttpRequestError}.", e),
        HttpIOException io => new ChatException(AgentFailure.Unreachable, $"The connection failed: {io.HttpRequestError}.", e),
        IOException => new ChatException(AgentFailure.Unreachable, "The connection was lost.", e),
        OperationCanceledException => new ChatException(AgentFailure.Unreachable, "The endpoint could not be reached in time.", e),
        _ => e,
    };

    private static async Task JudgeAsync(HttpResponseMessage response, CancellationToken ct)
    {
        var status = (int)response.StatusCode;
        if (status != 200)
        {
            var names = await NamesAsync(response, ct);
            throw new ChatException(
                status is 429 or 503 ? AgentFailure.Busy : status is 408 or 504 ? AgentFailure.Timeout : status is 500 or 502 ? AgentFailure.Unreachable : AgentFailure.Broken,
                $"The endpoint answered {status}{(names.Count == 0 ? "" : $" ({string.Join(", ", names)})")}.")
            { Status = status, Names = names };
        }
        if (response.Content.Headers is not { ContentType.MediaType: "text/event-stream", ContentEncoding.Count: 0 })
        {
            throw new ChatException(AgentFailure.Broken, "The endpoint did not answer with a plain text/event-stream.");
        }
    }

    // Endpoints repeat keys and texts in what they say of an error: of its body only those words are taken that can be no more than names.
    private static async Task<IReadOnlyList<string>> NamesAsync(HttpResponseMessage response, CancellationToken ct)
    {
        try
        {
            var buffer = new byte[LongestError];
            await using var stream = await response.Content.ReadAsStreamAsync(ct);
            var count = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, ct);
            var error = AgentDocument.Member(JsonElement.Parse(buffer.AsSpan(0, count), StrictJson.Document), "error");
            return [.. new[] { "code", "param" }.Select(name => AgentDocument.Member(error, name) is { ValueKind: JsonValueKind.String } text ? text.GetString()! : "").Where(IsName)];
        }
        catch (Exception e) when (e is IOException or HttpRequestException || StrictJson.IsBadInput(e))
        {
            return [];
        }
    }

    private static bool IsName(string text) => text.Length is > 0 and <= 64 && text.All(static c => char.IsAsciiLetterLower(c) || c is '_' or '.');

    private async ValueTask<Stream> DialAsync(SocketsHttpConnectionContext context, CancellationToken ct)
    {
        var socket = await Flow.Upstream.DialAsync(context.DnsEndPoint.Host, context.DnsEndPoint.Port, allowPrivate, ct);
        if (context.InitialRequestMessage.RequestUri!.Scheme == Uri.UriSchemeHttp && AddressRules.IsPublic(((IPEndPoint)socket.RemoteEndPoint!).Address))
        {
            socket.Dispose();
            throw new UpstreamException(UpstreamFailure.AddressForbidden, "A chat endpoint on the open internet is reached by https:// only: its key would travel in the clear.");
        }
        await SocketThread.LeaveAsync();
        return new PooledStream(socket);
    }
}
