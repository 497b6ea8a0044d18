using Postern.Core;
using Postern.Core.Conversations;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Algolia;

/// <summary>Feedback on one answer (contract, section 1). Pages send it without the user token; then only who has heard an answer knows its id.</summary>
internal sealed class FeedbackRest(AlgoliaAccess access, VoteStore votes, Core.Directory directory, TimeProvider clock)
{
    private const int MostTags = 10;
    private const int LongestTag = 50;
    private const int LongestNotes = 1000;
    private const int LongestId = 256;

    public void Map(IEndpointRouteBuilder routes) => routes.MapPost("/agent-studio/1/feedback", access.Answering(CreateAsync));

    private async Task<Decision<HttpAnswer>> CreateAsync(HttpContext context)
    {
        if (access.Verify(context, Scopes.Converse).IsDenied(out var denial, out var caller) || JsonForm.Read(await RequestBody.ReadAsync(context)).IsDenied(out denial, out var form))
        {
            return denial;
        }
        var (message, named) = (form.Needed("messageId", LongestId), form.Needed("agentId", LongestId));
        var value = form.Number("vote", 0, 1);
        var text = new VoteText(form.Texts("tags", MostTags, LongestTag) ?? [], form.Text("notes", LongestNotes));
        if (value is null)
        {
            form.Refuse("vote", "Field required");
        }
        if (form.Problem is { } problem)
        {
            return problem;
        }
        if (access.Find(context, directory, caller, named, "body agentId").IsDenied(out denial, out var agent))
        {
            return denial;
        }
        return ClientId.IsValid(message) && await votes.PutAsync(caller.Project, agent.Id, caller.Token?.Subject, message, value!.Value, text, clock.GetUtcNow()) is { } vote
            ? Wire.Json(201, json => ConversationAnswers.WriteMembers(json, agent.Uuid, vote))
            : Wire.Error(404, "Message not found", "This agent has given no answer of this id.");
    }
}
