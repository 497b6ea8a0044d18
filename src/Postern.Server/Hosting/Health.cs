using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Hosting;

/// <summary>Whether the process lives, and whether it should be sent requests.</summary>
internal static class Health
{
    /// <summary>An older view of keys and agents than this is not to be decided by.</summary>
    public static readonly TimeSpan OldestView = TimeSpan.FromSeconds(5);

    public static void Map(IEndpointRouteBuilder routes, Store store, LiveSessions live, TimeProvider clock)
    {
        routes.MapGet("/health/live", context => AnswerAsync(context, null));
        routes.MapGet("/health/ready", context => AnswerAsync(context,
            live.IsClosing ? "shutting down"
            : clock.GetUtcNow() - store.Feed.FreshAt > OldestView ? "the database has not answered for 5 seconds" : null));
    }

    private static Task AnswerAsync(HttpContext context, string? problem)
    {
        context.Response.StatusCode = problem is null ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(problem ?? "ok");
    }
}
