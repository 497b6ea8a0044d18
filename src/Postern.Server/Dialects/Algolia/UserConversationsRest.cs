using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Conversations;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Algolia;

/// <summary>
/// The conversations of the contract (sections 1 and 10). With a user token every route sees that user's own alone; another user's id
/// takes the same queries and gets the same answer as one that there is not.
/// </summary>
internal sealed class UserConversationsRest(AlgoliaAccess access, ConversationStore store, VoteStore votes, Core.Directory directory, TimeProvider clock)
{
    private const string Path = "/agent-studio/1/agents/{agent}/conversations";
    private const int PageSize = 20;

    /// <summary>What stands in the place of a conversation's id where all of them are asked for.</summary>
    public const string Export = "export";

    private const int ExportedAtOnce = 50;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(Path, access.Answering(List));
        routes.MapDelete(Path, access.Answering(DeleteManyAsync));
        routes.MapGet($"{Path}/{Export}", ExportAsync);
        routes.MapGet(Path + "/{id}", access.Answering(Show));
        routes.MapDelete(Path + "/{id}", access.Answering(DeleteAsync));
    }

    private Decision<HttpAnswer> List(HttpContext context)
    {
        if (Verify(context, withUser: true).IsDenied(out var denial, out var scope))
        {
            return denial;
        }
        var query = new QueryForm(context.Request.Query);
        var (listing, feedback) = (scope.Listing(query), query.Flag("includeFeedback"));
        listing = listing with { Vote = query.Choice("feedbackVote", 0, 1) };
        if (listing.Vote is not null && !feedback)
        {
            query.Refuse("feedbackVote", "Needs includeFeedback=true");
        }
        if (query.Problem is { } problem || Paging.Read(context, PageSize).IsDenied(out problem, out var page))
        {
            return problem;
        }
        var (rows, total) = store.List(listing with { Limit = page.Limit, Offset = page.Offset });
        return page.Answer(rows, total, (json, row) => ConversationAnswers.WriteMembers(json, scope.Uuid, row, null, feedback ? votes.Read(row) : null));
    }

    private Decision<HttpAnswer> Show(HttpContext context)
    {
        if (Verify(context, withUser: true).IsDenied(out var denial, out var scope))
        {
            return denial;
        }
        var query = new QueryForm(context.Request.Query);
        var (found, feedback) = (Find(context, scope, query), query.Flag("includeFeedback"));
        if (query.Problem is { } problem)
        {
            return problem;
        }
        return found is [var row]
            ? Wire.Json(200, json => ConversationAnswers.WriteMembers(json, scope.Uuid, row, store.ReadMessages(row), feedback ? votes.Read(row) : null))
            : NotOne(found);
    }

    private async Task<Decision<HttpAnswer>> DeleteAsync(HttpContext context)
    {
        if (Verify(context, withUser: false).IsDenied(out var denial, out var scope))
        {
            return denial;
        }
        var query = new QueryForm(context.Request.Query);
        var found = Find(context, scope, query);
        if (query.Problem is { } problem)
        {
            return problem;
        }
        return found is [var row] && await store.DeleteAsync(row, scope.KeyId, clock.GetUtcNow()) ? new HttpAnswer(204, []) : NotOne(found.Count > 1 ? found : []);
    }

    private async Task<Decision<HttpAnswer>> DeleteManyAsync(HttpContext context)
    {
        if (Verify(context, withUser: false).IsDenied(out var denial, out var scope))
        {
            return denial;
        }
        var query = new QueryForm(context.Request.Query);
        var listing = scope.Listing(query);
        if (query.Problem is { } problem)
        {
            return problem;
        }
        if (listing.From is null && listing.Before is null)
        {
            return Wire.Error(400, "At least one filter is required.", "Give startDate, endDate or both as YYYY-MM-DD.");
        }
        await store.DeleteAsync(listing, scope.KeyId, clock.GetUtcNow());
        return new HttpAnswer(204, []);
    }

    // Written as it is read: nobody knows how much there is.
    private async Task ExportAsync(HttpContext context)
    {
        if (Verify(context, withUser: false).IsDenied(out var denial, out var scope))
        {
            await HttpAnswers.WriteAsync(context, access.Refuse(context, denial));
            return;
        }
        var query = new QueryForm(context.Request.Query);
        var listing = scope.Listing(query) with { Limit = ExportedAtOnce };
        if (query.Problem is { } problem)
        {
            await HttpAnswers.WriteAsync(context, access.Refuse(context, problem));
            return;
        }
        List<ConversationRow> rows;
        try
        {
            rows = store.ListBySeq(listing, after: 0);
        }
        catch (StorageException)
        {
            await HttpAnswers.WriteAsync(context, access.Refuse(context, new Denial(DenialReason.Unavailable)));
            return;
        }
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
        json.WriteStartArray();
        for (; rows.Count > 0; rows = store.ListBySeq(listing, rows[^1].Seq))
        {
            foreach (var row in rows)
            {
                json.WriteStartObject();
                ConversationAnswers.WriteMembers(json, scope.Uuid, row, store.ReadMessages(row), null);
                json.WriteEndObject();
                await json.FlushAsync(context.RequestAborted);
                await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
                await SocketThread.LeaveAsync();
            }
        }
        json.WriteEndArray();
        await json.FlushAsync(context.RequestAborted);
    }

    private Decision<ConversationScope> Verify(HttpContext context, bool withUser)
    {
        var named = AlgoliaAccess.Agent(context.Request.RouteValues["agent"] as string);
        return access.Verify(context, Scopes.ConversationsRead, named, withUser ? Scopes.Converse : null).IsDenied(out var denial, out var caller) ? denial
            : directory.Find(caller.Project, named) is not { } agent ? new Denial(DenialReason.AgentUnknown, named.Value)
            : new ConversationScope(caller.Project, agent.Id, agent.Uuid, caller.Token?.Subject, caller.Key.Id);
    }

    // What can be no id is as unknown as one that there is not.
    private List<ConversationRow> Find(HttpContext context, ConversationScope scope, QueryForm query) =>
        RawSegment.Last(context) is { } id && ClientId.IsValid(id) ? store.Find(scope.Project, scope.Agent, scope.Subject ?? query.User, id) : [];

    private static Decision<HttpAnswer> NotOne(IReadOnlyList<ConversationRow> found) => found.Count == 0
        ? new Denial(DenialReason.ConversationUnknown)
        : Wire.Error(409, "Conversation id is not unique", "Several users have a conversation of this id: name one by the query parameter userToken; empty is the anonymous one.");

    /// <summary>What a request may see.</summary>
    /// <param name="Subject">The user token's; null without one.</param>
    private sealed record ConversationScope(ProjectId Project, AgentId Agent, string Uuid, string? Subject, string KeyId)
    {
        // A token wins over what the query asks for: it narrows, whatever the key may do.
        public ConversationListing Listing(QueryForm query) => new(Project, Agent) { Subject = Subject ?? query.User, From = query.From, Before = query.Before };
    }
}
