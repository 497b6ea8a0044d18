using System.Globalization;
using System.Text;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Projects;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Algolia;

/// <summary>The agents of the contract (section 1): the same agents as every other dialect's, by their UUID.</summary>
internal sealed class StudioAgentsRest(
    AlgoliaAccess access, AgentStore store, DirectoryFeed feed, Core.Directory directory, PosternOptions options, TimeProvider clock)
{
    private const string Path = "/agent-studio/1/agents";
    private const int PageSize = 10;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/agent-studio/status", static context => HttpAnswers.WriteAsync(context, Wire.Json(200, json => json.WriteString("status"u8, "ok"))));
        routes.MapGet(Path, access.Answering(List));
        routes.MapPost(Path, access.Answering(CreateAsync));
        routes.MapGet(Path + "/{id}", access.Answering(context => WithAgentAsync(context, Scopes.AgentsRead, (_, row) => AlgoliaAccess.Done(Show(row)))));
        routes.MapPatch(Path + "/{id}", access.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (caller, row) => ChangeAsync(context, caller, row))));
        routes.MapDelete(Path + "/{id}", access.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (caller, row) => DeleteAsync(context, caller, row))));
        routes.MapPost(Path + "/{id}/publish", access.Answering(context => PublishAsync(context, isPublished: true)));
        routes.MapPost(Path + "/{id}/unpublish", access.Answering(context => PublishAsync(context, isPublished: false)));
        routes.MapPost(Path + "/{id}/duplicate", access.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, DuplicateAsync)));
        routes.MapDelete(Path + "/{id}/cache", access.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (_, _) => AlgoliaAccess.Done(Forget(context)))));

        // What clients ask to take up an answer again: there is nothing to be taken up, in the words that all of them understand.
        routes.MapGet(Path + "/{id}/completions", static context => HttpAnswers.WriteAsync(context, new HttpAnswer(204, [])));
        routes.MapGet(Path + "/{id}/completions/{conversation}/stream", static context => HttpAnswers.WriteAsync(context, new HttpAnswer(204, [])));
    }

    private Decision<HttpAnswer> List(HttpContext context)
    {
        if (access.VerifyOperator(context, Scopes.AgentsRead).IsDenied(out var denial, out var caller) || Paging.Read(context, PageSize).IsDenied(out denial, out var page))
        {
            return denial;
        }
        var query = new QueryForm(context.Request.Query);
        var provider = query.Once("providerId");
        if (query.Problem is { } problem)
        {
            return problem;
        }
        var (rows, total) = provider is null ? store.List(caller.Project, page.Limit, page.Offset)
            : page.Of([.. store.List(caller.Project, int.MaxValue, 0).Rows.Where(row => StudioAgents.Provider(row) == provider)]); // the document alone knows it
        return page.Answer(rows, total, StudioAgents.Write);
    }

    private async Task<Decision<HttpAnswer>> CreateAsync(HttpContext context)
    {
        if (access.VerifyOperator(context, Scopes.AgentsWrite).IsDenied(out var denial, out var caller) || (await BodyAsync(context, create: true)).IsDenied(out denial, out var body))
        {
            return denial;
        }
        var defaults = store.ReadDefaults(caller.Project);
        var open = (defaults.Access ?? options.Agents.DefaultAccess) == "public";
        var row = StudioAgents.Create(AgentId.Create(), caller.Project, defaults.Dialect ?? options.Agents.DefaultDialect, open, body.RootElement, clock.GetUtcNow());
        await store.CreateAsync(row, caller.Key.Id);
        await feed.CatchUpAsync();
        return Show(row, 201);
    }

    private async Task<Decision<HttpAnswer>> ChangeAsync(HttpContext context, Caller caller, AgentRow present)
    {
        if ((await BodyAsync(context, create: false)).IsDenied(out var denial, out var body))
        {
            return denial;
        }
        if (Encoding.UTF8.GetByteCount(StudioAgents.Change(present, body.RootElement).Document) > RestBody.Large)
        {
            return Wire.Invalid("body", "With these changes the agent would be larger than 1 MiB");
        }
        var what = string.Join(", ", body.RootElement.EnumerateObject().Select(member => member.Name).Take(10));
        return await EditAsync(context, caller, present, what.Length <= 200 ? what : what[..200], row => StudioAgents.Change(row, body.RootElement));
    }

    private Task<Decision<HttpAnswer>> PublishAsync(HttpContext context, bool isPublished) => WithAgentAsync(context, Scopes.AgentsWrite,
        (caller, row) => EditAsync(context, caller, row, isPublished ? "published" : "unpublished", present => StudioAgents.Publish(present, isPublished)));

    private async Task<Decision<HttpAnswer>> EditAsync(HttpContext context, Caller caller, AgentRow present, string what, Func<AgentRow, AgentRow> change)
    {
        var row = await store.ChangeAsync(caller.Project, present.Id, caller.Key.Id, what, change);
        await feed.CatchUpAsync();
        return row is null ? new Denial(DenialReason.AgentUnknown) : Show(row);
    }

    private async Task<Decision<HttpAnswer>> DeleteAsync(HttpContext context, Caller caller, AgentRow row)
    {
        var deleted = await store.DeleteAsync(caller.Project, row.Id, caller.Key.Id);
        await feed.CatchUpAsync();
        return deleted ? new HttpAnswer(204, []) : new Denial(DenialReason.AgentUnknown);
    }

    private async Task<Decision<HttpAnswer>> DuplicateAsync(Caller caller, AgentRow row)
    {
        var copy = StudioAgents.Publish(AgentDraft.Copy(row, AgentId.Create(), null, clock.GetUtcNow()), isPublished: false) with { Aliases = [], Domains = [] };
        await store.CreateAsync(copy, caller.Key.Id);
        await feed.CatchUpAsync();
        return Show(copy, 201);
    }

    // No completion is cached, so that none is left.
    private static HttpAnswer Forget(HttpContext context) =>
        context.Request.Query["before"] is var before && before.Count > 0 && !DateOnly.TryParseExact(before.ToString(), "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out _)
            ? Wire.Invalid("query before", "Input should be a date such as 2026-11-21")
            : new HttpAnswer(204, []);

    private async Task<Decision<HttpAnswer>> WithAgentAsync(HttpContext context, Scopes scope, Func<Caller, AgentRow, Task<Decision<HttpAnswer>>> answer)
    {
        if (access.VerifyOperator(context, scope).IsDenied(out var denial, out var caller))
        {
            return denial;
        }
        var named = AlgoliaAccess.Agent(context.Request.RouteValues["id"] as string);
        return directory.Find(caller.Project, named) is { } agent && store.Read(agent.Id) is { } row
            ? await answer(caller, row)
            : new Denial(DenialReason.AgentUnknown, named.Value);
    }

    private static async Task<Decision<JsonDocument>> BodyAsync(HttpContext context, bool create)
    {
        var read = JsonForm.Document(await RequestBody.ReadAsync(context, RestBody.Large));
        return read.IsDenied(out var denial, out var body) ? denial : StudioAgents.Check(body.RootElement, create) is { } problem ? problem : body;
    }

    private static HttpAnswer Show(AgentRow row, int status = 200) => Wire.Json(status, json => StudioAgents.Write(json, row));
}
