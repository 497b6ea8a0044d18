using System.Text.Json.Serialization;
using Postern.Core.Agents;
using Postern.Core.Projects;
using Postern.Server.Agents;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Admin;

/// <summary>Agents as an operator sees them: where each one really is, and which vendor it speaks.</summary>
internal sealed class AgentsAdmin(AdminAccess access, AgentStore store, DirectoryFeed feed, PosternOptions options, TimeProvider clock)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/api/agents", access.For(ListAsync));
        routes.MapPost("/api/agents", access.For(CreateAsync));
        routes.MapGet("/api/agents/{id}/upstream", access.For(ShowUpstreamAsync));
        routes.MapPut("/api/agents/{id}/upstream", access.For(SetUpstreamAsync));
        routes.MapPut("/api/agents/{id}/dialect", access.For(SetDialectAsync));
        routes.MapPut("/api/agents/{id}/media", access.For(SetMediaAsync));
        routes.MapDelete("/api/agents/{id}/media", access.For(RemoveMediaAsync));
        routes.MapPut("/api/agents/{id}/aliases", access.For(SetAliasesAsync));
        routes.MapPut("/api/agents/{id}/dialects", access.For(SetOnlyDialectsAsync));
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

    private async Task CreateAsync(HttpContext context, ApiKey key)
    {
        var body = await AdminAccess.ReadAsync<AgentBody>(context);
        if ((body is null ? """Send {"name":"…"}, where wanted with "dialect" and "private", and nothing else.""" : AgentSettings.CheckNew(body.Name, body.Dialect)) is { } problem)
        {
            await Problem.WriteAsync(context, 400, problem);
            return;
        }
        var row = await AgentSettings.CreateAsync(store, options, key, body!.Name, body.Dialect, body.Private, clock.GetUtcNow());
        await feed.CatchUpAsync();
        context.Response.StatusCode = StatusCodes.Status201Created;
        await AdminAccess.AnswerAsync(context, json => AgentSettings.Write(json, row, options));
    }

    private Task ShowUpstreamAsync(HttpContext context, ApiKey key) =>
        store.Read(Id(context)) is { } row && row.Project == key.Project
            ? AdminAccess.AnswerAsync(context, json => UpstreamSettings.Write(json, row.Upstream))
            : UnknownAsync(context);

    private async Task SetUpstreamAsync(HttpContext context, ApiKey key)
    {
        if (await AdminAccess.ReadAsync<UpstreamBody>(context) is not { } body)
        {
            await Problem.WriteAsync(context, 400, """Send {"kind":"echo"}, {"kind":"relay","url":"wss://…","headers":{"name":"value"}} or {"kind":"chat","url":"https://…","model":"…","key":"…"}, and nothing else.""");
            return;
        }
        if (new UpstreamSettings(body.Kind, body.Url, body.Headers ?? [], body.Model, body.Key, body.MaxTokens, body.Temperature).Read(options, out var problem) is not { } upstream)
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

    private async Task SetMediaAsync(HttpContext context, ApiKey key)
    {
        if (await AdminAccess.ReadAsync<MediaBody>(context) is not { } body)
        {
            await Problem.WriteAsync(context, 400, """Send {"url":"wss://…","key":"…","secret":"…"}, and nothing else.""");
            return;
        }
        if (AgentSettings.ReadMedia(body.Url, body.Key, body.Secret, out var problem) is not { } media)
        {
            await Problem.WriteAsync(context, 400, problem);
            return;
        }
        await AnswerChangedAsync(context, await AgentSettings.SetMediaAsync(store, key.Project, Id(context), key.Id, media));
    }

    private async Task RemoveMediaAsync(HttpContext context, ApiKey key) =>
        await AnswerChangedAsync(context, await AgentSettings.SetMediaAsync(store, key.Project, Id(context), key.Id, null));

    private async Task SetAliasesAsync(HttpContext context, ApiKey key)
    {
        var body = await AdminAccess.ReadAsync<AliasesBody>(context);
        if ((body?.Aliases is null ? """Send {"aliases":["…"]}, and nothing else.""" : AgentSettings.CheckAliases(body.Aliases)) is { } problem)
        {
            await Problem.WriteAsync(context, 400, problem);
            return;
        }
        if (AgentSettings.TakenAlias(store, key.Project, Id(context), body!.Aliases) is { } taken)
        {
            await Problem.WriteAsync(context, 409, $"Another agent has the name {taken}.");
            return;
        }
        await AnswerChangedAsync(context, await AgentSettings.SetAliasesAsync(store, key.Project, Id(context), key.Id, body.Aliases));
    }

    private async Task SetOnlyDialectsAsync(HttpContext context, ApiKey key)
    {
        var body = await AdminAccess.ReadAsync<OnlyDialectsBody>(context);
        var problem = body?.Only is null ? """Send {"only":["…"]}, and nothing else; an empty list is every dialect."""
            : body.Only.Select(AgentSettings.CheckFamily).FirstOrDefault(found => found is not null);
        if (problem is not null)
        {
            await Problem.WriteAsync(context, 400, problem);
            return;
        }
        await AnswerChangedAsync(context, await AgentSettings.SetOnlyDialectsAsync(store, key.Project, Id(context), key.Id, body!.Only));
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
        [property: JsonPropertyName("headers")] Dictionary<string, string>? Headers = null,
        [property: JsonPropertyName("model")] string? Model = null,
        [property: JsonPropertyName("key")] string? Key = null,
        [property: JsonPropertyName("max_tokens")] int? MaxTokens = null,
        [property: JsonPropertyName("temperature")] double? Temperature = null)
    {
        public override string ToString() => Kind; // a record's text would show the key
    }

    private sealed record AgentBody(
        [property: JsonPropertyName("name")] string Name,
        [property: JsonPropertyName("dialect")] string? Dialect = null,
        [property: JsonPropertyName("private")] bool? Private = null);

    private sealed record MediaBody(
        [property: JsonPropertyName("url")] string Url, [property: JsonPropertyName("key")] string Key, [property: JsonPropertyName("secret")] string Secret);

    private sealed record AliasesBody([property: JsonPropertyName("aliases")] string[] Aliases);

    private sealed record OnlyDialectsBody([property: JsonPropertyName("only")] string[] Only);

    private sealed record DialectBody([property: JsonPropertyName("dialect")] string Dialect);
}
