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
        routes.MapGet(Path, access.Answering(context => WithAgentAsync(context, Scopes.AgentsRead, (_, agent) => AlgoliaAccess.Done(List(agent, domains.List(agent.Id))))));
        routes.MapPost(Path, access.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (caller, agent) => AddAsync(context, caller, agent, bulk: false))));
        routes.MapPost(Path + "/bulk", access.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (caller, agent) => AddAsync(context, caller, agent, bulk: true))));
        routes.MapDelete(Path + "/bulk", access.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (caller, agent) => RemoveManyAsync(context, caller, agent))));
        routes.MapGet(Path + "/{domain}", access.Answering(context => WithAgentAsync(context, Scopes.AgentsRead, (_, agent) => AlgoliaAccess.Done(Show(context, agent)))));
        routes.MapDelete(Path + "/{domain}", access.Answering(context => WithAgentAsync(context, Scopes.AgentsWrite, (caller, agent) => RemoveAsync(context, caller, agent))));
    }

    private async Task<Decision<HttpAnswer>> WithAgentAsync(HttpContext context, Scopes scope, Func<Caller, Agent, Task<Decision<HttpAnswer>>> answer)
    {
        var named = AlgoliaAccess.Agent(context.Request.RouteValues["id"] as string);
        return access.VerifyOperator(context, scope).IsDenied(out var denial, out var caller) ? denial
            : directory.Find(caller.Project, named) is { } agent ? await answer(caller, agent)
            : new Denial(DenialReason.AgentUnknown, named.Value);
    }

    private HttpAnswer Show(HttpContext context, Agent agent) =>
        domains.List(agent.Id).Find(row => row.Id == Named(context)) is { } row ? Wire.Json(200, json => Write(json, agent, row)) : Unknown;

    private async Task<Decision<HttpAnswer>> AddAsync(HttpContext context, Caller caller, Agent agent, bool bulk)
    {
        if (JsonForm.Read(await RequestBody.ReadAsync(context)).IsDenied(out var denial, out var form))
        {
            return denial;
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
            return problem;
        }
        if (await domains.AddAsync(caller.Project, agent.Id, caller.Key.Id, [.. names.Distinct(StringComparer.Ordinal)], MostDomains) is not { } rows)
        {
            return Wire.Invalid(bulk ? "body domains" : "body domain", $"An agent has at most {MostDomains} domains");
        }
        await feed.CatchUpAsync();
        return bulk ? List(agent, rows, 201) : Wire.Json(201, json => Write(json, agent, rows[0]));
    }

    private async Task<Decision<HttpAnswer>> RemoveAsync(HttpContext context, Caller caller, Agent agent)
    {
        var removed = await domains.RemoveAsync(caller.Project, agent.Id, caller.Key.Id, [Named(context)]);
        await feed.CatchUpAsync();
        return removed ? new HttpAnswer(204, []) : Unknown;
    }

    private async Task<Decision<HttpAnswer>> RemoveManyAsync(HttpContext context, Caller caller, Agent agent)
    {
        if (JsonForm.Read(await RequestBody.ReadAsync(context)).IsDenied(out var denial, out var form))
        {
            return denial;
        }
        if (form.Texts("domainIds", MostDomains, LongestDomain) is not { } ids)
        {
            form.Refuse("domainIds", "Field required");
            return form.Problem!;
        }
        await domains.RemoveAsync(caller.Project, agent.Id, caller.Key.Id, ids);
        await feed.CatchUpAsync();
        return new HttpAnswer(204, []);
    }

    private static HttpAnswer List(Agent agent, IReadOnlyList<DomainRow> rows, int status = 200) =>
        Wire.Json(status, json => Wire.List(json, "domains", rows, row => Write(json, agent, row)));

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
