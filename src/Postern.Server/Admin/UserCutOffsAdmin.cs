using Postern.Core.Projects;
using Postern.Server.Agents;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Admin;

/// <summary>«Log this user out»: the tokens of a user, or of a key, that were issued before now are refused.</summary>
internal sealed class UserCutOffsAdmin(AdminAccess access, UserTokenKeyStore keys, DirectoryFeed feed)
{
    private const string Path = "/api/user-token-cut-offs";
    private const string Which = "Name one: subject (a user id), or key_id (a secret key of this project).";

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(Path, access.For(ListAsync));
        routes.MapPost(Path, access.For(SetAsync));
        routes.MapDelete(Path, access.For(LiftAsync));
    }

    private Task ListAsync(HttpContext context, ApiKey key) => AdminAccess.AnswerAsync(context, json =>
    {
        json.WriteStartArray("cut_offs"u8);
        foreach (var (_, subject, at) in keys.ReadCutOffs().Where(cutOff => cutOff.Project == key.Project).OrderByDescending(cutOff => cutOff.At))
        {
            json.WriteStartObject();
            json.WriteString("subject"u8, subject);
            json.WriteString("at"u8, AgentSettings.Time(at));
            json.WriteEndObject();
        }
        foreach (var row in keys.ReadAll().Where(row => row.Project == key.Project && row.CutOff is not null))
        {
            json.WriteStartObject();
            json.WriteString("key_id"u8, row.Id);
            json.WriteString("at"u8, AgentSettings.Time(row.CutOff!.Value));
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });

    private async Task SetAsync(HttpContext context, ApiKey key)
    {
        if (await AdminAccess.ReadAsync<Target>(context) is not { IsOne: true } target)
        {
            await Problem.WriteAsync(context, 400, Which);
            return;
        }
        await ChangeAsync(context, key, target, lift: false);
    }

    private Task LiftAsync(HttpContext context, ApiKey key)
    {
        var (subject, id) = (context.Request.Query["subject"], context.Request.Query["key_id"]);
        var target = new Target(subject is [var user] ? user : null, id is [var kid] ? kid : null);
        return target.IsOne ? ChangeAsync(context, key, target, lift: true) : Problem.WriteAsync(context, 400, Which);
    }

    private async Task ChangeAsync(HttpContext context, ApiKey key, Target target, bool lift)
    {
        if (target.Subject is { } subject)
        {
            var at = await keys.CutOffUserAsync(key.Project, subject, lift, key.Id);
            await AnswerAsync(context, "subject", subject, at, lift);
        }
        else if (await keys.CutOffKeyAsync(key.Project, target.KeyId!, lift, key.Id) is { } row)
        {
            await AnswerAsync(context, "key_id", row.Id, row.CutOff ?? default, lift);
        }
        else
        {
            await Problem.WriteAsync(context, 404, "There is no such secret key.");
        }
    }

    private async Task AnswerAsync(HttpContext context, string member, string value, DateTimeOffset at, bool lift)
    {
        await feed.CatchUpAsync();
        if (lift)
        {
            context.Response.StatusCode = StatusCodes.Status204NoContent;
            return;
        }
        await AdminAccess.AnswerAsync(context, json =>
        {
            json.WriteString(member, value);
            json.WriteString("at"u8, AgentSettings.Time(at));
        });
    }

    private sealed record Target(
        [property: System.Text.Json.Serialization.JsonPropertyName("subject")] string? Subject = null,
        [property: System.Text.Json.Serialization.JsonPropertyName("key_id")] string? KeyId = null)
    {
        [System.Text.Json.Serialization.JsonIgnore]
        public bool IsOne => Subject is null ? KeyId is { Length: > 0 } : KeyId is null && Postern.Core.Projects.Subject.IsValid(Subject);
    }
}
