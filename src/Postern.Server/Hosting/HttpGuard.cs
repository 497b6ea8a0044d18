using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;
using Postern.Server.Dialects.Algolia;
using Postern.Server.Observability;

namespace Postern.Server.Hosting;

/// <summary>
/// The first thing every request meets: refuses what two readers could read differently, and keeps what fails further in from
/// showing anything of the inside.
/// </summary>
internal sealed class HttpGuard(RequestDelegate next, PosternOptions options, ILogger<HttpGuard> log)
{
    private readonly HashSet<string> hosts = new(
        [.. options.AllowedHosts, "localhost", .. options.PublicAddress is { } address ? [address.Host] : Array.Empty<string>()], StringComparer.OrdinalIgnoreCase);

    public async Task InvokeAsync(HttpContext context)
    {
        Protect(context);
        if (Refuse(context.Request, context.Features) is var (status, detail))
        {
            // What follows on this connection may be the rest of what was refused.
            Close(context);
            if (status == StatusCodes.Status405MethodNotAllowed) context.Response.Headers.Allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
            await Problem.WriteAsync(context, status, detail);
            return;
        }
        try
        {
            await next(context);
            if (context.Response is { HasStarted: false, StatusCode: >= 400, ContentLength: null, ContentType: null } response)
                await Problem.WriteAsync(context, response.StatusCode, Describe(response.StatusCode));
        }
        catch (Exception failure)
        {
            await EndAsync(context, failure);
        }
    }

    private (int Status, string Detail)? Refuse(HttpRequest request, IFeatureCollection features)
    {
        if (request.Protocol == "HTTP/1.0") return (400, "HTTP/1.1 or newer is needed; nginx speaks it with proxy_http_version 1.1.");
        if (!IsKnown(request.Method, features)) return (405, "This method is not served.");
        var headers = request.Headers;
        if (headers.TransferEncoding.Count > 0)
        {
            // Kestrel takes a Content-Length beside Transfer-Encoding away and leaves it under this name.
            if (headers.ContentLength is not null || headers.ContainsKey("X-Content-Length"))
                return (400, "Content-Length and Transfer-Encoding do not go together.");
        }
        if (headers.ContentEncoding is not [] && !(headers.ContentEncoding is ["gzip"] && AlgoliaPaths.Covers(request.Path))) return (415, "Compressed bodies are not read: send it without Content-Encoding.");
        if (features.Get<IHttpRequestFeature>()?.RawTarget is not ['/', ..]) return (400, "The request target must be a path.");
        return IsOurs(request.Host) ? null : (400, "This server does not answer to that host name: the setting AllowedHosts names those it answers to.");
    }

    // Methods are case-sensitive (RFC 9110, 9.1); the framework's own comparisons are not.
    private static bool IsKnown(string method, IFeatureCollection features) =>
        method is "GET" or "POST" or "HEAD" or "PATCH" or "DELETE" or "PUT" or "OPTIONS"
        || (method == "CONNECT" && features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true, Protocol: "websocket" });

    // A name that resolves to this machine for a moment lets a page of somebody else's speak to it; an address cannot be rebound.
    private bool IsOurs(HostString host) =>
        host.HasValue && host.Port is null or <= ushort.MaxValue && (hosts.Contains(host.Host) || IPAddress.TryParse(host.Host.AsSpan().Trim("[]"), out _));

    private void Protect(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers.CacheControl = "no-store";
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        if (options.PublicAddress is { Secure: true } address && string.Equals(context.Request.Host.Host, address.Host, StringComparison.OrdinalIgnoreCase))
            headers.StrictTransportSecurity = "max-age=31536000";
        // After an upgrade that fails, bytes meant for the WebSocket would be read as the next request (attack C12). One that succeeds
        // sets its own.
        if (!StringValues.IsNullOrEmpty(context.Request.Headers.Upgrade) && context.Request.Protocol == "HTTP/1.1") headers.Connection = "close";
    }

    private async Task EndAsync(HttpContext context, Exception failure)
    {
        var status = failure switch
        {
            BadHttpRequestException bad => bad.StatusCode,
            // Kestrel reports a chunk size beyond any number as I/O, and would answer 500 (attack D1).
            IOException { InnerException: OverflowException } or ConnectionResetException => StatusCodes.Status400BadRequest,
            OperationCanceledException when context.RequestAborted.IsCancellationRequested => StatusCodes.Status400BadRequest,
            _ => StatusCodes.Status500InternalServerError,
        };
        if (status >= 500) Log.RequestFailed(log, context.Request.Method, (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "no route", failure.ToString());
        if (context.Response.HasStarted || context.RequestAborted.IsCancellationRequested)
        {
            context.Abort();
            return;
        }
        context.Response.Clear();
        Protect(context);
        Close(context);
        await Problem.WriteAsync(context, status, Describe(status));
    }

    // HTTP/2 has no such header; there a refused request ends with its stream.
    private static void Close(HttpContext context)
    {
        if (context.Request.Protocol is "HTTP/1.1" or "HTTP/1.0") context.Response.Headers.Connection = "close";
    }

    private static string Describe(int status) => status switch
    {
        400 => "The request could not be read.",
        404 => "There is nothing here.",
        405 => "This path does not take that method.",
        408 => "The request came too slowly.",
        413 => "The request body is too large.",
        415 => "The body must be JSON.",
        429 => "Too many requests: try again later.",
        503 => "Not at the moment: try again later.",
        >= 500 => "Something failed inside; the operator finds it in the log.",
        _ => "The request was refused.",
    };
}
