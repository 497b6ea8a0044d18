using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Conversations;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Algolia;

/// <summary>What an agent remembers of an end user (contract, sections 8 and 10). With a user token it is that user's alone; only with one is anything written.</summary>
internal sealed class MemoryRest(AlgoliaAccess access, MemoryStore store, Core.Directory directory, TimeProvider clock)
{
    private const string Path = "/agent-studio/1/memory";
    private const string AgentIds = "agentIds";
    private const int PageSize = 10;
    private const int LongestId = 256;
    private const int MostIds = 1000;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(Path, access.Answering(List));
        routes.MapPost(Path + "/semantic", access.Answering(context => AddAsync(context, episodic: false)));
        routes.MapPost(Path + "/episodic", access.Answering(context => AddAsync(context, episodic: true)));
        routes.MapPost(Path + "/search", access.Answering(SearchAsync));
        routes.MapGet(Path + "/{id}", access.Answering(Show));
        routes.MapPatch(Path + "/{id}", access.Answering(ChangeAsync));
        routes.MapDelete(Path + "/{id}", access.Answering(DeleteAsync));
    }

    private Decision<HttpAnswer> List(HttpContext context)
    {
        var query = new QueryForm(context.Request.Query);
        if (Verify(context, query.Once(AgentIds)).IsDenied(out var denial, out var scope))
        {
            return denial;
        }
        var wanted = new MemoryQuery(scope.Project, scope.Agent)
        {
            Subject = scope.Subject ?? query.User, From = query.From, Before = query.Before,
            Kind = MemoryForm.Kind(query.Once("memoryType"), problem => query.Refuse("memoryType", problem)),
        };
        if (query.Problem is { } problem || Paging.Read(context, PageSize).IsDenied(out problem, out var page))
        {
            return problem;
        }
        var (records, total) = store.List(wanted with { Limit = page.Limit, Offset = page.Offset });
        return page.Answer(records, total, (json, record) => MemoryAnswers.WriteMembers(json, scope.Uuid, record));
    }

    private async Task<Decision<HttpAnswer>> AddAsync(HttpContext context, bool episodic)
    {
        if ((await WriterAsync(context)).IsDenied(out var denial, out var asked))
        {
            return denial;
        }
        var draft = MemoryForm.New(asked.Form, episodic);
        return asked.Form.Problem is { } problem || (await store.AddAsync(asked.Owner, draft, clock.GetUtcNow())).IsDenied(out problem, out var record)
            ? problem
            : Written(record);
    }

    private async Task<Decision<HttpAnswer>> SearchAsync(HttpContext context)
    {
        if ((await WriterAsync(context)).IsDenied(out var denial, out var asked))
        {
            return denial;
        }
        var search = MemoryForm.Search(asked.Form);
        if (asked.Form.Problem is { } problem)
        {
            return problem;
        }
        var found = store.Search(asked.Owner, search);
        return Wire.Json(200, json => Wire.List(json, "results", found, record => MemoryAnswers.WriteMembers(json, asked.Uuid, record)));
    }

    private Decision<HttpAnswer> Show(HttpContext context) =>
        Find(context, out var refusal, out var scope) is { } record ? Wire.Json(200, json => MemoryAnswers.WriteMembers(json, scope.Uuid, record)) : refusal;

    private async Task<Decision<HttpAnswer>> ChangeAsync(HttpContext context)
    {
        if (Find(context, out var refusal, out var scope) is not { } record)
        {
            return refusal;
        }
        if (scope.Subject is null)
        {
            return NeedsUser;
        }
        if (JsonForm.Read(await RequestBody.ReadAsync(context)).IsDenied(out var denial, out var form))
        {
            return denial;
        }
        var draft = MemoryForm.Changed(form, record.Content);
        if (form.Problem is { } problem)
        {
            return problem;
        }
        return await store.ChangeAsync(record, draft, clock.GetUtcNow()) is not { } decision ? Unknown()
            : decision.IsDenied(out denial, out var changed) ? denial : Written(changed);
    }

    private async Task<Decision<HttpAnswer>> DeleteAsync(HttpContext context) =>
        Find(context, out var refusal, out var scope) is not { } record ? refusal
        : await store.DeleteAsync(record, scope.KeyId, clock.GetUtcNow()) ? new HttpAnswer(204, []) : Unknown();

    // Another user's record is as unknown as none: the same query, the same answer.
    private MemoryRecord? Find(HttpContext context, out Decision<HttpAnswer> refusal, out MemoryScope scope)
    {
        var query = new QueryForm(context.Request.Query);
        if (Verify(context, query.Once(AgentIds)).IsDenied(out var denial, out scope!))
        {
            refusal = denial;
            return null;
        }
        refusal = Unknown();
        return RawSegment.Last(context) is { } id && ClientId.IsValid(id) ? store.Find(scope.Project, scope.Agent, scope.Subject, id) : null;
    }

    private async Task<Decision<MemoryRequest>> WriterAsync(HttpContext context)
    {
        if (access.Verify(context, Scopes.ConversationsRead).IsDenied(out var denial, out var caller) || JsonForm.Read(await RequestBody.ReadAsync(context)).IsDenied(out denial, out var form))
        {
            return denial;
        }
        if (caller.Token is not { } token)
        {
            return NeedsUser;
        }
        var agents = form.Texts(AgentIds, MostIds, LongestId);
        return form.Problem is { } problem ? problem
            : Agent(context, caller, agents is [var one] ? one : null, "body").IsDenied(out denial, out var agent) ? denial
            : new MemoryRequest(new Owner(caller.Project, agent.Id, token.Subject), agent.Uuid, form);
    }

    private Decision<MemoryScope> Verify(HttpContext context, string? agentIds) =>
        access.Verify(context, Scopes.ConversationsRead).IsDenied(out var denial, out var caller) || Agent(context, caller, agentIds, "query").IsDenied(out denial, out var agent)
            ? denial
            : new MemoryScope(caller.Project, agent.Id, agent.Uuid, caller.Token?.Subject, caller.Key.Id);

    // Neither all agents nor all but some: what is remembered belongs to one.
    private Decision<Agent> Agent(HttpContext context, Caller caller, string? named, string place) =>
        string.IsNullOrEmpty(named) || named is ['*' or '-', ..] || named.Contains(',', StringComparison.Ordinal)
            ? new Denial(DenialReason.RequestInvalid, $"{place} {AgentIds}: Input should name exactly one agent")
        : access.Find(context, directory, caller, named, $"{place} {AgentIds}");

    private static readonly Denial NeedsUser = new(DenialReason.RequestInvalid, "header X-Algolia-Secure-User-Token: Field required: only a user whom a token names is remembered");

    private static HttpAnswer Written(MemoryRecord record) => Wire.Json(200, json => json.WriteString("objectID"u8, record.Id));

    private static HttpAnswer Unknown() => Wire.Error(404, "Memory not found");

    private sealed record MemoryScope(ProjectId Project, AgentId Agent, string Uuid, string? Subject, string KeyId);

    private sealed record MemoryRequest(Owner Owner, string Uuid, JsonForm Form);
}
