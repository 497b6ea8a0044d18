using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Primitives;

namespace Postern.Server.Flow;

/// <summary>Why a request is no well-formed WebSocket opening: an HTTP status and one sentence.</summary>
internal sealed record HandshakeProblem(int Status, string Sentence)
{
    /// <summary>Sets the status and the headers that go with it; the body is the caller's.</summary>
    public void ApplyTo(HttpResponse response)
    {
        response.StatusCode = Status;
        if (Status == StatusCodes.Status405MethodNotAllowed) response.Headers.Allow = "GET";
        if (HttpProtocol.IsHttp2(response.HttpContext.Request.Protocol)) return;
        if (Status == StatusCodes.Status426UpgradeRequired)
        {
            response.Headers.SecWebSocketVersion = "13";
            response.Headers.Upgrade = "websocket";
        }
        // Bytes pipelined behind a failed upgrade were meant for a WebSocket; they must not be read as requests.
        response.Headers.Connection = Status == StatusCodes.Status426UpgradeRequired ? "Upgrade, close" : "close";
    }
}

/// <summary>Checks and accepts a WebSocket opening: HTTP/1.1 upgrade (RFC 6455, 4.2) and HTTP/2 extended CONNECT (RFC 8441).</summary>
internal static class WebSocketHandshake
{
    private const int MaxOffered = 16;
    private const int MaxOfferedChars = 16 * 1024;

    /// <summary>Null when the request is a well-formed opening; it decides nothing about who asks.</summary>
    public static HandshakeProblem? Check(HttpContext context)
    {
        var request = context.Request;
        return HttpProtocol.IsHttp2(request.Protocol) ? CheckConnect(context)
            : !HttpProtocol.IsHttp11(request.Protocol) ? new(400, "A WebSocket needs HTTP/1.1 or HTTP/2.")
            : !HttpMethods.IsGet(request.Method) ? new(405, "A WebSocket is opened by GET.")
            : CheckUpgrade(context);
    }

    private static HandshakeProblem? CheckUpgrade(HttpContext context)
    {
        var headers = context.Request.Headers;
        if (headers.TransferEncoding.Count > 0 || context.Request.ContentLength > 0) return new(400, "A WebSocket opening has no body.");
        if (headers.Upgrade.Count == 0 || context.Features.Get<IHttpUpgradeFeature>() is not { IsUpgradableRequest: true })
            return new(426, "This address speaks WebSocket only.");
        return !IsOnly(headers.Upgrade, "websocket") ? new(400, "Upgrade must be exactly: websocket.")
            : CheckVersion(headers) is { } problem ? problem
            : !IsKey(headers.SecWebSocketKey) ? new(400, "Sec-WebSocket-Key must be the base64 of 16 bytes, given once.")
            : CheckSingle(headers);
    }

    private static HandshakeProblem? CheckConnect(HttpContext context)
    {
        if (context.Features.Get<IHttpExtendedConnectFeature>() is not { IsExtendedConnect: true } connect)
            return HttpMethods.IsGet(context.Request.Method)
                ? new(426, "This address speaks WebSocket only.")
                : new(405, "A WebSocket is opened by an extended CONNECT.");
        return !string.Equals(connect.Protocol, "websocket", StringComparison.OrdinalIgnoreCase) ? new(400, "The :protocol must be websocket.")
            : context.Request.ContentLength is not null ? new(400, "A WebSocket opening has no body.")
            : CheckVersion(context.Request.Headers) ?? CheckSingle(context.Request.Headers);
    }

    private static HandshakeProblem? CheckVersion(IHeaderDictionary headers) =>
        headers.SecWebSocketVersion.Count > 1 ? new(400, "Sec-WebSocket-Version is given twice.")
        : headers.SecWebSocketVersion != "13" ? new(426, "Sec-WebSocket-Version must be 13.")
        : null;

    // Two values where one is meant are read differently by different servers on the way: nobody honest sends them.
    private static HandshakeProblem? CheckSingle(IHeaderDictionary headers) =>
        headers.Host.Count > 1 ? new(400, "Host is given twice.")
        : headers.Authorization.Count > 1 ? new(400, "Authorization is given twice.")
        : headers.Origin.Count > 1 ? new(400, "Origin is given twice.")
        : OfferedProtocols(headers) is null ? new(400, "Sec-WebSocket-Protocol must be a list of different tokens.")
        : null;

    private static bool IsOnly(StringValues values, string wanted) =>
        values.Count == 1 && string.Equals(values[0], wanted, StringComparison.OrdinalIgnoreCase);

    /// <summary>24 characters whose last group carries one byte and no stray bits: the one canonical form of 16 bytes.</summary>
    private static bool IsKey(StringValues values)
    {
        if (values.Count != 1 || values[0] is not { Length: 24 } key || !key.EndsWith("==", StringComparison.Ordinal)) return false;
        foreach (var c in key.AsSpan(0, 22))
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('+' or '/')) return false;
        }
        return key[21] is 'A' or 'Q' or 'g' or 'w';
    }

    /// <summary>The subprotocols offered, in order; empty when none, null when the header is malformed, has a value twice
    /// or is longer than any honest client makes it. They may carry a credential: never log them.</summary>
    public static IReadOnlyList<string>? OfferedProtocols(HttpContext context) => OfferedProtocols(context.Request.Headers);

    private static List<string>? OfferedProtocols(IHeaderDictionary headers)
    {
        var lines = headers.SecWebSocketProtocol;
        if (lines.Count == 0) return [];
        var offered = new List<string>(2);
        var chars = 0;
        foreach (var line in lines)
        {
            if (line is null || (chars += line.Length) > MaxOfferedChars) return null;
            foreach (var part in line.AsSpan().Split(','))
            {
                var value = line.AsSpan(part).Trim(" \t");
                if (!HttpText.IsToken(value) || offered.Count == MaxOffered) return null;
                var text = value.ToString();
                if (offered.Contains(text)) return null;
                offered.Add(text);
            }
        }
        return offered;
    }

    /// <summary>Answers a checked opening with 101 (or the 200 of an extended CONNECT) and returns the raw byte stream.
    /// No extension is ever agreed: compression beside secrets leaks them, and bombs unpack at the far end.</summary>
    /// <param name="context">A request that <see cref="Check"/> found nothing wrong with.</param>
    /// <param name="subprotocol">One of the offered, or null for none. Never a value that carries a secret.</param>
    public static async ValueTask<Stream> AcceptAsync(HttpContext context, string? subprotocol)
    {
        var headers = context.Response.Headers;
        if (subprotocol is not null) headers.SecWebSocketProtocol = subprotocol;
        LiftBodyLimits(context.Features);
        var connect = context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true } found ? found : null;
        if (connect is null)
        {
            headers.Upgrade = "websocket";
            headers.SecWebSocketAccept = AcceptValue(context.Request.Headers.SecWebSocketKey.ToString());
        }
        KestrelRequest.Forget(context.Request);
        return await (connect is null ? context.Features.GetRequiredFeature<IHttpUpgradeFeature>().UpgradeAsync() : connect.AcceptAsync().AsTask());
    }

    // A conversation is no request body: the server's size and data-rate limits would end it. The session has its own.
    private static void LiftBodyLimits(IFeatureCollection features)
    {
        if (features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size) size.MaxRequestBodySize = null;
        if (features.Get<IHttpMinRequestBodyDataRateFeature>() is { } requestRate) requestRate.MinDataRate = null;
        if (features.Get<IHttpMinResponseDataRateFeature>() is { } responseRate) responseRate.MinDataRate = null;
    }

    /// <summary>The Sec-WebSocket-Accept that belongs to a key (RFC 6455, 4.2.2).</summary>
    public static string AcceptValue(string key)
    {
        Span<byte> input = stackalloc byte[24 + 36];
        Encoding.ASCII.GetBytes(key, input);
        "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"u8.CopyTo(input[24..]);
        Span<byte> hash = stackalloc byte[20];
#pragma warning disable CA5350 // RFC 6455 prescribes SHA-1 here; it proves that the peer speaks WebSocket, nothing more.
        SHA1.HashData(input, hash);
#pragma warning restore CA5350
        return Convert.ToBase64String(hash);
    }
}
