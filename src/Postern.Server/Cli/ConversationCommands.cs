using System.Globalization;
using Postern.Server.Storage;

namespace Postern.Server.Cli;

/// <summary>Conversations: how long they are kept, and removing at once what is kept no longer.</summary>
internal static class ConversationCommands
{
    public static async Task<int> SweepAsync(CommandContext context)
    {
        await using var store = context.OpenStore();
        using var interrupted = new CancellationTokenSource();
        using var interrupt = System.Runtime.InteropServices.PosixSignalRegistration.Create(System.Runtime.InteropServices.PosixSignal.SIGINT, signal =>
        {
            signal.Cancel = true; // after the batch that is under way
            interrupted.Cancel();
        });
        var done = await store.Sweep.RunAsync(TimeProvider.System.GetUtcNow(), state => Tell(context, state), interrupted.Token);
        context.Write(done, ("project", state => state.Project.Value), ("retention_days", state => state.RetentionDays),
            ("conversations", state => state.Conversations), ("messages", state => state.Messages));
        return interrupted.IsCancellationRequested ? throw new RefusedException("Broken off: what was said to be removed is, the rest goes with the next sweep.") : 0;
    }

    public static async Task<int> KeepAsync(CommandContext context)
    {
        if (!int.TryParse(context.Line.Arguments[0], NumberStyles.None, CultureInfo.InvariantCulture, out var days) || !UserData.Choices.Contains(days))
        {
            throw new RefusedException($"Write one of {string.Join(", ", UserData.Choices)} days; 0 keeps nothing.", RefusedException.Usage);
        }
        await using var store = context.OpenStore();
        var project = ProjectCommands.Named(context, store);
        await store.UserData.KeepAsync(project, days, null, TimeProvider.System.GetUtcNow());
        context.Write(days == 0 ? $"Project {project} keeps no conversation from now on; the next sweep removes those of before."
            : $"Project {project} keeps conversations for {days} days after they were last active.", ("project", project.Value), ("retention_days", days));
        return 0;
    }

    private static void Tell(CommandContext context, SweepProgress state)
    {
        if (!context.Line.Json)
        {
            context.Output.WriteLine($"{state.Project}: {state.Conversations} conversations, {state.Messages} single messages so far");
            context.Output.Flush();
        }
    }
}
