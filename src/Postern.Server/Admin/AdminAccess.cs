using System.Buffers;
using System.Data.Common;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Admin;

/// <summary>What every route of Postern's own API has in common: an API key with the scope admin, and refusals as RFC 9457 has them.</summary>
internal sealed class AdminAccess(Core.Directory directory, LiveSessions live, RefusalLimiter limiter)
{
    private const string KeyHeader = "xi-api-key";
    private const string Scheme = "Bearer ";

    /// <summary>A handler that runs for a key that holds only.</summary>
    public RequestDelegate For(Func<HttpContext, ApiKey, Task> handler) => async context =>
    {
        if (live.IsClosing)
        {
            context.Response.Headers.RetryAfter = "1";
            await Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "The server is shutting down: nothing was changed, try again.");
            return;
        }
        if (Verify(context.Request.Headers).IsDenied(out var denial, out var key))
        {
            await RefuseAsync(context, denial);
            return;
        }
        if (HttpMethods.IsPut(context.Request.Method) && !context.Request.HasJsonContentType())
        {
            await Problem.WriteAsync(context, StatusCodes.Status415UnsupportedMediaType, "Send the body as application/json.");
            return;
        }
        try
        {
            await handler(context, key);
        }
        catch (Exception e) when (e is StorageException or DbException)
        {
            context.Response.Headers.RetryAfter = "1";
            await Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "The database does not answer: try again.");
        }
    };

    /// <summary>The body as a strict record: a member too many, twice or of another type is a refusal that names the rule.</summary>
    public static async Task<T?> ReadAsync<T>(HttpContext context) where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(await RequestBody.ReadAsync(context), JsonSerializerOptions.Strict);
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return null;
        }
    }

    /// <summary>Answers 200 with one object.</summary>
    public static async Task AnswerAsync(HttpContext context, Action<Utf8JsonWriter> members)
    {
        var body = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.WrittenCount;
        await context.Response.Body.WriteAsync(body.WrittenMemory, context.RequestAborted);
    }

    private Decision<ApiKey> Verify(IHeaderDictionary headers)
    {
        var (own, bearer) = (headers[KeyHeader], headers.Authorization);
        if (own.Count + bearer.Count > 1)
        {
            return new Denial(DenialReason.ConflictingCredentials);
        }
        return directory.Verify(bearer is [{ } text] ? text.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? text[Scheme.Length..] : "" : own, Scopes.Admin);
    }

    private Task RefuseAsync(HttpContext context, Denial denial)
    {
        if (limiter.Exceeds(context.Connection.RemoteIpAddress, denial))
        {
            context.Response.Headers.RetryAfter = $"{limiter.RetryAfter}";
            return Problem.WriteAsync(context, StatusCodes.Status429TooManyRequests, "Too many refused requests from this address: try again in a minute.");
        }
        if (denial.Reason == DenialReason.ScopeMissing)
        {
            return Problem.WriteAsync(context, StatusCodes.Status403Forbidden, $"The API key lacks the scope {denial.Detail}.");
        }
        if (denial.Reason == DenialReason.WrongKind)
        {
            return Problem.WriteAsync(context, StatusCodes.Status403Forbidden, "This is a credential for conversations: only an API key with the scope admin is taken here.");
        }
        context.Response.Headers.WWWAuthenticate = "Bearer";
        return Problem.WriteAsync(context, StatusCodes.Status401Unauthorized, "Send one API key with the scope admin, as Authorization: Bearer or as xi-api-key.");
    }
}
