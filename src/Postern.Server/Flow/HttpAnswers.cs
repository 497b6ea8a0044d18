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
        return response.BodyWriter.WriteAsync(answer.Body, context.RequestAborted).AsTask();
    }
}
