using Postern.Server.Hosting;
using Postern.Server.Settings;

namespace Postern.Server.Cli;

/// <summary>What needs no more than the settings.</summary>
internal static class OtherCommands
{
    public static Task<int> CheckConfigAsync(CommandContext context)
    {
        if (context.Line.Option("--document") is "markdown")
        {
            context.Output.Write(ConfigurationDocument.Write());
            return Task.FromResult(0);
        }
        var options = context.Options;
        if (StartChecks.OfStart(options, Environment.GetEnvironmentVariables()) is { } problem)
        {
            throw new RefusedException(problem);
        }
        if (context.Line.Json)
        {
            context.Write("", [.. Setting.All.Select(setting => (setting.Name, setting.Facts.Secret ? "" : (object?)setting.Read(options)?.ToString()))]);
        }
        else
        {
            context.Output.WriteLine($"All settings are understood. HTTP: {options.Http?.ToString() ?? "off"}, HTTPS: {options.Https?.ToString() ?? "off"}, data: {options.Data}, database: {(options.Database.Length == 0 ? "SQLite in the data folder" : "as configured")}.");
        }
        return Task.FromResult(0);
    }

    public static async Task<int> MigrateAsync(CommandContext context)
    {
        await using var store = context.OpenStore();
        context.Write(store.Migrated == 0 ? "The database is up to date." : $"Applied {store.Migrated} migration(s).", ("applied", store.Migrated));
        return 0;
    }

    public static Task<int> VersionAsync(CommandContext context)
    {
        context.Write($"postern {Commands.Version} on .NET {Environment.Version}", ("version", Commands.Version), ("runtime", Environment.Version.ToString()));
        return Task.FromResult(0);
    }

    public static Task<int> HelpAsync(CommandContext context)
    {
        context.Output.WriteLine("Postern, the guarded door in front of conversational AI agents.\n");
        foreach (var command in Commands.All)
        {
            context.Output.WriteLine($"  postern {command.Usage}\n      {command.Sentence}");
        }
        context.Output.WriteLine("\nEvery command takes --json and every setting as an option; docs/configuration.md lists them:\n");
        foreach (var setting in Setting.All)
        {
            context.Output.WriteLine($"  {setting.OptionName} VALUE\n      {setting.Facts.Sentence}");
        }
        return Task.FromResult(0);
    }
}
