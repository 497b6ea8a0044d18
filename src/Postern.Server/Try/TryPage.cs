using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Server.Dialects;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Flow;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Try;

/// <summary>
/// The page on which a newcomer talks to the demo agent over a signed URL and sees what was minted and why it is accepted. A one-time
/// code is exchanged for a cookie; the mint is the one that everybody uses, with a key of the session's own.
/// </summary>
internal sealed class TryPage(
    CredentialMint mint, Core.Directory directory, TryCodes codes, TrySessions sessions, ServerAddress address, LiveSessions live, RefusalLimiter limiter,
    PosternOptions options, TimeProvider clock)
{
    private const string PagePath = "/try";
    private const int MostBodyBytes = 512;

    private readonly ElevenLabsDialect shared = new();

    /// <summary>What is printed for people to follow: the code stands behind the #, where no server and no log sees it.</summary>
    public static string Link(string httpOrigin, string code) => $"{httpOrigin}{PagePath}#{code}";

    /// <summary>
    /// Where a browser reaches the page: the public address; else plain HTTP, which on the own machine needs no certificate and gives the
    /// microphone too. <paramref name="addresses"/> are those listened on; without them the settings tell, unless the system chose a port.
    /// </summary>
    public static string Origin(PosternOptions options, IReadOnlyList<string> addresses) =>
        options.PublicAddress?.Http
        ?? addresses.FirstOrDefault(one => one.StartsWith("http:", StringComparison.Ordinal)) ?? addresses.FirstOrDefault()
        ?? (options.Http is { Port: not 0 } http ? $"http://{http}" : options.Https is { Port: not 0 } https ? $"https://{https}" : "");

    /// <summary>Maps the page, its files and its calls.</summary>
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(PagePath, context => ShowAsync(context, TryFiles.Page));
        foreach (var name in TryFiles.Names.Where(name => name != TryFiles.Page))
        {
            routes.MapGet($"{PagePath}/{name}", context => ShowAsync(context, name));
        }
        routes.MapGet(PagePath + "/session", TellAsync);
        routes.MapPost(PagePath + "/session", context => GuardAsync(context, BeginAsync));
        routes.MapPost(PagePath + "/mint", context => GuardAsync(context, MintAsync));
        routes.MapPost(PagePath + "/end", context => GuardAsync(context, EndAsync));
    }

    private Task ShowAsync(HttpContext context, string name)
    {
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Policy(address.WebSocketOrigin(context));
        headers["Permissions-Policy"] = "microphone=(self), camera=(), geolocation=()";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        return TryFiles.WriteAsync(context, name);
    }

    /// <summary>The page's Content-Security-Policy: this server alone, and its WebSockets at the address that signed URLs name.</summary>
    internal static string Policy(string webSocketOrigin) =>
        $"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {webSocketOrigin}; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

    private Task TellAsync(HttpContext context) => WriteAsync(context, json => Tell(json, sessions.Find(Cookie(context))));

    private async Task BeginAsync(HttpContext context, JsonElement body)
    {
        if (!body.TryGetProperty("code", out var given) || given.ValueKind != JsonValueKind.String)
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, "The body must be {\"code\": \"…\"}.");
            return;
        }
        var session = sessions.Prepare();
        if (await codes.RedeemAsync(given.GetString()!, session.Key, Caller(context)) is { } reason)
        {
            await mint.RefuseAsync(new Denial(reason, "the code for the page to try it on"), Caller(context), clock.GetUtcNow());
            await RefuseCodeAsync(context, reason);
            return;
        }
        await sessions.EndAsync(Cookie(context));
        context.Response.Cookies.Append(CookieName(context), await sessions.BeginAsync(session), CookieOptions(context, TrySessions.Lifetime));
        await WriteAsync(context, json => Tell(json, session));
    }

    private async Task MintAsync(HttpContext context, JsonElement body)
    {
        var now = clock.GetUtcNow();
        if (sessions.Find(Cookie(context)) is not { } session)
        {
            await Problem.WriteAsync(context, StatusCodes.Status401Unauthorized, "This page's session has ended. `postern try` prints a new link.");
            return;
        }
        if (!session.MayMint(now))
        {
            context.Response.Headers.RetryAfter = "60";
            await Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests, $"{TrySessions.MintsPerMinute} signed URLs a minute are enough to try it: wait a moment.");
            return;
        }
        var request = new MintRequest(session.KeyText, Store.DemoAgent, CredentialKind.SignedUrl, Caller(context))
        {
            StartWithin = Whole(body, "start_within") is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
            Uses = Whole(body, "uses"),
        };
        if ((await mint.MintAsync(request)).IsDenied(out var denial, out var credential))
        {
            await HttpAnswers.WriteAsync(context, shared.Refuse(denial));
            return;
        }
        var agent = directory.Find(Store.DemoAgent)!;
        var answer = shared.For(agent).Write(new Minted(credential, agent, request, address.WebSocketOrigin(context), now));
        await WriteAsync(context, json => Tell(json, session, agent, credential, answer, now));
    }

    private async Task EndAsync(HttpContext context, JsonElement body)
    {
        await sessions.EndAsync(Cookie(context));
        context.Response.Cookies.Delete(CookieName(context), CookieOptions(context, null));
        await WriteAsync(context, json => Tell(json, null));
    }

    // Another site's page can make a browser send a request here, but not say that it comes from here.
    private async Task GuardAsync(HttpContext context, Func<HttpContext, JsonElement, Task> answer)
    {
        if (!ComesFromThePage(context.Request))
        {
            await Problem.WriteAsync(context, StatusCodes.Status403Forbidden, "This call is for the page itself.");
            return;
        }
        if (live.IsClosing)
        {
            context.Response.Headers.RetryAfter = "1";
            await Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "The server is shutting down: try again in a moment.");
            return;
        }
        if (!context.Request.HasJsonContentType())
        {
            await Problem.WriteAsync(context, StatusCodes.Status415UnsupportedMediaType, "The body must be JSON.");
            return;
        }
        context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = MostBodyBytes;
        if (Read(await RequestBody.ReadAsync(context)) is not { } body)
        {
            await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, "The body must be a JSON object of this call.");
            return;
        }
        try
        {
            await answer(context, body);
        }
        catch (Exception e) when (e is StorageException or System.Data.Common.DbException)
        {
            await Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "Not at the moment: try again later."); // an outage denies
        }
    }

    private bool ComesFromThePage(HttpRequest request)
    {
        var site = request.Headers["Sec-Fetch-Site"];
        return (site.Count == 0 || site is ["same-origin"])
            && request.Headers.Origin is [{ } origin]
            && (string.Equals(origin, $"{request.Scheme}://{request.Host.Value}", StringComparison.Ordinal)
                || string.Equals(origin, options.PublicAddress?.Http, StringComparison.Ordinal));
    }

    private async Task RefuseCodeAsync(HttpContext context, DenialReason reason)
    {
        if (limiter.Exceeds(context.Connection.RemoteIpAddress))
        {
            context.Response.Headers.RetryAfter = limiter.RetryAfter.ToString(CultureInfo.InvariantCulture);
            await Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests, "Too many refused links from this address: try again in a minute.");
            return;
        }
        var (status, sentence) = reason == DenialReason.AlreadyUsed ? (StatusCodes.Status410Gone, "This link was used already: each opens the page once.")
            : reason == DenialReason.Expired ? (StatusCodes.Status410Gone, "This link is older than 24 hours.")
            : (StatusCodes.Status404NotFound, "This server did not print this link, or it is not complete.");
        await Problem.WriteAsync(context, status, sentence);
    }

    private static JsonElement? Read(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body, StrictJson.Document);
            var root = document.RootElement.Clone();
            return root.ValueKind == JsonValueKind.Object && root.EnumerateObject().All(IsKnown) ? root : null;
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return null;
        }
    }

    private static bool IsKnown(JsonProperty member) => member.Name switch
    {
        "code" => member.Value.ValueKind == JsonValueKind.String && member.Value.GetString()!.Length <= MostBodyBytes,
        "start_within" or "uses" => member.Value.ValueKind == JsonValueKind.Number && member.Value.TryGetInt32(out _),
        _ => false,
    };

    private static int? Whole(JsonElement body, string name) => body.TryGetProperty(name, out var value) && value.TryGetInt32(out var number) ? number : null;

    private static void Tell(Utf8JsonWriter json, TrySession? session)
    {
        json.WriteBoolean("live"u8, session is not null);
        if (session is not null)
        {
            json.WriteNumber("ends_at"u8, session.EndsAt.ToUnixTimeSeconds());
        }
    }

    private void Tell(Utf8JsonWriter json, TrySession session, Agent agent, Credential credential, HttpAnswer answer, DateTimeOffset now)
    {
        json.WritePropertyName("answer"u8);
        json.WriteRawValue(answer.Body);
        json.WriteNumber("now"u8, now.ToUnixTimeMilliseconds());
        json.WriteString("key"u8, session.Key.Id);
        json.WriteNumber("session_ends_at"u8, session.EndsAt.ToUnixTimeSeconds());
        json.WriteStartObject("agent"u8);
        json.WriteString("id"u8, agent.Id.Value);
        json.WriteString("name"u8, agent.Name);
        json.WriteEndObject();
        json.WriteStartArray("explain"u8);
        var signer = CredentialVerifier.Verify(directory.Ring, credential.Text, credential.Kind, now).IsDenied(out _, out var verified) ? "" : verified.KeyId;
        foreach (var (check, sentence) in TryExplanation.Of(credential.Grant, agent, signer, now))
        {
            json.WriteStartObject();
            json.WriteString("check"u8, check);
            json.WriteString("sentence"u8, sentence);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static Task WriteAsync(HttpContext context, Action<Utf8JsonWriter> members) =>
        HttpAnswers.WriteAsync(context, new HttpAnswer(StatusCodes.Status200OK, JsonText.Object(members)));

    // Behind a proxy that ends TLS the browser is on HTTPS although this request is not.
    private bool IsSecure(HttpContext context) => context.Request.IsHttps || options.PublicAddress is { Secure: true };

    private string CookieName(HttpContext context) => IsSecure(context) ? "__Host-postern-try" : "postern-try";

    private string? Cookie(HttpContext context) => context.Request.Cookies[CookieName(context)];

    private CookieOptions CookieOptions(HttpContext context, TimeSpan? lifetime) =>
        new() { HttpOnly = true, SameSite = SameSiteMode.Strict, Secure = IsSecure(context), Path = "/", MaxAge = lifetime };

    private static string? Caller(HttpContext context) => context.Connection.RemoteIpAddress?.ToString();
}
