using Postern.Server.Dialects;

namespace Postern.Server.Flow;

/// <summary>Writes complete answers.</summary>
internal static class HttpAnswers
{
    public static Task WriteAsync(HttpContext context, HttpAnswer answer)
    {
        var response = context.Response;
        response.StatusCode = answer.Status;
        foreach (var (name, value) in answer.Headers)
        {
            response.Headers[name] = value;
        }
        if (answer.Body.Length == 0)
        {
            return Task.CompletedTask;
        }
        response.ContentType = answer.ContentType;
        response.ContentLength = answer.Body.Length;
        // Without the request's token, which the server would have to make for it: a write to a connection that is gone ends by itself.
        return response.BodyWriter.WriteAsync(answer.Body, CancellationToken.None).AsTask();
    }
}
