using System.Text.Json;
using Postern.Core;
using Postern.Core.Keys;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Algolia;

/// <summary>The secret keys of the contract (sections 1, 5 and 10): the keys with which a customer's backend signs user tokens.</summary>
internal sealed class SecretKeysRest(AlgoliaAccess access, UserTokenKeyStore keys, UserTokenUse use, DirectoryFeed feed, Core.Directory directory)
{
    /// <summary>The risk of the switch, said wherever it is set.</summary>
    public const string Risk =
        "signerEncodesJson takes further claims and escapes in sub. With a signer that puts the JSON together as text, as the vendor's functions for C#, Java, Kotlin, Scala, Swift, Go and Ruby do, a user who chooses the own id becomes any other user: never set it for a key that they use.";

    private const string Path = "/agent-studio/1/secret-keys";
    private const int PageSize = 10;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(Path, access.Answering(ListAsync));
        routes.MapPost(Path, access.Answering(CreateAsync));
        routes.MapGet(Path + "/{id}", access.Answering(ShowAsync));
        routes.MapPatch(Path + "/{id}", access.Answering(ChangeAsync));
        routes.MapDelete(Path + "/{id}", access.Answering(DeleteAsync));
    }

    private async Task<Decision<HttpAnswer>> ListAsync(HttpContext context)
    {
        if (access.VerifyOperator(context, Scopes.AgentsRead).IsDenied(out var denial, out var caller) || Paging.Read(context, PageSize).IsDenied(out denial, out var page))
        {
            return denial;
        }
        await use.FlushAsync();
        var (rows, total) = keys.List(caller.Project, page.Limit, page.Offset);
        return page.Answer(rows, total, Write);
    }

    private async Task<Decision<HttpAnswer>> ShowAsync(HttpContext context)
    {
        if (access.VerifyOperator(context, Scopes.AgentsRead).IsDenied(out var denial, out var caller))
        {
            return denial;
        }
        await use.FlushAsync();
        return Answer(keys.Read(caller.Project, IdText(context)));
    }

    private async Task<Decision<HttpAnswer>> CreateAsync(HttpContext context)
    {
        if (access.VerifyOperator(context, Scopes.Admin).IsDenied(out var denial, out var caller)
            || SecretKeyForm.Read(await RequestBody.ReadAsync(context), create: true, id => directory.Find(caller.Project, AlgoliaAccess.Agent(id))).IsDenied(out denial, out var form))
        {
            return denial;
        }
        var row = await keys.CreateAsync(caller.Project, form.Name!, form.Value ?? UserTokenSecret.Create(AlgoliaDialect.SecretPrefix), form.Agents ?? [], form.SignerEncodesJson ?? false, caller.Key.Id);
        await feed.CatchUpAsync();
        return Answer(row, 201);
    }

    private async Task<Decision<HttpAnswer>> ChangeAsync(HttpContext context)
    {
        if (access.VerifyOperator(context, Scopes.Admin).IsDenied(out var denial, out var caller)
            || SecretKeyForm.Read(await RequestBody.ReadAsync(context), create: false, id => directory.Find(caller.Project, AlgoliaAccess.Agent(id))).IsDenied(out denial, out var form))
        {
            return denial;
        }
        var row = await keys.ChangeAsync(caller.Project, IdText(context), caller.Key.Id, present => present with
        {
            Name = form.Name ?? present.Name,
            Agents = form.Agents ?? present.Agents,
            SignerEncodesJson = form.SignerEncodesJson ?? present.SignerEncodesJson,
        });
        await feed.CatchUpAsync();
        return Answer(row);
    }

    private async Task<Decision<HttpAnswer>> DeleteAsync(HttpContext context)
    {
        if (access.VerifyOperator(context, Scopes.Admin).IsDenied(out var denial, out var caller))
        {
            return denial;
        }
        var deleted = await keys.DeleteAsync(caller.Project, IdText(context), caller.Key.Id);
        await feed.CatchUpAsync();
        return deleted ? new HttpAnswer(204, []) : Answer(null);
    }

    private Decision<HttpAnswer> Answer(UserTokenKeyRow? row, int status = 200) =>
        row is null ? new Denial(DenialReason.CredentialUnknown) : Wire.Json(status, json => Write(json, row));

    private void Write(Utf8JsonWriter json, UserTokenKeyRow row)
    {
        json.WriteString("id"u8, row.Id);
        json.WriteString("name"u8, row.Name);
        json.WriteString("value"u8, row.Value);
        json.WriteString("createdAt"u8, Wire.Time(row.CreatedAt));
        json.WriteString("updatedAt"u8, Wire.Time(row.UpdatedAt));
        json.WriteString("lastUsedAt"u8, row.LastUsedAt is { } at ? Wire.Time(at) : null);
        json.WriteBoolean("isDefault"u8, false);
        json.WriteStartArray("agentIds"u8);
        foreach (var agent in row.Agents)
        {
            json.WriteStringValue(AlgoliaAccess.Uuid(directory, agent));
        }
        json.WriteEndArray();
        json.WriteBoolean("signerEncodesJson"u8, row.SignerEncodesJson);
        if (row.SignerEncodesJson)
        {
            json.WriteString("warning"u8, Risk);
        }
    }

    private static string IdText(HttpContext context) => context.Request.RouteValues["id"] as string ?? "";
}
