using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Algolia;

/// <summary>What is stored of one end user, and for how long anything is (contract, sections 1 and 10).</summary>
internal sealed class UserDataRest(AlgoliaAccess access, Store store, Core.Directory directory, TimeProvider clock)
{
    private const string UserPath = "/agent-studio/1/user-data/{id}";
    private const string ConfigurationPath = "/agent-studio/1/configuration";

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(UserPath, access.Answering(Show));
        routes.MapDelete(UserPath, access.Answering(EraseAsync));
        routes.MapGet(ConfigurationPath, access.Answering(Configuration));
        routes.MapPatch(ConfigurationPath, access.Answering(ConfigureAsync));
    }

    private Decision<HttpAnswer> Show(HttpContext context)
    {
        if (access.Verify(context, Scopes.ConversationsRead).IsDenied(out var denial, out var caller))
        {
            return denial;
        }
        return RawSegment.Last(context) is { } user ? Wire.Json(200, json => Write(json, caller, user)) : Nowhere();
    }

    private async Task<Decision<HttpAnswer>> EraseAsync(HttpContext context)
    {
        if (access.Verify(context, Scopes.ConversationsRead).IsDenied(out var denial, out var caller))
        {
            return denial;
        }
        if (RawSegment.Last(context) is not { } user)
        {
            return Nowhere();
        }
        if (Concerns(caller, user))
        {
            await store.UserData.EraseAsync(caller.Project, user, caller.Token?.Key.Agents ?? [], caller.Key.Id, clock.GetUtcNow());
        }
        return new HttpAnswer(204, []);
    }

    private Decision<HttpAnswer> Configuration(HttpContext context) =>
        access.Verify(context, Scopes.ConversationsRead).IsDenied(out var denial, out var caller)
            ? denial
            : Configuration(store.UserData.RetentionDays(caller.Project));

    private async Task<Decision<HttpAnswer>> ConfigureAsync(HttpContext context)
    {
        // What holds for a whole project is no user's to change.
        if (access.VerifyOperator(context, Scopes.ConversationsRead).IsDenied(out var denial, out var caller) || JsonForm.Read(await RequestBody.ReadAsync(context)).IsDenied(out denial, out var form))
        {
            return denial;
        }
        var days = form.Number("maxRetentionDays", UserData.Choices);
        if (form.Problem is { } problem)
        {
            return problem;
        }
        if (days is { } chosen)
        {
            await store.UserData.KeepAsync(caller.Project, chosen, caller.Key.Id, clock.GetUtcNow());
        }
        return Configuration(days ?? store.UserData.RetentionDays(caller.Project));
    }

    private void Write(Utf8JsonWriter json, Caller caller, string user)
    {
        var concerned = Concerns(caller, user);
        Wire.List(json, "conversations", (concerned ? store.Conversations.ReadAll(caller.Project, user) : []).Where(row => Opens(caller, row.Owner.Agent)),
            row => ConversationAnswers.WriteMembers(json, AlgoliaAccess.Uuid(directory, row.Owner.Agent), row, store.Conversations.ReadMessages(row), null));
        Wire.List(json, "memories", (concerned ? store.Memory.ReadAll(caller.Project, user) : []).Where(record => Opens(caller, record.Owner.Agent)),
            record => MemoryAnswers.WriteMembers(json, AlgoliaAccess.Uuid(directory, record.Owner.Agent), record));
    }

    // A token narrows the request to its own user: everybody else is as unknown as a user who has never been here.
    private static bool Concerns(Caller caller, string user) => Subject.IsValid(user) && (caller.Token is not { } token || token.Subject == user);

    // ... and, by its key, to some agents.
    private static bool Opens(Caller caller, AgentId agent) => caller.Token is not { } token || token.Opens(agent);

    private static HttpAnswer Nowhere() => Wire.Error(404, "User not found", "The user token in the path must be percent-encoded UTF-8: a slash is %2F.");

    private static HttpAnswer Configuration(int days) => Wire.Json(200, json => json.WriteNumber("maxRetentionDays"u8, days));
}
