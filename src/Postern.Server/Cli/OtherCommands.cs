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
        if (options.Certificate.CertificatePath.Length > 0)
        {
            CertificateSource.Check(options);
        }
        if (Directory.Exists(options.Data))
        {
            DataFolder.Open(options.Data);
        }
        context.Write(Setting.All, ("setting", setting => setting.Name), ("value", setting => Shown(setting, options)), ("from", setting => Origin(context, setting)));
        if (!context.Line.Json)
        {
            context.Output.WriteLine("\nEvery setting is in order.");
        }
        return Task.FromResult(0);
    }

    public static async Task<int> MigrateAsync(CommandContext context)
    {
        await using var store = context.OpenOrCreateStore();
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
        var asked = string.Join(' ', context.Line.Arguments);
        var shown = Commands.All.Where(command => asked.Length == 0 || command.Name == asked || command.Name.StartsWith(asked + " ", StringComparison.Ordinal)).ToList();
        if (shown.Count == 0)
        {
            throw new RefusedException($"There is no command '{asked}'.{NearestName.Suggest(asked, Commands.All.Select(command => command.Name))} 'postern help' shows them.", RefusedException.Usage);
        }
        if (context.Line.Json)
        {
            context.Write(shown, ("command", command => command.Name), ("usage", command => "postern " + command.Usage), ("sentence", command => command.Sentence));
            return Task.FromResult(0);
        }
        if (asked.Length == 0)
        {
            context.Output.WriteLine("Postern, the guarded door in front of conversational AI agents.\n");
        }
        foreach (var command in shown)
        {
            context.Output.WriteLine($"  postern {command.Usage}\n      {command.Sentence}");
        }
        context.Output.WriteLine("\nEvery command but serve takes --json, and each every setting as an option; docs/configuration.md lists them:\n");
        foreach (var setting in Setting.All)
        {
            context.Output.WriteLine($"  {setting.OptionName} VALUE\n      {setting.Facts.Sentence}");
        }
        return Task.FromResult(0);
    }

    private static string Shown(Setting setting, PosternOptions options) =>
        SettingText.Format(setting.Read(options)) is { Length: > 0 } text ? setting.Facts.Secret ? "(not shown)" : text : setting.Type == typeof(System.Net.IPEndPoint) ? "off" : "";

    private static string Origin(CommandContext context, Setting setting) =>
        context.Written.Where(one => Setting.Find(one.Name) == setting).MaxBy(one => one.Source)?.Written ?? "default";
}
