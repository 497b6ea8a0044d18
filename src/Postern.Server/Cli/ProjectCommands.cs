using Postern.Core.Projects;
using Postern.Server.Settings;
using Postern.Server.Storage;

namespace Postern.Server.Cli;

/// <summary>Projects: make them, list them, say what holds for their new agents and their mints.</summary>
internal static class ProjectCommands
{
    private const string Settings = "settings";
    private const string AsInSettings = "as in the settings";

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
        var (dialect, access, all) = (Read(context, "--dialect", "Agents:DefaultDialect"), Read(context, "--access", "Agents:DefaultAccess"), Given(context, "--lock-session") ? context.Line.Flag("--lock-session") : null);
        await using var store = context.OpenStore();
        // What was not named stays: a lock is not dropped by a word about something else.
        var former = store.Agents.ReadDefaults(project);
        var defaults = new ProjectDefaults(
            context.Line.Option("--dialect") is null ? former.Dialect : dialect,
            context.Line.Option("--access") is null ? former.Access : access,
            context.Line.Option("--lock-session") is null ? former.LockSession : all);
        if (!await store.Agents.SetDefaultsAsync(project, defaults))
        {
            throw Unknown(project);
        }
        context.Write($"New agents of {project}: dialect {defaults.Dialect ?? AsInSettings}, access {defaults.Access ?? AsInSettings}. Those that exist are as they were. "
            + $"What a client secret is minted with is fixed without being marked: {defaults.LockSession switch { true => "yes", false => "no", null => AsInSettings }}.",
            ("project", project), ("dialect", defaults.Dialect), ("access", defaults.Access), ("lock_session", defaults.LockSession));
        return 0;
    }

    // Given, and not to be taken back to what the settings say.
    private static bool Given(CommandContext context, string option) => context.Line.Option(option) is { } text && text != Settings;

    // The words are those of the setting that the project stands before.
    private static string? Read(CommandContext context, string option, string setting)
    {
        if (!Given(context, option))
        {
            return null;
        }
        var words = Setting.All.First(one => one.Name == setting).Facts.OneOf!.Split(',');
        return words.Contains(context.Line.Option(option), StringComparer.Ordinal) ? context.Line.Option(option)
            : throw new RefusedException($"{option} is one of: {string.Join(", ", words)}, {Settings}.", RefusedException.Usage);
    }
}
