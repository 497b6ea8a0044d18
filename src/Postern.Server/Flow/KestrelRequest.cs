using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http.Features;

namespace Postern.Server.Flow;

/// <summary>
/// What Kestrel keeps of a request for as long as its connection lives, so as to use the texts again for the next: after an upgrade
/// there is none, and the query may hold the credential.
/// </summary>
internal static class KestrelRequest
{
    private const string Connection = "Microsoft.AspNetCore.Server.Kestrel.Core.Internal.Http.Http1Connection, Microsoft.AspNetCore.Server.Kestrel.Core";

    /// <summary>Forgets query, headers and target, the server's own copies too.</summary>
    public static void Forget(HttpRequest request)
    {
        var feature = request.HttpContext.Features.GetRequiredFeature<IHttpRequestFeature>();
        request.Query = QueryCollection.Empty;
        request.Headers.Clear();
        feature.RawTarget = "";
        try
        {
            if (HttpProtocol.IsHttp11(request.Protocol)) ForgetCopies(feature);
        }
        catch (Exception e) when (e is MissingFieldException or TypeLoadException)
        {
            // Another Kestrel than this was built for: its copies live as long as the connection. A test notices.
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void ForgetCopies(IHttpRequestFeature connection) => Target(connection) = Query(connection) = null;

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_parsedRawTarget")]
    private static extern ref string? Target([UnsafeAccessorType(Connection)] object connection);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_parsedQueryString")]
    private static extern ref string? Query([UnsafeAccessorType(Connection)] object connection);
}
