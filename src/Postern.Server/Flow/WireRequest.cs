using Microsoft.Extensions.Primitives;

namespace Postern.Server.Flow;

/// <summary>What a dialect sees of a request: facts, nothing that can act. A value that came twice is null and named in <see cref="Repeated"/>.</summary>
/// <param name="Address">The client's network address.</param>
/// <param name="Protocols">What Sec-WebSocket-Protocol offers, in order.</param>
/// <param name="Body">The body of a POST; empty otherwise.</param>
internal sealed record WireRequest(
    IQueryCollection Query, IHeaderDictionary Headers, string? Address, IReadOnlyList<string> Protocols, ReadOnlyMemory<byte> Body)
{
    private static readonly PosternOptions Unset = new();

    /// <summary>The values of the route's own parameters.</summary>
    public RouteValueDictionary Route { get; init; } = [];

    /// <summary>What stood in the path before that of the route; empty as a rule.</summary>
    public string PathBase { get; init; } = "";

    /// <summary>The fields of a form; null when the body is none.</summary>
    public IFormCollection? Form { get; init; }

    /// <summary>The settings: names that they give to agents, and what they say for want of a request's word.</summary>
    public PosternOptions Options { get; init; } = Unset;

    /// <summary>The facts of <paramref name="context"/>.</summary>
    public static WireRequest From(
        HttpContext context, IReadOnlyList<string>? protocols = null, ReadOnlyMemory<byte> body = default, PosternOptions? options = null) =>
        new(context.Request.Query, context.Request.Headers, context.Connection.RemoteIpAddress?.ToString(), protocols ?? [], body) { Route = context.Request.RouteValues, PathBase = context.Request.PathBase.Value ?? "", Options = options ?? Unset };

    /// <summary>A header's value; null when absent.</summary>
    public string? Header(string name) => Single(Headers[name]);

    /// <summary>A query parameter's value; null when absent. Names are case-insensitive, so <c>?SIG=a&amp;sig=b</c> counts as two.</summary>
    public string? Parameter(string name) => Single(Query[name]);

    /// <summary>The first of these headers and parameters that came more than once: an attacker's way to be read in two ways.</summary>
    public string? Repeated(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (Query[name].Count > 1 || Headers[name].Count > 1)
            {
                return name;
            }
        }
        return null;
    }

    private static string? Single(StringValues values) => values.Count == 1 ? values[0] : null;
}
