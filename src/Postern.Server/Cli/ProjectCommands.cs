using Postern.Core.Projects;
using Postern.Server.Settings;
using Postern.Server.Storage;

namespace Postern.Server.Cli;

/// <summary>Projects: what holds for their new agents and their mints.</summary>
internal static class ProjectCommands
{
    public static async Task<int> SetDefaultsAsync(CommandContext context)
    {
        var project = new ProjectId(context.Line.Arguments[0]);
        var defaults = new ProjectDefaults(Read(context, "--dialect", "Agents:DefaultDialect"), Read(context, "--access", "Agents:DefaultAccess"), context.Line.Flag("--lock-session"));
        await using var store = context.OpenStore();
        if (!await store.Agents.SetDefaultsAsync(project, defaults))
        {
            throw new RefusedException($"There is no project '{project}': the first start of the server creates 'default'.");
        }
        context.Write($"New agents of {project}: dialect {defaults.Dialect ?? "as in the settings"}, access {defaults.Access ?? "as in the settings"}. Those that exist are as they were. "
            + $"What a client secret is minted with is fixed without being marked: {context.Line.Option("--lock-session") ?? "as in the settings"}.",
            ("project", project), ("dialect", defaults.Dialect), ("access", defaults.Access), ("lock_session", defaults.LockSession));
        return 0;
    }

    // The words are those of the setting that the project stands before.
    private static string? Read(CommandContext context, string option, string setting)
    {
        if (context.Line.Option(option) is not { } text)
        {
            return null;
        }
        var words = Setting.All.First(one => one.Name == setting).Facts.OneOf!.Split(',');
        return words.Contains(text, StringComparer.Ordinal) ? text : throw new RefusedException($"{option} is one of: {string.Join(", ", words)}.", RefusedException.Usage);
    }
}
