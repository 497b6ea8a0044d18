using System.Runtime.InteropServices;
using Postern.Server.Hosting;
using Postern.Server.Settings;
using Postern.Server.Try;

namespace Postern.Server.Cli;

/// <summary>Starts the server and keeps it until it is told to stop.</summary>
internal static class ServeCommand
{
    public static async Task<int> RunAsync(CommandContext context)
    {
        if (context.Line.Json)
        {
            throw new RefusedException("serve speaks to people: leave --json out.", RefusedException.Usage);
        }
        var environment = Environment.GetEnvironmentVariables();
        if (StartChecks.OfStart(context.Options, environment) is { } problem)
        {
            throw new RefusedException(problem);
        }
        DataFolder.Open(context.Options.Data);
        var wantedKey = environment[SettingSource.ApiKeyVariable] is string { Length: > 0 } text ? text : null;

        var stop = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true; // the process ends when everything is written, not now
            stop.TrySetResult();
        }
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        await using (var host = await PosternHost.StartAsync(context.Options, TimeProvider.System, wantedKey))
        {
            Announce(context, host, wantedKey is not null);
            await stop.Task;
            context.Output.WriteLine("Stopping: live sessions are told, every row is written.");
        }
        return 0;
    }

    private static void Announce(CommandContext context, PosternHost host, bool chosen)
    {
        var output = context.Output;
        if (host.FirstKey is { } key)
        {
            output.WriteLine("This is the first start. Project: default. A private demo agent: agent_echo.");
            output.WriteLine(chosen ? "API key: the one in POSTERN_API_KEY." : $"API key, shown this once: {key}");
        }
        foreach (var address in host.Addresses)
        {
            output.WriteLine($"Listening on {address}");
        }
        if (host.FirstTryCode is { } code)
        {
            output.WriteLine($"Try it, a link that works once: {TryPage.Link(TryPage.Origin(context.Options, host.Addresses), code)}");
        }
        output.Flush();
    }
}
