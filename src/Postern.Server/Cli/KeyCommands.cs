using Postern.Core.Projects;
using Postern.Server.Settings;

namespace Postern.Server.Cli;

/// <summary>API keys and signing keys.</summary>
internal static class KeyCommands
{
    private static readonly TimeSpan Keep = TimeSpan.FromHours(24);

    public static async Task<int> CreateAsync(CommandContext context)
    {
        var scopes = ReadScopes(context.Line.Option("--scopes"));
        await using var store = context.OpenStore();
        var project = ProjectCommands.Named(context, store);
        var text = ApiKeyText.Create();
        var key = await store.Keys.CreateApiKeyAsync(project, context.Line.Option("--name") ?? "key", text, scopes);
        context.Write($"{key.Id}, shown this once: {text}", ("id", key.Id), ("key", text), ("project", project), ("scopes", ApiKey.Names(scopes)));
        return 0;
    }

    public static async Task<int> ListAsync(CommandContext context)
    {
        await using var store = context.OpenStore();
        context.Write(store.Keys.ReadApiKeys(), ("id", key => key.Id), ("project", key => key.Project), ("name", key => key.Name), ("prefix", key => key.Prefix),
            ("scopes", key => ApiKey.Names(key.Scopes)), ("created", key => key.CreatedAt), ("revoked", key => key.RevokedAt));
        return 0;
    }

    public static async Task<int> RevokeAsync(CommandContext context)
    {
        await using var store = context.OpenStore();
        var id = context.Line.Arguments[0];
        if (!await store.Keys.RevokeApiKeyAsync(id))
        {
            throw new RefusedException($"There is no live key '{id}': 'postern keys list' shows their ids.");
        }
        context.Write($"{id} is refused from now on.", ("id", id), ("revoked", true));
        return 0;
    }

    public static async Task<int> RotateAsync(CommandContext context)
    {
        var keep = context.Line.Option("--keep") is not { } text ? Keep
            : SettingText.ParseTime(text) is { } given && given >= TimeSpan.Zero ? given
            : throw new RefusedException("--keep takes a duration such as 24h or 30m.", RefusedException.Usage);
        await using var store = context.OpenStore();
        var id = await store.Keys.RotateSigningKeyAsync(keep);
        context.Write($"Signing with {id} from now on; what former keys signed is believed for {SettingText.Format(keep)} at most.", ("id", id), ("former_verifies_for", SettingText.Format(keep)));
        return 0;
    }

    private static Scopes ReadScopes(string? text)
    {
        if (text is null)
        {
            return Scopes.All;
        }
        var scopes = Scopes.None;
        foreach (var name in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            scopes |= ApiKey.ScopeNames.TryGetValue(name, out var scope) ? scope
                : throw new RefusedException($"There is no scope '{name}'.{NearestName.Suggest(name, ApiKey.ScopeNames.Keys)} Scopes are {string.Join(", ", ApiKey.ScopeNames.Keys)}.", RefusedException.Usage);
        }
        return scopes != Scopes.None ? scopes
            : throw new RefusedException($"A key without a scope opens nothing: leave --scopes out for all of them, or name some of {string.Join(", ", ApiKey.ScopeNames.Keys)}.", RefusedException.Usage);
    }
}
