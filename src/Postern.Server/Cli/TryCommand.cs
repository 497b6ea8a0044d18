using Postern.Server.Hosting;
using Postern.Server.Try;

namespace Postern.Server.Cli;

/// <summary>Makes a link to the page on which Postern is tried.</summary>
internal static class TryCommand
{
    public static async Task<int> RunAsync(CommandContext context)
    {
        await using var store = context.OpenStore();
        var listening = NodeFile.Listening(context.Options.Data);
        var origin = TryPage.Origin(context.Options, listening);
        var code = await store.TryCodes.CreateAsync();
        var caution = origin.Length == 0 ? "Put the address that the server listens on before this. "
            : listening.Count > 0 || context.Options.PublicAddress is not null ? ""
            : $"No server runs on {context.Options.Data} now; for one that listens as the settings of this command say. ";
        context.Write($"{caution}Works once, within 24 hours: {TryPage.Link(origin, code)}",
            ("link", TryPage.Link(origin, code)), ("expires_in_seconds", (int)Storage.TryCodes.Lifetime.TotalSeconds), ("server_found", listening.Count > 0));
        return 0;
    }
}
