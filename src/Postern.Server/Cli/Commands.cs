using System.Reflection;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Cli;

/// <summary>All subcommands, and the one place where what they refuse becomes a sentence and an exit code.</summary>
internal static class Commands
{
    /// <summary>The list; the first one is meant when none is named.</summary>
    public static readonly IReadOnlyList<Command> All =
    [
        new("serve", [], [], "Starts the server; this is what happens without a command, too.", ServeCommand.RunAsync),
        new("keys create", [], ["--project", "--name", "--scopes"], "Makes an API key and shows it once. Scopes: mint, agents_read, agents_write, conversations_read, admin, converse; all when left out. A page may be given a key that holds converse alone.", KeyCommands.CreateAsync),
        new("keys list", [], [], "Lists the API keys, without their texts.", KeyCommands.ListAsync),
        new("keys revoke", ["KEY_ID"], [], "Refuses an API key from now on.", KeyCommands.RevokeAsync),
        new("keys rotate-signing", [], ["--keep"], "Signs with a new key from now on; what former ones signed is believed for --keep (24h) at most; with --keep 0s no more at all.", KeyCommands.RotateAsync),
        new("user-token-keys create", [], ["--project", "--name", "--agents", "--signer-encodes-json"], "Makes a key for user tokens and shows its value; POSTERN_USER_TOKEN_SECRET holds a value of your own. --signer-encodes-json yes also takes further claims: never for a signer that writes JSON by hand, whose users could then become each other.", UserTokenCommands.CreateAsync),
        new("user-token-keys list", [], [], "Lists the keys for user tokens, without their values.", UserTokenCommands.ListAsync),
        new("user-token-keys delete", ["KEY_ID"], ["--project"], "Deletes a key for user tokens: its tokens are refused from now on.", UserTokenCommands.DeleteAsync),
        new("users log-out", ["USER_ID"], ["--project"], "Refuses the tokens of a user that were issued before now, and those that do not say when they were.", UserTokenCommands.LogOutAsync),
        new("agents list", [], ["--project"], "Lists the agents.", AgentCommands.ListAsync),
        new("agents set-upstream", ["AGENT_ID", "echo|ws(s)://…|http(s)://…"], ["--header*", "--model", "--max-tokens", "--temperature"],
            "Says where an agent really is. To a server (ws) --header 'Name: value' is added and never shown again; a chat endpoint (http) is asked for --model, with the key in POSTERN_CHAT_KEY.", AgentCommands.SetUpstreamAsync),
        new("agents set-dialect", ["AGENT_ID", "DIALECT"], [], "Says which vendor's form an agent's credentials take.", AgentCommands.SetDialectAsync),
        new("agents set-media", ["AGENT_ID", "none|ws(s)://…"], ["--key"], "Says which LiveKit server holds an agent's rooms; its secret is read from POSTERN_MEDIA_SECRET.", AgentCommands.SetMediaAsync),
        new("agents set-aliases", ["AGENT_ID", "NAME,…|none"], [], "Gives an agent further names, for clients that demand another form of id.", AgentCommands.SetAliasesAsync),
        new("agents set-dialects", ["AGENT_ID", "DIALECT,…|all"], [], "Says which dialects reach an agent.", AgentCommands.SetOnlyDialectsAsync),
        new("conversations sweep", [], [], "Removes now what projects keep no longer, and shows how far it is; the server does the same once a day.", ConversationCommands.SweepAsync),
        new("conversations keep", ["DAYS"], ["--project"], "Says how long a project keeps conversations: 30, 60 or 90 days after they were last active, or 0 for not at all.", ConversationCommands.KeepAsync),
        new("projects create", ["PROJECT"], [], "Makes a project: agents, keys and conversations of its own.", ProjectCommands.CreateAsync),
        new("projects list", [], [], "Lists the projects.", ProjectCommands.ListAsync),
        new("projects set-defaults", ["PROJECT"], ["--dialect", "--access", "--lock-session"], "Says which vendor a project's new agents speak (elevenlabs, xuna), who may open one that says nothing about access (private, public), and whether all that a client secret is minted with is fixed without being marked (yes, no). What is left out stays; settings takes one back to what the settings say.", ProjectCommands.SetDefaultsAsync),
        new("try", [], [], "Prints a link to the page on which one talks to the demo agent; it works once, within 24 hours.", TryCommand.RunAsync),
        new("check-config", [], ["--document"], "Reads every setting and says whether the server would start; --document markdown writes docs/configuration.md.", OtherCommands.CheckConfigAsync),
        new("migrate", [], [], "Brings the database up to this version's schema.", OtherCommands.MigrateAsync),
        new("version", [], [], "Says which version this is.", OtherCommands.VersionAsync),
        new("help", ["[COMMAND]", "[VERB]"], [], "Shows this, or what one command takes.", OtherCommands.HelpAsync),
    ];

    /// <summary>This program's version.</summary>
    public static string Version { get; } =
        typeof(Commands).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    /// <summary>Runs a command line; 0 done, 1 refused, 2 written wrongly. Never a stack trace.</summary>
    public static async Task<int> RunAsync(IReadOnlyList<string> words, TextWriter output, TextWriter errors)
    {
        try
        {
            var line = CommandLine.Read(words is ["--help" or "-h", ..] ? ["help", .. words.Skip(1)] : words is ["--version", ..] ? ["version", .. words.Skip(1)] : words, All);
            return await line.Command.RunAsync(new CommandContext(line, output));
        }
        catch (Exception e)
        {
            var (sentence, code) = e switch
            {
                RefusedException refused => (refused.Message, refused.ExitCode),
                StorageException storage => (storage.Message, RefusedException.Refused),
                _ => StartChecks.OfFailure(e) is { } known ? (known, RefusedException.Refused)
                    : ($"This is a defect of Postern ({e.GetType().Name}: {e.Message.Split('\n')[0]}); please report it.", RefusedException.Refused),
            };
            await errors.WriteLineAsync(sentence.ReplaceLineEndings(" "));
            return code;
        }
    }
}
