using Microsoft.Extensions.Primitives;
using Postern.Core;
using Postern.Core.Credentials;
using Postern.Server.Dialects;
using Postern.Server.Dialects.Algolia;
using Postern.Server.Dialects.Convai;
using Postern.Server.Dialects.ElevenLabs;

namespace Postern.Server.Flow;

/// <summary>Marks the routes that a personal access token may reach; it reaches no other.</summary>
internal sealed class TakesPersonalAccessToken
{
    public static readonly TakesPersonalAccessToken Mark = new();
}

/// <summary>
/// Refuses a personal access token on every route that is not marked for it, unknown ones too, before any work. It stands after the
/// routing, which has decided what a path means: letter case, slashes and percent-encoding cannot tell the two apart (attack B13).
/// </summary>
internal sealed class PersonalAccessTokenGuard(RequestDelegate next, ConnectionGate gate, TimeProvider clock)
{
    private static readonly string Prefix = CredentialKind.PersonalAccessToken.Prefix();

    // Every header that any route reads a credential from.
    private readonly string[] slots = ["Authorization", ElevenLabsDialect.KeyHeader, .. Dialects.Dialects.All.OfType<HttpDialect>().SelectMany(dialect => dialect.CredentialHeaders)];

    public Task InvokeAsync(HttpContext context)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<TakesPersonalAccessToken>() is not null || !Carries(context.Request.Headers))
        {
            return next(context);
        }
        gate.Refuse(new Denial(DenialReason.WrongKind, "a personal access token on " + ((context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "no route")),
            context.Connection.RemoteIpAddress?.ToString(), clock.GetUtcNow());
        return HttpAnswers.WriteAsync(context, AlgoliaPaths.Covers(context.Request.Path) ? AlgoliaDialect.Misplaced : ConvaiDialect.Misplaced);
    }

    private bool Carries(IHeaderDictionary headers)
    {
        foreach (var slot in slots)
        {
            if (headers.TryGetValue(slot, out var values) && Carries(values))
            {
                return true;
            }
        }
        return false;
    }

    private static bool Carries(StringValues values)
    {
        foreach (var value in values)
        {
            for (var at = value?.IndexOf(Prefix, StringComparison.Ordinal) ?? -1; at >= 0; at = value!.IndexOf(Prefix, at + 1, StringComparison.Ordinal))
            {
                // At the beginning of a word: random text of another kind may hold these letters too.
                if (at == 0 || value![at - 1] is ' ' or '\t' or ',' or '"')
                {
                    return true;
                }
            }
        }
        return false;
    }
}
