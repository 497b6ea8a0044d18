using Postern.Server.Settings;

namespace Postern.Server.Cli;

/// <summary>A command line taken apart: the command, its own arguments and options, and the settings among the options.</summary>
internal sealed class CommandLine
{
    private readonly List<(string Name, string Value)> own = [];

    private CommandLine(Command command, bool json) => (Command, Json) = (command, json);

    public Command Command { get; }

    /// <summary>Whether the answer is to be JSON.</summary>
    public bool Json { get; }

    /// <summary>What is no option, in order.</summary>
    public List<string> Arguments { get; } = [];

    /// <summary>Options that are settings.</summary>
    public List<WrittenSetting> Settings { get; } = [];

    /// <summary>The value of one of the command's own options, null when it was not given.</summary>
    public string? Option(string name) => Options(name).FirstOrDefault();

    /// <summary>An option that is said with yes or no; null when it was not given.</summary>
    /// <exception cref="RefusedException">With exit code 2, for any other word.</exception>
    public bool? Flag(string name) => Option(name) switch
    {
        null => null,
        "yes" => true,
        "no" => false,
        _ => throw new RefusedException($"{name} is yes or no.", RefusedException.Usage),
    };

    /// <summary>The values of an option that may be given more than once, in their order.</summary>
    public IEnumerable<string> Options(string name) => own.Where(option => option.Name == name).Select(option => option.Value);

    /// <summary>Reads <paramref name="words"/>; nothing at all is <c>serve</c>.</summary>
    /// <exception cref="RefusedException">With exit code 2, for what cannot be understood.</exception>
    public static CommandLine Read(IReadOnlyList<string> words, IReadOnlyList<Command> commands)
    {
        var named = words.TakeWhile(word => !word.StartsWith('-')).ToList();
        var (command, used) = Find(named, commands);
        if (words.Skip(used).Any(word => word is "--help" or "-h"))
        {
            return Read(["help", command.Name], commands);
        }
        var line = new CommandLine(command, words.Contains("--json", StringComparer.Ordinal));
        for (var i = used; i < words.Count; i++)
        {
            var word = words[i];
            if (word == "--json")
            {
                continue;
            }
            if (!word.StartsWith('-'))
            {
                line.Arguments.Add(word);
                continue;
            }
            var equals = word.IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? word : word[..equals];
            var isOwn = command.Options.Any(option => option.TrimEnd('*') == name);
            if (!isOwn && Setting.All.All(setting => setting.OptionName != name))
            {
                var known = Setting.All.Select(setting => setting.OptionName).Concat(command.Options.Select(option => option.TrimEnd('*'))).Append("--json");
                throw Wrong($"The option {name} is unknown to '{command.Name}'.{NearestName.Suggest(name, known)} 'postern help {command.Name}' shows them.");
            }
            var value = equals >= 0 ? word[(equals + 1)..]
                : i + 1 < words.Count && !words[i + 1].StartsWith("--", StringComparison.Ordinal) ? words[++i]
                : throw Wrong($"The option {name} needs a value: write {name} VALUE.");
            if (isOwn)
            {
                if (line.Option(name) is not null && command.Options.Contains(name, StringComparer.Ordinal))
                {
                    throw Wrong($"The option {name} is given twice; keep one.");
                }
                line.own.Add((name, value));
            }
            else
            {
                line.Settings.Add(new WrittenSetting(name[2..], value, name, SettingOrigin.CommandLine));
            }
        }
        return line.Arguments.Count <= command.Arguments.Count && line.Arguments.Count >= command.Arguments.Count(name => name[0] != '[')
            ? line : throw Wrong($"Write: postern {command.Usage}");
    }

    private static (Command Command, int Used) Find(List<string> named, IReadOnlyList<Command> commands)
    {
        if (named.Count == 0)
        {
            return (commands[0], 0);
        }
        foreach (var length in new[] { 2, 1 })
        {
            var name = string.Join(' ', named.Take(length));
            if (named.Count >= length && commands.FirstOrDefault(command => command.Name == name) is { } command)
            {
                return (command, length);
            }
        }
        var verbs = commands.Where(command => command.Name.StartsWith(named[0] + " ", StringComparison.Ordinal)).Select(command => command.Name).ToList();
        var wrong = string.Join(' ', named.Take(verbs.Count > 0 ? 2 : 1));
        throw Wrong(wrong == named[0] && verbs.Count > 0
            ? $"Write one of: postern {string.Join(", postern ", verbs)}."
            : $"There is no command '{wrong}'.{NearestName.Suggest(wrong, verbs.Count > 0 ? verbs : commands.Select(command => command.Name.Split(' ')[0]))} 'postern help' shows them.");
    }

    private static RefusedException Wrong(string sentence) => new(sentence, RefusedException.Usage);
}

/// <summary>One subcommand.</summary>
/// <param name="Name">One or two words.</param>
/// <param name="Arguments">What must follow, for the usage; what is in brackets may be left out.</param>
/// <param name="Options">Its own options, with a star where one may be repeated; every setting is one besides.</param>
/// <param name="Sentence">What it does.</param>
/// <param name="RunAsync">Does it; the result is the exit code.</param>
internal sealed record Command(string Name, IReadOnlyList<string> Arguments, IReadOnlyList<string> Options, string Sentence, Func<CommandContext, Task<int>> RunAsync)
{
    public string Usage => string.Join(' ', new[] { Name }.Concat(Arguments).Concat(Options.Select(option => option.EndsWith('*') ? $"[{option.TrimEnd('*')} VALUE]…" : $"[{option} VALUE]")));
}
