using Postern.Core.Agents;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>The conversations REST of both vendors (contract, section 8), for whoever holds a key: what was said belongs to its project.</summary>
internal sealed class ConversationsRest(RestAccess access, ConversationStore store, Cursors cursors, Core.Directory directory, ServerAddress address, TimeProvider clock)
{
    private const string Path = "/v1/convai/conversations";
    private const string Users = "users";

    // What the list of users goes on from: their id, and before it which of the two lists.
    private const string Bound = "b";
    private const string Claimed = "c";

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(Path, RestAccess.Answering(ListAsync));
        routes.MapGet(Path + "/{id}", RestAccess.Answering(ShowAsync));
        routes.MapDelete(Path + "/{id}", RestAccess.Answering(DeleteAsync));
        routes.MapGet(Path + "/{id}/audio", RestAccess.Answering(AudioAsync));
        routes.MapGet(Path + "/{id}/summary", RestAccess.Answering(SummaryAsync));
        routes.MapGet("/v1/convai/users", RestAccess.Answering(UsersAsync));
    }

    private Task<HttpAnswer> ListAsync(HttpContext context)
    {
        var now = clock.GetUtcNow();
        var (page, problems) = ConversationPage.Read(WireRequest.From(context), cursors, now);
        if (problems.Count > 0)
        {
            return Task.FromResult(Wire.Invalid(problems));
        }
        if (access.Verify(context, Scopes.ConversationsRead).IsDenied(out var denial, out var key))
        {
            return Task.FromResult(access.Refuse(context, denial));
        }
        var (rows, next) = page.Fetch(store, cursors, key.Project);
        return Task.FromResult(ConversationAnswers.List(rows, next, row => NameOf(key.Project, row.Owner.Agent), now));
    }

    private Task<HttpAnswer> ShowAsync(HttpContext context) => Task.FromResult(
        Find(context, out var row) ?? OtherFormat(context) ?? ConversationAnswers.Whole(row!, store.ReadTurns(row!), NameOf(row!.Owner.Project, row.Owner.Agent), address.HttpOrigin(context), clock.GetUtcNow()));

    private async Task<HttpAnswer> DeleteAsync(HttpContext context)
    {
        if (access.Verify(context, Scopes.Admin).IsDenied(out var denial, out var key))
        {
            return access.Refuse(context, denial);
        }
        var id = IdText(context);
        return AgentIdText.IsValid(id) && store.Read(Sight.OfProject(key.Project), id) is { } row && row.Owner.Project == key.Project && await store.DeleteAsync(row, key.Id, clock.GetUtcNow())
            ? AgentAnswers.Null() : RestAccess.Unknown(id);
    }

    private Task<HttpAnswer> AudioAsync(HttpContext context) => Task.FromResult(
        Find(context, out var row) ?? Wire.Error(404, "not_found", "audio_not_found", "audio_not_found", $"Conversation {row!.Id} has no audio: sound is not recorded, the transcript is."));

    private Task<HttpAnswer> SummaryAsync(HttpContext context) => Task.FromResult(
        Find(context, out var row) ?? Wire.Error(404, "not_found", "summary_not_found", "summary_not_found", $"Conversation {row!.Id} has no summary: none is made, the transcript is kept."));

    private static HttpAnswer? OtherFormat(HttpContext context)
    {
        var query = new QueryText(WireRequest.From(context));
        query.Word("format", "json");
        return query.Problems.Count > 0 ? Wire.Invalid(query.Problems) : null;
    }

    private Task<HttpAnswer> UsersAsync(HttpContext context)
    {
        var query = new QueryText(WireRequest.From(context));
        var size = query.Number("page_size", 1, 100, 30);
        var search = query.Text("search") ?? "";
        var after = query.Cursor(cursors, Users) ?? Bound;
        if (search.Length > Subject.LongestBytes || search.Contains('\0', StringComparison.Ordinal))
        {
            query.Refuse("search", "Input should be a text of at most 256 characters");
        }
        if (query.Problems.Count > 0)
        {
            return Task.FromResult(Wire.Invalid(query.Problems));
        }
        if (access.Verify(context, Scopes.ConversationsRead).IsDenied(out var denial, out var key))
        {
            return Task.FromResult(access.Refuse(context, denial));
        }
        var users = store.ListUsers(key.Project, search, (after[1..], after[..1] == Bound), size + 1);
        var next = users.Count > size ? cursors.Write(Users, (users[size - 1].IsBound ? Bound : Claimed) + users[size - 1].Id) : null;
        return Task.FromResult(ConversationAnswers.Users([.. users.Take(size)], next, user => NameOf(key.Project, user.LastAgent)));
    }

    // Another project's conversation is as unknown as none.
    private HttpAnswer? Find(HttpContext context, out ConversationRow? row)
    {
        row = null;
        if (access.Verify(context, Scopes.ConversationsRead).IsDenied(out var denial, out var key))
        {
            return access.Refuse(context, denial);
        }
        var id = IdText(context);
        row = AgentIdText.IsValid(id) && store.Read(Sight.OfProject(key.Project), id) is { } found && found.Owner.Project == key.Project ? found : null;
        return row is null ? RestAccess.Unknown(id) : null;
    }

    private string? NameOf(ProjectId project, AgentId agent) => directory.Find(project, agent)?.Name;

    private static string IdText(HttpContext context) => context.Request.RouteValues["id"] as string ?? "";
}
