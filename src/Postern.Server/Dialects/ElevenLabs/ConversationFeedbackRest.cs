using System.Text.Json;
using Postern.Core;
using Postern.Server.Agents;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>
/// What a page may do with a conversation that it has held: say what its user thinks of it. Needs no key; who knows the id, which nobody
/// guesses, took part. Files cannot be brought along, and the answer says so where the page can read it.
/// </summary>
internal sealed class ConversationFeedbackRest(ConversationStore store, RefusalLimiter limiter)
{
    private const string Path = "/v1/convai/conversations/{id}";
    private const int LongestComment = 4000;
    private const int BestRating = 10;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost(Path + "/feedback", Open(FeedbackAsync));
        routes.MapPost(Path + "/files", Open(static _ => Task.FromResult(Wire.Error(400, "invalid_request", "file_input_not_available", "file_input_not_available",
            "File input is not available: agents here take text and sound only."))));
        foreach (var path in new[] { Path + "/feedback", Path + "/files" })
        {
            routes.MapMethods(path, [HttpMethods.Options], RestAccess.Answering(static _ => Task.FromResult(OpenToPages.Preflight("POST"))));
        }
    }

    private static RequestDelegate Open(Func<HttpContext, Task<HttpAnswer>> handler) => async context =>
    {
        HttpAnswer answer;
        try
        {
            answer = await handler(context);
        }
        catch (Exception e) when (e is StorageException or System.Data.Common.DbException)
        {
            answer = Refusals.Answer(new Denial(DenialReason.Unavailable));
        }
        await HttpAnswers.WriteAsync(context, OpenToPages.Allow(answer));
    };

    private async Task<HttpAnswer> FeedbackAsync(HttpContext context)
    {
        var body = await RestBody.ReadAsync(context, large: false);
        if (body.Refusal is not null)
        {
            return body.Refusal;
        }
        var (feedback, problems) = Read(body.Json);
        if (problems.Count > 0)
        {
            return Wire.Invalid(problems);
        }
        var id = context.Request.RouteValues["id"] as string ?? "";
        if (AgentIdText.IsValid(id) && await store.RateAsync(id, feedback))
        {
            return Wire.Json(200, static json => json.WriteString("status"u8, "ok"));
        }
        return limiter.Exceeds(context.Connection.RemoteIpAddress)
            ? Refusals.Answer(new Denial(DenialReason.TooManyRefusals, $"{limiter.RetryAfter}"))
            : RestAccess.Unknown(id);
    }

    private static (ConversationFeedback Feedback, IReadOnlyList<FieldProblem> Problems) Read(JsonElement? body)
    {
        var problems = new List<FieldProblem>();
        if (body is not { ValueKind: JsonValueKind.Object } json)
        {
            return (new(null, null, null), [FieldProblem.Missing("body")]);
        }
        var verdict = Text(json, "feedback", problems);
        if (verdict is not (null or "like" or "dislike"))
        {
            problems.Add(FieldProblem.Value("Input should be one of: like, dislike", "body", "feedback"));
        }
        var comment = Text(json, "comment", problems);
        if (comment is { Length: > LongestComment })
        {
            problems.Add(FieldProblem.Value($"Input should be a text of at most {LongestComment} characters", "body", "comment"));
        }
        int? rating = null;
        if (Given(json, "rating") is { } number)
        {
            if (number.ValueKind == JsonValueKind.Number && number.TryGetInt32(out var value) && value is >= 0 and <= BestRating)
            {
                rating = value;
            }
            else
            {
                problems.Add(FieldProblem.Value($"Input should be a number from 0 to {BestRating}", "body", "rating"));
            }
        }
        if (verdict is null && rating is null && comment is null && problems.Count == 0)
        {
            problems.Add(FieldProblem.Missing("body", "feedback"));
        }
        return (new(verdict, rating, comment?.Replace('\0', ' ')), problems);
    }

    private static string? Text(JsonElement json, string name, List<FieldProblem> problems)
    {
        if (Given(json, name) is not { } text)
        {
            return null;
        }
        if (text.ValueKind == JsonValueKind.String)
        {
            return text.GetString();
        }
        problems.Add(FieldProblem.Value("Input should be a valid string", "body", name));
        return null;
    }

    private static JsonElement? Given(JsonElement json, string name) => AgentDocument.Member(json, name) is { ValueKind: not JsonValueKind.Null } given ? given : null;
}
