using System.Collections.Immutable;
using Postern.Core.Agents;
using Postern.Core.Keys;
using Postern.Core.Projects;
using Postern.Server.Dialects.Algolia;

namespace Postern.Server.Cli;

/// <summary>Keys for user tokens, and the end of a user's or a key's tokens.</summary>
internal static class UserTokenCommands
{
    private const string Imported = "POSTERN_USER_TOKEN_SECRET";

    public static async Task<int> CreateAsync(CommandContext context)
    {
        var encodes = context.Line.Flag("--signer-encodes-json") is true;
        var value = Environment.GetEnvironmentVariable(Imported) is { Length: > 0 } given ? given : null;
        if (value is not null && UserTokenSecret.WhyRefused(value) is { } weak)
        {
            throw new RefusedException($"{Imported}: {weak}.");
        }
        await using var store = context.OpenStore();
        var project = ProjectCommands.Named(context, store);
        var agents = (context.Line.Option("--agents") ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(id => new AgentId(id)).ToImmutableArray();
        if (agents.FirstOrDefault(id => store.Agents.Read(id) is not { } row || row.Project != project) is { Value: { } unknown })
        {
            throw new RefusedException($"There is no agent '{unknown}': 'postern agents list' shows their ids.");
        }
        var key = await store.UserTokenKeys.CreateAsync(project, context.Line.Option("--name") ?? "key", value ?? UserTokenSecret.Create(AlgoliaDialect.SecretPrefix), agents, encodes, null);
        context.Write($"kid {key.Id}, value {(value is null ? key.Value : "as given")}.{(encodes ? " " + SecretKeysRest.Risk : "")}",
            ("id", key.Id), ("value", key.Value), ("project", project), ("agents", key.Agents.Select(agent => agent.Value)), ("signer_encodes_json", encodes));
        return 0;
    }

    public static async Task<int> ListAsync(CommandContext context)
    {
        await using var store = context.OpenStore();
        context.Write(store.UserTokenKeys.ReadAll(), ("id", key => key.Id), ("project", key => key.Project), ("name", key => key.Name),
            ("agents", key => key.Agents.Select(agent => agent.Value)), ("created", key => key.CreatedAt), ("last_used", key => key.LastUsedAt), ("cut_off", key => key.CutOff));
        return 0;
    }

    public static async Task<int> DeleteAsync(CommandContext context)
    {
        await using var store = context.OpenStore();
        var id = context.Line.Arguments[0];
        if (!await store.UserTokenKeys.DeleteAsync(ProjectOf(context), id, null))
        {
            throw new RefusedException($"There is no user-token key '{id}': 'postern user-token-keys list' shows their ids.");
        }
        context.Write($"{id} is deleted: its tokens are refused from now on.", ("id", id), ("deleted", true));
        return 0;
    }

    public static async Task<int> LogOutAsync(CommandContext context)
    {
        var subject = context.Line.Arguments[0];
        if (!Subject.IsValid(subject))
        {
            throw new RefusedException($"That is no user id: {Subject.Rule}.");
        }
        await using var store = context.OpenStore();
        var at = await store.UserTokenKeys.CutOffUserAsync(ProjectOf(context), subject, lift: false, null);
        context.Write($"Tokens of this user that were issued before {at:O}, or do not say when, are refused.", ("subject", subject), ("at", at));
        return 0;
    }

    private static ProjectId ProjectOf(CommandContext context) => new(context.Line.Option("--project") ?? ProjectId.Default.Value);
}
