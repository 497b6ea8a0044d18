using System.Text.Json.Serialization;
using Postern.Core.Agents;
using Postern.Core.Projects;
using Postern.Server.Agents;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Admin;

/// <summary>Agents as an operator sees them: where each one really is, and which vendor it speaks.</summary>
internal sealed class AgentsAdmin(AdminAccess access, AgentStore store, DirectoryFeed feed, PosternOptions options)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/api/agents", access.For(ListAsync));
        routes.MapGet("/api/agents/{id}/upstream", access.For(ShowUpstreamAsync));
        routes.MapPut("/api/agents/{id}/upstream", access.For(SetUpstreamAsync));
        routes.MapPut("/api/agents/{id}/dialect", access.For(SetDialectAsync));
    }

    private Task ListAsync(HttpContext context, ApiKey key) => AdminAccess.AnswerAsync(context, json =>
    {
        json.WriteStartArray("agents"u8);
        foreach (var row in AgentSettings.List(store, key.Project))
        {
            json.WriteStartObject();
            AgentSettings.Write(json, row, options);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });

    private Task ShowUpstreamAsync(HttpContext context, ApiKey key) =>
        store.Read(Id(context)) is { } row && row.Project == key.Project
            ? AdminAccess.AnswerAsync(context, json => AgentSettings.Write(json, row.Upstream))
            : UnknownAsync(context);

    private async Task SetUpstreamAsync(HttpContext context, ApiKey key)
    {
        if (await AdminAccess.ReadAsync<UpstreamBody>(context) is not { } body)
        {
            await Problem.WriteAsync(context, 400, """Send {"kind":"echo"} or {"kind":"relay","url":"wss://…","headers":{"name":"value"}}, and nothing else.""");
            return;
        }
        if (AgentSettings.ReadUpstream(body.Kind, body.Url, body.Headers ?? [], options, out var problem) is not { } upstream)
        {
            await Problem.WriteAsync(context, 400, problem);
            return;
        }
        await AnswerChangedAsync(context, await AgentSettings.SetUpstreamAsync(store, key.Project, Id(context), key.Id, upstream));
    }

    private async Task SetDialectAsync(HttpContext context, ApiKey key)
    {
        var body = await AdminAccess.ReadAsync<DialectBody>(context);
        if ((body is null ? """Send {"dialect":"…"}, and nothing else.""" : AgentSettings.CheckDialect(body.Dialect)) is { } problem)
        {
            await Problem.WriteAsync(context, 400, problem);
            return;
        }
        await AnswerChangedAsync(context, await AgentSettings.SetDialectAsync(store, key.Project, Id(context), key.Id, body!.Dialect));
    }

    private async Task AnswerChangedAsync(HttpContext context, AgentRow? row)
    {
        if (row is null)
        {
            await UnknownAsync(context);
            return;
        }
        await feed.CatchUpAsync();
        await AdminAccess.AnswerAsync(context, json => AgentSettings.Write(json, row, options));
    }

    private static AgentId Id(HttpContext context) => new((string)context.Request.RouteValues["id"]!);

    private static Task UnknownAsync(HttpContext context) => Problem.WriteAsync(context, 404, "This project has no such agent.");

    private sealed record UpstreamBody(
        [property: JsonPropertyName("kind")] string Kind,
        [property: JsonPropertyName("url")] string? Url = null,
        [property: JsonPropertyName("headers")] Dictionary<string, string>? Headers = null);

    private sealed record DialectBody([property: JsonPropertyName("dialect")] string Dialect);
}
