using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Algolia;

/// <summary>The domains whose pages may ask an agent for completions (contract, sections 1, 8 and 10); the core holds pages to them.</summary>
internal sealed class AllowedDomainsRest(AlgoliaAccess access, DomainStore domains, DirectoryFeed feed, Core.Directory directory)
{
    private const string Path = "/agent-studio/1/agents/{id}/allowed-domains";
    private const int MostDomains = 200;
    private const int LongestDomain = 300;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(Path, AlgoliaAccess.Answering(context => WithAgentAsync(context, Scopes.AgentsRead, (_, agent) => Task.FromResult(List(agent, domains.List(agent.Id))))));
        routes.MapPost(Path, AlgoliaAccess.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (caller, agent) => AddAsync(context, caller, agent, bulk: false))));
        routes.MapPost(Path + "/bulk", AlgoliaAccess.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (caller, agent) => AddAsync(context, caller, agent, bulk: true))));
        routes.MapDelete(Path + "/bulk", AlgoliaAccess.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (caller, agent) => RemoveManyAsync(context, caller, agent))));
        routes.MapGet(Path + "/{domain}", AlgoliaAccess.Answering(context => WithAgentAsync(context, Scopes.AgentsRead, (_, agent) => Task.FromResult(Show(context, agent)))));
        routes.MapDelete(Path + "/{domain}", AlgoliaAccess.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (caller, agent) => RemoveAsync(context, caller, agent))));
    }

    private async Task<HttpAnswer> WithAgentAsync(HttpContext context, Scopes scope, Func<Caller, Agent, Task<HttpAnswer>> answer)
    {
        var named = AlgoliaAccess.Agent(context.Request.RouteValues["id"] as string);
        return access.VerifyOperator(context, scope).IsDenied(out var denial, out var caller) ? access.Refuse(context, denial)
            : directory.Find(caller.Project, named) is { } agent ? await answer(caller, agent)
            : access.Refuse(context, new Denial(DenialReason.AgentUnknown, named.Value));
    }

    private HttpAnswer Show(HttpContext context, Agent agent) =>
        domains.List(agent.Id).Find(row => row.Id == Named(context)) is { } row ? Wire.Json(200, json => Write(json, agent, row)) : Unknown;

    private async Task<HttpAnswer> AddAsync(HttpContext context, Caller caller, Agent agent, bool bulk)
    {
        if (JsonForm.Read(await RequestBody.ReadAsync(context)).IsDenied(out var denial, out var form))
        {
            return access.Refuse(context, denial);
        }
        var texts = bulk ? form.Texts("domains", MostDomains, LongestDomain) : form.Text("domain", LongestDomain) is { } only ? [only] : null;
        if (texts is not { Count: > 0 })
        {
            form.Refuse(bulk ? "domains" : "domain", "Field required");
        }
        var names = new List<string>();
        foreach (var text in texts ?? [])
        {
            if (!ApprovedDomain.TryParse(text, out var domain, out var wrong) || (wrong = domain.WhyRefused) is not null)
            {
                form.Refuse(bulk ? "domains" : "domain", wrong);
            }
            names.Add(domain.ToString());
        }
        if (form.Problem is { } problem)
        {
            return access.Refuse(context, problem);
        }
        if (await domains.AddAsync(caller.Project, agent.Id, caller.Key.Id, [.. names.Distinct(StringComparer.Ordinal)], MostDomains) is not { } rows)
        {
            return Wire.Invalid(bulk ? "body domains" : "body domain", $"An agent has at most {MostDomains} domains");
        }
        await feed.CatchUpAsync();
        return bulk ? List(agent, rows, 201) : Wire.Json(201, json => Write(json, agent, rows[0]));
    }

    private async Task<HttpAnswer> RemoveAsync(HttpContext context, Caller caller, Agent agent)
    {
        var removed = await domains.RemoveAsync(caller.Project, agent.Id, caller.Key.Id, [Named(context)]);
        await feed.CatchUpAsync();
        return removed ? new HttpAnswer(204, []) : Unknown;
    }

    private async Task<HttpAnswer> RemoveManyAsync(HttpContext context, Caller caller, Agent agent)
    {
        if (JsonForm.Read(await RequestBody.ReadAsync(context)).IsDenied(out var denial, out var form))
        {
            return access.Refuse(context, denial);
        }
        if (form.Texts("domainIds", MostDomains, LongestDomain) is not { } ids)
        {
            form.Refuse("domainIds", "Field required");
            return access.Refuse(context, form.Problem!);
        }
        await domains.RemoveAsync(caller.Project, agent.Id, caller.Key.Id, ids);
        await feed.CatchUpAsync();
        return new HttpAnswer(204, []);
    }

    private static HttpAnswer List(Agent agent, IReadOnlyList<DomainRow> rows, int status = 200) => Wire.Json(status, json =>
    {
        json.WriteStartArray("domains"u8);
        foreach (var row in rows)
        {
            json.WriteStartObject();
            Write(json, agent, row);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });

    private static void Write(Utf8JsonWriter json, Agent agent, DomainRow row)
    {
        json.WriteString("id"u8, row.Id);
        json.WriteString("appId"u8, agent.Project.Value);
        json.WriteString("agentId"u8, agent.Uuid);
        json.WriteString("domain"u8, row.Domain);
        json.WriteString("createdAt"u8, Wire.Time(row.CreatedAt));
        json.WriteString("updatedAt"u8, Wire.Time(row.CreatedAt));
    }

    private static HttpAnswer Unknown => Wire.Error(404, "Allowed domain not found");

    private static string Named(HttpContext context) => context.Request.RouteValues["domain"] as string ?? "";
}
