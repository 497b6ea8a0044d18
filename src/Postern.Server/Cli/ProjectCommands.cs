using Postern.Core.Projects;
using Postern.Server.Settings;
using Postern.Server.Storage;

namespace Postern.Server.Cli;

/// <summary>Projects: make them, list them, say what holds for their new agents and their mints.</summary>
internal static class ProjectCommands
{
    public static async Task<int> CreateAsync(CommandContext context)
    {
        var project = new ProjectId(context.Line.Arguments[0]);
        if (!project.IsValid)
        {
            throw new RefusedException("A project's name is 1 to 64 letters, digits, hyphens and underscores.", RefusedException.Usage);
        }
        await using var store = context.OpenStore();
        if (!await store.Keys.CreateProjectAsync(project))
        {
            throw new RefusedException($"There is a project '{project}' already.");
        }
        context.Write($"Project {project} is there; 'postern keys create --project {project}' makes its first API key.", ("project", project));
        return 0;
    }

    public static async Task<int> ListAsync(CommandContext context)
    {
        await using var store = context.OpenStore();
        context.Write(store.Keys.ReadProjects(), ("project", project => project.Id), ("created", project => project.CreatedAt));
        return 0;
    }

    /// <summary>The project that <c>--project</c> names, or the first one.</summary>
    /// <exception cref="RefusedException">There is none of this name.</exception>
    public static ProjectId Named(CommandContext context, Store store)
    {
        var project = new ProjectId(context.Line.Option("--project") ?? ProjectId.Default.Value);
        return store.Keys.HasProject(project) ? project : throw Unknown(project);
    }

    private static RefusedException Unknown(ProjectId project) => new($"There is no project '{project}': 'postern projects list' shows them.");

    public static async Task<int> SetDefaultsAsync(CommandContext context)
    {
        var project = new ProjectId(context.Line.Arguments[0]);
        var defaults = new ProjectDefaults(Read(context, "--dialect", "Agents:DefaultDialect"), Read(context, "--access", "Agents:DefaultAccess"), context.Line.Flag("--lock-session"));
        await using var store = context.OpenStore();
        if (!await store.Agents.SetDefaultsAsync(project, defaults))
        {
            throw Unknown(project);
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
