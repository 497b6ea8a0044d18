using System.Data.Common;
using Postern.Core;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>What every REST route of the vendor has in common: the key, the words of a refusal, and an outage that is no 500. A server that stops takes on nothing new.</summary>
internal sealed class RestAccess(Core.Directory directory, LiveSessions live, RefusalLimiter limiter)
{
    /// <summary>The key in the vendor's header, or why it does not do.</summary>
    public Decision<ApiKey> Verify(HttpContext context, Scopes scope) =>
        live.IsClosing ? new Denial(DenialReason.ShuttingDown)
        : context.Request.Headers[ElevenLabsDialect.KeyHeader].Count > 1
            ? new Denial(DenialReason.RequestInvalid, $"header {ElevenLabsDialect.KeyHeader}: Must be given once")
            : directory.Verify(context.Request.Headers[ElevenLabsDialect.KeyHeader], scope);

    /// <summary>The refusal in the vendor's words; whoever tries keys is slowed down.</summary>
    public HttpAnswer Refuse(HttpContext context, Denial denial)
    {
        if (denial.Reason is not (DenialReason.RequestInvalid or DenialReason.AgentUnknown) && limiter.Exceeds(context.Connection.RemoteIpAddress, denial))
        {
            return Refusals.Answer(new Denial(DenialReason.TooManyRefusals, $"{limiter.RetryAfter}"));
        }
        return Refusals.Answer(denial.Reason == DenialReason.KeyMissing && context.Request.Headers.Authorization.Count > 0 ? denial with { Detail = Refusals.OtherHeader } : denial);
    }

    /// <summary>The same text whether the agent never was or is another project's.</summary>
    public static HttpAnswer Unknown(string id) =>
        Refusals.Answer(new Denial(DenialReason.AgentUnknown, AgentIdText.IsValid(id) ? id : "of this form"));

    /// <summary>A handler of a route: an outage of the database denies.</summary>
    public static RequestDelegate Answering(Func<HttpContext, Task<HttpAnswer>> handler) => async context =>
    {
        HttpAnswer answer;
        try
        {
            answer = await handler(context);
        }
        catch (Exception e) when (e is StorageException or DbException)
        {
            answer = Refusals.Answer(new Denial(DenialReason.Unavailable));
        }
        await HttpAnswers.WriteAsync(context, answer);
    };
}
