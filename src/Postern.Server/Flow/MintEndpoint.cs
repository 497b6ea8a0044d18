using Postern.Core;
using Postern.Server.Dialects;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Flow;

/// <summary>Answers the mint routes of all dialects: read, mint, write.</summary>
internal sealed class MintEndpoint(CredentialMint mint, Core.Directory directory, ServerAddress address, RefusalLimiter limiter, TimeProvider clock)
{
    /// <summary>Maps a dialect's mint routes.</summary>
    public void Map(IEndpointRouteBuilder routes, Dialect dialect)
    {
        foreach (var route in dialect.Mints)
        {
            routes.MapMethods(route.Path, [route.Method], context => AnswerAsync(context, dialect, route));
        }
    }

    private async Task AnswerAsync(HttpContext context, Dialect dialect, MintRoute route)
    {
        var body = await RequestBody.ReadAsync(context);
        var decision = await MintAsync(route.Read(WireRequest.From(context, body: body)), context);
        if (decision.IsDenied(out var denial, out var credential))
        {
            if (limiter.Exceeds(context.Connection.RemoteIpAddress))
            {
                denial = new Denial(DenialReason.TooManyRefusals, $"{limiter.RetryAfter}");
            }
            await HttpAnswers.WriteAsync(context, dialect.Refuse(denial));
            return;
        }
        var speaker = credential.Grant.Agent is { } id && directory.Find(id) is { } agent ? dialect.For(agent) : dialect;
        await HttpAnswers.WriteAsync(context, speaker.Write(credential, address.WebSocketOrigin(context)));
    }

    private async Task<Decision<Core.Credentials.Credential>> MintAsync(Decision<MintRequest> read, HttpContext context)
    {
        try
        {
            return read.IsDenied(out var denial, out var request)
                ? await mint.RefuseAsync(denial, context.Connection.RemoteIpAddress?.ToString(), clock.GetUtcNow())
                : await mint.MintAsync(request);
        }
        catch (StorageException)
        {
            return new Denial(DenialReason.Unavailable); // an outage denies
        }
    }
}
