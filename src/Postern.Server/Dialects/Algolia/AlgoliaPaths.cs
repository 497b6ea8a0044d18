using Postern.Server.Flow;

namespace Postern.Server.Dialects.Algolia;

/// <summary>
/// What all of the vendor's paths have in common: pages of any origin may call them and read the answers, errors too, and an address
/// such as <c>/x.algolia.net/agent-studio/…</c>, which clients make of the application id <c>HOST:PORT/x</c>, means <c>/agent-studio/…</c>.
/// </summary>
internal static class AlgoliaPaths
{
    private const string Root = "/agent-studio/";
    private const string Domain = ".algolia.net" + Root;

    /// <summary>What stood before <c>.algolia.net</c> in the path; null when nothing did.</summary>
    public static string? Prefix(WireRequest request) => request.PathBase.Length == 0 ? null : request.PathBase[1..^(Domain.Length - Root.Length)];

    /// <summary>Whether a path is one of the vendor's; its clients may pack their bodies.</summary>
    public static bool Covers(PathString path) => path.StartsWithSegments(Root[..^1], StringComparison.OrdinalIgnoreCase);

    /// <summary>The same for a request line whose path could not be read.</summary>
    public static bool CoversRaw(string target) => target.StartsWith(Root, StringComparison.OrdinalIgnoreCase) || target.Contains(Domain, StringComparison.Ordinal);

    /// <summary>Pages of any origin may read the answer.</summary>
    public static void OpenToPages(IHeaderDictionary headers) => headers.AccessControlAllowOrigin = "*";

    /// <summary>Before anything else that may answer: the browser shows a page nothing of an answer without these headers.</summary>
    public static void Use(IApplicationBuilder app) => app.Use((context, next) =>
    {
        var path = context.Request.Path.Value ?? "";
        if (path.IndexOf(Domain, StringComparison.Ordinal) is var at and > 0)
        {
            context.Request.PathBase = path[..(at + Domain.Length - Root.Length)];
            context.Request.Path = path[(at + Domain.Length - Root.Length)..];
        }
        if (Covers(context.Request.Path))
        {
            context.Response.OnStarting(static state =>
            {
                OpenToPages(((HttpContext)state).Response.Headers);
                return Task.CompletedTask;
            }, context);
        }
        return next(context);
    });

    /// <summary>Preflights, which carry no credential and are answered before any is looked at, and what is not offered.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapMethods(Root + "{**rest}", [HttpMethods.Options], Preflight);
        routes.Map(Root + "{**rest}", static context => HttpAnswers.WriteAsync(context, Wire.Error(404, "Postern does not offer this path or method of the vendor's API.")));
    }

    private static Task Preflight(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers.AccessControlAllowMethods = "GET, POST, PATCH, PUT, DELETE, OPTIONS";
        headers.AccessControlAllowHeaders = "*";
        headers.AccessControlMaxAge = "7200";
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }
}
