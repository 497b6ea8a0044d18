using System.Diagnostics;
using Microsoft.AspNetCore.Http.Features;
using Postern.Server.Dialects.Algolia;

namespace Postern.Server.Hosting;

/// <summary>
/// A request that the server itself cannot read, such as one with <c>%00</c> in its path, gets a bare 400 before any of ours runs, of which
/// a browser shows its page nothing. The event that Kestrel publishes for it comes too early for a body, and in time for the head.
/// </summary>
internal sealed class RejectedRequests : IObserver<KeyValuePair<string, object?>>
{
    private const string Event = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";
    private const string Sentence = "The request could not be read: a path is percent-encoded UTF-8 without NUL";

    /// <summary>Listens for as long as the application lives.</summary>
    public static void Watch(WebApplication app)
    {
        var watching = app.Services.GetRequiredService<DiagnosticListener>().Subscribe(new RejectedRequests(), static name => name == Event);
        app.Lifetime.ApplicationStopped.Register(watching.Dispose);
    }

    public void OnNext(KeyValuePair<string, object?> value)
    {
        if (value.Value is IFeatureCollection features && features.Get<IHttpRequestFeature>() is { RawTarget: { } target } && AlgoliaPaths.CoversRaw(target)
            && features.Get<IHttpResponseFeature>() is { HasStarted: false, StatusCode: StatusCodes.Status400BadRequest } response)
        {
            AlgoliaPaths.OpenToPages(response.Headers);
            response.ReasonPhrase = Sentence;
            response.Headers.ContentLength = 0;
            response.Headers.Connection = "close";
            _ = features.Get<IHttpResponseBodyFeature>()!.StartAsync(); // else Kestrel sets its own head anew
        }
    }

    public void OnCompleted() { }

    public void OnError(Exception error) { }
}
