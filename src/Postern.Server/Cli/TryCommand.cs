using Postern.Server.Try;

namespace Postern.Server.Cli;

/// <summary>Makes a link to the page on which Postern is tried.</summary>
internal static class TryCommand
{
    public static async Task<int> RunAsync(CommandContext context)
    {
        await using var store = context.OpenStore();
        var origin = TryPage.Origin(context.Options, []);
        var code = await store.TryCodes.CreateAsync();
        context.Write($"{(origin.Length == 0 ? "Put the address that the server listens on before this. " : "")}Works once, within 24 hours: {TryPage.Link(origin, code)}",
            ("link", TryPage.Link(origin, code)), ("expires_in_seconds", (int)Storage.TryCodes.Lifetime.TotalSeconds));
        return 0;
    }
}
