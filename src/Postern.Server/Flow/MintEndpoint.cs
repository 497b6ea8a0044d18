using Postern.Core;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Server.Dialects;
using Postern.Server.Hosting;
using Postern.Server.Media;
using Postern.Server.Storage;

namespace Postern.Server.Flow;

/// <summary>Answers the routes of all dialects on which credentials are minted, inspected, extended and revoked: read, do, write.</summary>
internal sealed class MintEndpoint(CredentialMint mint, Core.Directory directory, ServerAddress address, MediaRooms media, LiveSessions live, RefusalLimiter limiter, PosternOptions options, TimeProvider clock)
{
    private readonly Func<MintRequest, Task<Decision<Credential>>> mintOne = mint.MintAsync;

    /// <summary>Maps a dialect's routes.</summary>
    public void Map(IEndpointRouteBuilder routes, Dialect dialect)
    {
        foreach (var route in dialect.Mints)
        {
            routes.MapMethods(route.Path, [route.Method], ExactPath.Only(route.Path, context => MintAsync(context, dialect, route)));
        }
        foreach (var route in dialect.Changes)
        {
            routes.MapMethods(route.Path, [route.Method], context => ChangeAsync(context, dialect, route));
        }
    }

    private async Task MintAsync(HttpContext context, Dialect dialect, MintRoute route)
    {
        if (route.OpenToPages)
        {
            context.Response.Headers.AccessControlAllowOrigin = "*";
        }
        var wire = await ReadAsync(context);
        var read = route.Read(wire);
        _ = read.IsDenied(out _, out var request);
        var decision = await DecideAsync(context, read, mintOne);
        if (decision.IsDenied(out var refusal, out var credential))
        {
            await RefuseAsync(context, dialect, refusal);
            return;
        }
        var agent = credential.Grant.Agent is { } id ? directory.Find(id) : null;
        var speaker = agent is null ? dialect : dialect.For(agent);
        var minted = new Minted(credential, agent, request!, address.WebSocketOrigin(context), clock.GetUtcNow());
        await HttpAnswers.WriteAsync(context, route.Write is { } write ? write(minted, wire) : speaker.Write(minted));
    }

    private async Task ChangeAsync(HttpContext context, Dialect dialect, ChangeRoute route)
    {
        var read = route.Read(await ReadAsync(context));
        _ = read.IsDenied(out _, out var request);
        var decision = await DecideAsync(context, read, wanted => ChangeAsync(route.Verb, wanted));
        await (decision.IsDenied(out var refusal, out var stored) ? RefuseAsync(context, dialect, refusal) : HttpAnswers.WriteAsync(context, route.Write(request!, stored)));
    }

    private Task<Decision<StoredCredential>> ChangeAsync(CredentialVerb verb, ChangeRequest request)
    {
        var find = request.Text is { } text ? mint.ByText(text) : mint.ById(request.Id ?? "");
        return verb switch
        {
            CredentialVerb.Inspect => mint.InspectAsync(request.Key, find),
            CredentialVerb.Extend => mint.ExtendAsync(request.Key, find, request.Address),
            CredentialVerb.Revoke => RevokeAsync(request, find),
            _ => throw new ArgumentOutOfRangeException(nameof(verb)),
        };
    }

    private async Task<Decision<StoredCredential>> RevokeAsync(ChangeRequest request, Func<ApiKey, Task<StoredCredential?>> find)
    {
        var decision = await mint.RevokeAsync(request.Key, find, request.Address);
        if (!decision.IsDenied(out _, out var stored) && stored is { Kind: CredentialKind.ConversationToken, Grant: { Agent: { } id, ConversationId: { } room } } && directory.Find(id)?.Media is { } server)
        {
            _ = media.CloseAsync(server, room); // its session runs elsewhere, out of the leash's reach
        }
        return decision;
    }

    private Task RefuseAsync(HttpContext context, Dialect dialect, Denial denial) => HttpAnswers.WriteAsync(context, dialect.Refuse(
        limiter.Exceeds(context.Connection.RemoteIpAddress, denial) ? new Denial(DenialReason.TooManyRefusals, $"{limiter.RetryAfter}") : denial));

    private async ValueTask<WireRequest> ReadAsync(HttpContext context) => WireRequest.From(context, body: await RequestBody.ReadAsync(context), options: options);

    private async Task<Decision<T>> DecideAsync<TRequest, T>(HttpContext context, Decision<TRequest> read, Func<TRequest, Task<Decision<T>>> decide)
        where TRequest : class where T : class
    {
        try
        {
            return live.IsClosing ? await mint.RefuseAsync(new Denial(DenialReason.ShuttingDown), context.Connection.RemoteIpAddress?.ToString(), clock.GetUtcNow())
                : read.IsDenied(out var denial, out var request)
                ? await mint.RefuseAsync(denial, context.Connection.RemoteIpAddress?.ToString(), clock.GetUtcNow())
                : await decide(request);
        }
        catch (Exception e) when (e is StorageException or System.Data.Common.DbException)
        {
            return new Denial(DenialReason.Unavailable); // an outage denies
        }
    }
}
