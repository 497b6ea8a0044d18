using System.Globalization;
using Postern.Core.Agents;
using Postern.Server.Agents;
using Postern.Server.Storage;

namespace Postern.Server.Cli;

/// <summary>Agents: list them, say where they are and which vendor they speak.</summary>
internal static class AgentCommands
{
    public static async Task<int> ListAsync(CommandContext context)
    {
        await using var store = context.OpenStore();
        var rows = AgentSettings.List(store.Agents, ProjectCommands.Named(context, store));
        context.Write(rows, ("id", row => row.Id), ("name", row => row.Name), ("dialect", row => row.Dialect),
            ("access", row => AgentDocument.Read(row, context.Options).Access.Private ? "private" : "public"),
            ("upstream", row => (row.Upstream as Upstream.Relay)?.Url ?? UpstreamSettings.Shown(row.Upstream)), ("created", row => row.CreatedAt));
        return 0;
    }

    public static Task<int> SetUpstreamAsync(CommandContext context)
    {
        var target = context.Line.Arguments[1];
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var header in context.Line.Options("--header"))
        {
            var colon = header.IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0 || !headers.TryAdd(header[..colon].Trim(), header[(colon + 1)..].Trim()))
            {
                throw new RefusedException("--header takes 'Name: value', each name once.", RefusedException.Usage);
            }
        }
        var upstream = (target == "echo" ? new UpstreamSettings("echo", null, headers)
            : target.StartsWith("http", StringComparison.OrdinalIgnoreCase)
                ? new UpstreamSettings("chat", target, headers, context.Line.Option("--model"), Environment.GetEnvironmentVariable("POSTERN_CHAT_KEY"),
                    Number<int>(context, "--max-tokens"), Number<double>(context, "--temperature"))
            : new UpstreamSettings("relay", target, headers, context.Line.Option("--model"), null, Number<int>(context, "--max-tokens"), Number<double>(context, "--temperature")))
            .Read(context.Options, out var problem) ?? throw new RefusedException(problem, RefusedException.Usage);
        return ChangeAsync(context, (store, row) => AgentSettings.SetUpstreamAsync(store.Agents, row.Project, row.Id, null, upstream),
            upstream is Upstream.Chat chat ? $"asks {chat.Model} at {chat.Url}" : $"relays to {target}");
    }

    private static T? Number<T>(CommandContext context, string option) where T : struct, ISpanParsable<T> =>
        context.Line.Option(option) is not { } text ? null
        : T.TryParse(text, CultureInfo.InvariantCulture, out var number) ? number : throw new RefusedException($"{option} takes a number.", RefusedException.Usage);

    public static Task<int> SetDialectAsync(CommandContext context)
    {
        var dialect = context.Line.Arguments[1];
        return AgentSettings.CheckDialect(dialect) is { } problem
            ? throw new RefusedException(problem, RefusedException.Usage)
            : ChangeAsync(context, (store, row) => AgentSettings.SetDialectAsync(store.Agents, row.Project, row.Id, null, dialect), $"speaks {dialect}");
    }

    public static Task<int> SetMediaAsync(CommandContext context)
    {
        var url = context.Line.Arguments[1];
        var problem = "";
        var media = url == "none" ? null
            : AgentSettings.ReadMedia(url, context.Line.Option("--key") ?? "", Environment.GetEnvironmentVariable("POSTERN_MEDIA_SECRET") ?? "", out problem)
                ?? throw new RefusedException(problem, RefusedException.Usage);
        return ChangeAsync(context, (store, row) => AgentSettings.SetMediaAsync(store.Agents, row.Project, row.Id, null, media), media is null ? "has no media server" : $"holds its rooms at {url}");
    }

    public static Task<int> SetAliasesAsync(CommandContext context)
    {
        var aliases = Names(context, "none");
        return AgentSettings.CheckAliases(aliases) is { } problem
            ? throw new RefusedException(problem, RefusedException.Usage)
            : ChangeAsync(context, (store, row) => AgentSettings.TakenAlias(store.Agents, row.Project, row.Id, aliases) is { } taken
                ? throw new RefusedException($"Another agent has the name {taken}.")
                : AgentSettings.SetAliasesAsync(store.Agents, row.Project, row.Id, null, aliases), aliases.Length == 0 ? "has no alias" : $"is also called {string.Join(", ", aliases)}");
    }

    public static Task<int> SetOnlyDialectsAsync(CommandContext context)
    {
        var dialects = Names(context, "all");
        return dialects.Select(AgentSettings.CheckFamily).FirstOrDefault(found => found is not null) is { } problem
            ? throw new RefusedException(problem, RefusedException.Usage)
            : ChangeAsync(context, (store, row) => AgentSettings.SetOnlyDialectsAsync(store.Agents, row.Project, row.Id, null, dialects),
                dialects.Length == 0 ? "is reached by every dialect" : $"is reached by {string.Join(", ", dialects)} alone");
    }

    private static string[] Names(CommandContext context, string none) =>
        context.Line.Arguments[1] is var text && text == none ? [] : text.Split(',', StringSplitOptions.TrimEntries);

    private static async Task<int> ChangeAsync(CommandContext context, Func<Store, AgentRow, Task> change, string what)
    {
        await using var store = context.OpenStore();
        var id = context.Line.Arguments[0];
        var row = store.Agents.Read(new AgentId(id)) ?? throw new RefusedException($"There is no agent '{id}': 'postern agents list' shows them.");
        await change(store, row);
        context.Write($"{id} {what} from now on.", ("id", id), ("changed", true));
        return 0;
    }
}
