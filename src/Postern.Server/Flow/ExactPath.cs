using Microsoft.AspNetCore.Http.Features;
using Postern.Server.Hosting;

namespace Postern.Server.Flow;

/// <summary>
/// Routes on which credentials are minted or presented answer to their path byte for byte (attack B3): the framework's matching folds
/// case, resolves dots, decodes, and takes a slash at the end, so that a filter in front of this server could be read past.
/// </summary>
internal static class ExactPath
{
    /// <summary>The handler, for requests whose path as sent is <paramref name="path"/>; 404 for every other spelling.</summary>
    public static RequestDelegate Only(string path, RequestDelegate handler) => context =>
        Matches(context.Features.Get<IHttpRequestFeature>()!.RawTarget, path) ? handler(context) : Problem.WriteAsync(context, StatusCodes.Status404NotFound, "There is nothing here.");

    private static bool Matches(string target, string path) =>
        target.StartsWith(path, StringComparison.Ordinal) && (target.Length == path.Length || target[path.Length] == '?');
}
