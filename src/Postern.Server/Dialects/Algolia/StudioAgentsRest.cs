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
        routes.MapGet(Path, AlgoliaAccess.Answering(ListAsync));
        routes.MapPost(Path, AlgoliaAccess.Answering(CreateAsync));
        routes.MapGet(Path + "/{id}", AlgoliaAccess.Answering(context => WithAgentAsync(context, Scopes.AgentsRead, (_, row) => Task.FromResult(Show(row)))));
        routes.MapPatch(Path + "/{id}", AlgoliaAccess.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (caller, row) => ChangeAsync(context, caller, row))));
        routes.MapDelete(Path + "/{id}", AlgoliaAccess.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (caller, row) => DeleteAsync(context, caller, row))));
        routes.MapPost(Path + "/{id}/publish", AlgoliaAccess.Answering(context => PublishAsync(context, isPublished: true)));
        routes.MapPost(Path + "/{id}/unpublish", AlgoliaAccess.Answering(context => PublishAsync(context, isPublished: false)));
        routes.MapPost(Path + "/{id}/duplicate", AlgoliaAccess.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, DuplicateAsync)));
        routes.MapDelete(Path + "/{id}/cache", AlgoliaAccess.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (_, _) => Task.FromResult(Forget(context)))));

        // What clients ask to take up an answer again: there is nothing to be taken up, in the words that all of them understand.
        routes.MapGet(Path + "/{id}/completions", static context => HttpAnswers.WriteAsync(context, new HttpAnswer(204, [])));
        routes.MapGet(Path + "/{id}/completions/{conversation}/stream", static context => HttpAnswers.WriteAsync(context, new HttpAnswer(204, [])));
    }

    private Task<HttpAnswer> ListAsync(HttpContext context)
    {
        if (access.VerifyOperator(context, Scopes.AgentsRead).IsDenied(out var denial, out var caller) || Paging.Read(context, PageSize).IsDenied(out denial, out var page))
        {
            return Task.FromResult(access.Refuse(context, denial));
        }
        var query = new QueryForm(context.Request.Query);
        var provider = query.Once("providerId");
        if (query.Problem is { } problem)
        {
            return Task.FromResult(access.Refuse(context, problem));
        }
        var (rows, total) = provider is null ? store.List(caller.Project, page.Limit, page.Offset)
            : page.Of([.. store.List(caller.Project, int.MaxValue, 0).Rows.Where(row => StudioAgents.Provider(row) == provider)]); // the document alone knows it
        return Task.FromResult(Wire.Json(200, json =>
        {
            json.WriteStartArray("data"u8);
            foreach (var row in rows)
            {
                json.WriteStartObject();
                StudioAgents.Write(json, row);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            page.Write(json, total);
        }));
    }

    private async Task<HttpAnswer> CreateAsync(HttpContext context)
    {
        if (access.VerifyOperator(context, Scopes.AgentsWrite).IsDenied(out var denial, out var caller) || (await BodyAsync(context, create: true)).IsDenied(out denial, out var body))
        {
            return access.Refuse(context, denial);
        }
        var defaults = store.ReadDefaults(caller.Project);
        var open = (defaults.Access ?? options.Agents.DefaultAccess) == "public";
        var row = StudioAgents.Create(AgentId.Create(), caller.Project, defaults.Dialect ?? options.Agents.DefaultDialect, open, body.RootElement, clock.GetUtcNow());
        await store.CreateAsync(row, caller.Key.Id);
        await feed.CatchUpAsync();
        return Show(row, 201);
    }

    private async Task<HttpAnswer> ChangeAsync(HttpContext context, Caller caller, AgentRow present)
    {
        if ((await BodyAsync(context, create: false)).IsDenied(out var denial, out var body))
        {
            return access.Refuse(context, denial);
        }
        if (Encoding.UTF8.GetByteCount(StudioAgents.Change(present, body.RootElement).Document) > RestBody.Large)
        {
            return Wire.Invalid("body", "With these changes the agent would be larger than 1 MiB");
        }
        var what = string.Join(", ", body.RootElement.EnumerateObject().Select(member => member.Name).Take(10));
        return await EditAsync(context, caller, present, what.Length <= 200 ? what : what[..200], row => StudioAgents.Change(row, body.RootElement));
    }

    private Task<HttpAnswer> PublishAsync(HttpContext context, bool isPublished) => WithAgentAsync(context, Scopes.AgentsWrite,
        (caller, row) => EditAsync(context, caller, row, isPublished ? "published" : "unpublished", present => StudioAgents.Publish(present, isPublished)));

    private async Task<HttpAnswer> EditAsync(HttpContext context, Caller caller, AgentRow present, string what, Func<AgentRow, AgentRow> change)
    {
        var row = await store.ChangeAsync(caller.Project, present.Id, caller.Key.Id, what, change);
        await feed.CatchUpAsync();
        return row is null ? access.Refuse(context, new Denial(DenialReason.AgentUnknown)) : Show(row);
    }

    private async Task<HttpAnswer> DeleteAsync(HttpContext context, Caller caller, AgentRow row)
    {
        var deleted = await store.DeleteAsync(caller.Project, row.Id, caller.Key.Id);
        await feed.CatchUpAsync();
        return deleted ? new HttpAnswer(204, []) : access.Refuse(context, new Denial(DenialReason.AgentUnknown));
    }

    private async Task<HttpAnswer> DuplicateAsync(Caller caller, AgentRow row)
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

    private async Task<HttpAnswer> WithAgentAsync(HttpContext context, Scopes scope, Func<Caller, AgentRow, Task<HttpAnswer>> answer)
    {
        if (access.VerifyOperator(context, scope).IsDenied(out var denial, out var caller))
        {
            return access.Refuse(context, denial);
        }
        var named = AlgoliaAccess.Agent(context.Request.RouteValues["id"] as string);
        return directory.Find(caller.Project, named) is { } agent && store.Read(agent.Id) is { } row
            ? await answer(caller, row)
            : access.Refuse(context, new Denial(DenialReason.AgentUnknown, named.Value));
    }

    private static async Task<Decision<JsonDocument>> BodyAsync(HttpContext context, bool create)
    {
        var read = JsonForm.Document(await RequestBody.ReadAsync(context, RestBody.Large));
        return read.IsDenied(out var denial, out var body) ? denial : StudioAgents.Check(body.RootElement, create) is { } problem ? problem : body;
    }

    private static HttpAnswer Show(AgentRow row, int status = 200) => Wire.Json(status, json => StudioAgents.Write(json, row));
}
