using System.Text.Json;
using Postern.Core.Agents;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>The agents REST of both vendors (contracts, section 4): checked before the key is, answered when it is durable and in force.</summary>
internal sealed class AgentsRest(
    RestAccess access, AgentStore store, Cursors cursors, DirectoryFeed feed, PosternOptions options, TimeProvider clock)
{
    private const string Path = "/v1/convai/agents";
    private const int MostSummaries = 100;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost(Path + "/create", RestAccess.Answering(context => CreateAsync(context, "conversation_config")));
        routes.MapPost(Path, RestAccess.Answering(context => CreateAsync(context, "name")));
        routes.MapGet(Path, RestAccess.Answering(ListAsync));
        routes.MapGet(Path + "/summaries", RestAccess.Answering(SummariesAsync));
        routes.MapGet(Path + "/{id}", RestAccess.Answering(context => ShowAsync(context, AgentAnswers.Whole)));
        routes.MapPatch(Path + "/{id}", RestAccess.Answering(ChangeAsync));
        routes.MapDelete(Path + "/{id}", RestAccess.Answering(DeleteAsync));
        routes.MapPost(Path + "/{id}/duplicate", RestAccess.Answering(DuplicateAsync));
        routes.MapGet(Path + "/{id}/link", RestAccess.Answering(context => ShowAsync(context, AgentAnswers.Link)));
        routes.MapGet(Path + "/{id}/branches", RestAccess.Answering(context => ShowAsync(context, static _ => AgentAnswers.NoBranches())));
    }

    // The vendors' paths differ in what must be there; which of them is spoken is the project's to say, never the path's.
    private async Task<HttpAnswer> CreateAsync(HttpContext context, string required)
    {
        var decision = access.Verify(context, Scopes.AgentsWrite);
        var body = await RestBody.ReadAsync(context, large: decision.Denial is null);
        if (body.Refusal is not null)
        {
            return body.Refusal;
        }
        if (Invalid(body.Json, required) is { } invalid)
        {
            return invalid;
        }
        if (decision.IsDenied(out var denial, out var key))
        {
            return access.Refuse(context, denial);
        }
        var defaults = store.ReadDefaults(key.Project);
        var row = AgentDraft.Create(AgentId.Create(), key.Project, defaults.Dialect ?? options.Agents.DefaultDialect, IsOpen(defaults), body.Json!.Value, clock.GetUtcNow());
        await store.CreateAsync(row, key.Id);
        await InForceAsync();
        return AgentAnswers.Id(row.Id);
    }

    private async Task<HttpAnswer> ChangeAsync(HttpContext context)
    {
        var decision = access.Verify(context, Scopes.AgentsWrite);
        var body = await RestBody.ReadAsync(context, large: decision.Denial is null);
        if (body.Refusal is not null)
        {
            return body.Refusal;
        }
        if (Invalid(body.Json) is { } invalid)
        {
            return invalid;
        }
        if (decision.IsDenied(out var denial, out var key))
        {
            return access.Refuse(context, denial);
        }
        if (Named(context) is not { } id)
        {
            return Unknown(context);
        }
        var open = IsOpen(store.ReadDefaults(key.Project));
        var what = string.Join(", ", body.Json!.Value.EnumerateObject().Select(member => member.Name).Take(10));
        AgentRow? row;
        try
        {
            row = await store.ChangeAsync(key.Project, id, key.Id, what.Length <= 200 ? what : what[..200], row => Bounded(AgentDraft.Change(row, body.Json.Value, open)));
        }
        catch (DocumentTooLargeException)
        {
            return Wire.Invalid([FieldProblem.Value("With these changes the agent would be larger than 1 MiB", "body")]);
        }
        await InForceAsync();
        return row is null ? Unknown(context) : AgentAnswers.Whole(row);
    }

    private async Task<HttpAnswer> DeleteAsync(HttpContext context)
    {
        if (access.Verify(context, Scopes.AgentsWrite).IsDenied(out var denial, out var key))
        {
            return access.Refuse(context, denial);
        }
        if (Named(context) is not { } id || !await store.DeleteAsync(key.Project, id, key.Id))
        {
            return Unknown(context);
        }
        await InForceAsync();
        return AgentAnswers.Null();
    }

    private async Task<HttpAnswer> DuplicateAsync(HttpContext context)
    {
        var decision = access.Verify(context, Scopes.AgentsWrite);
        var body = await RestBody.ReadAsync(context, large: false);
        if (body.Refusal is not null)
        {
            return body.Refusal;
        }
        if (body.Json is not null && Invalid(body.Json) is { } invalid)
        {
            return invalid;
        }
        if (decision.IsDenied(out var denial, out var key))
        {
            return access.Refuse(context, denial);
        }
        if (Find(context, key) is not { } row)
        {
            return Unknown(context);
        }
        var name = body.Json is { } given && given.TryGetProperty("name", out var text) && text.ValueKind == JsonValueKind.String ? text.GetString() : null;
        var copy = AgentDraft.Copy(row, AgentId.Create(), name, clock.GetUtcNow());
        await store.CreateAsync(copy, key.Id);
        await InForceAsync();
        return AgentAnswers.Id(copy.Id);
    }

    private Task<HttpAnswer> ShowAsync(HttpContext context, Func<AgentRow, HttpAnswer> show) => Task.FromResult(
        access.Verify(context, Scopes.AgentsRead).IsDenied(out var denial, out var key) ? access.Refuse(context, denial)
        : Find(context, key) is { } row ? show(row)
        : Unknown(context));

    private Task<HttpAnswer> ListAsync(HttpContext context)
    {
        var (page, problems) = AgentPage.Read(WireRequest.From(context), cursors);
        if (problems.Count > 0)
        {
            return Task.FromResult(Wire.Invalid(problems));
        }
        if (access.Verify(context, Scopes.AgentsRead).IsDenied(out var denial, out var key))
        {
            return Task.FromResult(access.Refuse(context, denial));
        }
        var (rows, next) = page.Fetch(store, cursors, key.Project);
        return Task.FromResult(AgentAnswers.List(rows, next));
    }

    private Task<HttpAnswer> SummariesAsync(HttpContext context)
    {
        var ids = new QueryText(WireRequest.From(context)).All("agent_ids").Distinct(StringComparer.Ordinal).ToList();
        if (ids.Count is 0 or > MostSummaries)
        {
            return Task.FromResult(Wire.Invalid([ids.Count == 0 ? FieldProblem.Missing("query", "agent_ids") : FieldProblem.Value($"At most {MostSummaries} agents at a time", "query", "agent_ids")]));
        }
        if (access.Verify(context, Scopes.AgentsRead).IsDenied(out var denial, out var key))
        {
            return Task.FromResult(access.Refuse(context, denial));
        }
        return Task.FromResult(AgentAnswers.Summaries(ids.Select(id => (id, Find(id, key)))));
    }

    private static HttpAnswer? Invalid(JsonElement? body, params ReadOnlySpan<string> required)
    {
        var problems = body is { } json ? AgentForm.Check(json, required) : [FieldProblem.Missing("body")];
        return problems.Count > 0 ? Wire.Invalid(problems) : null;
    }

    // Many small changes add up to what no single one may bring.
    private static AgentRow Bounded(AgentRow row) =>
        System.Text.Encoding.UTF8.GetByteCount(row.Document) <= RestBody.Large ? row : throw new DocumentTooLargeException();

    // The next request sees the change, and sessions of a deleted agent end. When the database fails just now, it is committed all the same and the feed brings it.
    private async Task InForceAsync()
    {
        try
        {
            await feed.CatchUpAsync();
        }
        catch (Exception e) when (e is StorageException or System.Data.Common.DbException)
        {
        }
    }

    private bool IsOpen(ProjectDefaults defaults) => (defaults.Access ?? options.Agents.DefaultAccess) == "public";

    private AgentRow? Find(HttpContext context, ApiKey key) => Find(IdText(context), key);

    private AgentRow? Find(string id, ApiKey key) =>
        AgentIdText.IsValid(id) && store.Read(new AgentId(id)) is { } row && row.Project == key.Project ? row : null;

    private static AgentId? Named(HttpContext context) => AgentIdText.IsValid(IdText(context)) ? new AgentId(IdText(context)) : null;

    private static HttpAnswer Unknown(HttpContext context) => RestAccess.Unknown(IdText(context));

    private static string IdText(HttpContext context) => context.Request.RouteValues["id"] as string ?? "";

    private sealed class DocumentTooLargeException : Exception;
}
