using System.Diagnostics;
using System.Text;

namespace Postern.Tests.Cli;

/// <summary>The executable as an operator starts it, with an environment and a working folder of its own.</summary>
internal sealed class PosternProcess : IAsyncDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);
    private readonly Process process;
    private readonly StringBuilder output = new();
    private readonly Task<string> errors;

    private PosternProcess(Process process)
    {
        this.process = process;
        errors = process.StandardError.ReadToEndAsync();
    }

    public static PosternProcess Start(string folder, IEnumerable<string> words, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true,
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "postern.dll"));
        foreach (var word in words) start.ArgumentList.Add(word);
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("POSTERN", StringComparison.OrdinalIgnoreCase)).ToList()) start.Environment.Remove(name);
        start.Environment["POSTERN_WATCH_SOCKET_THREADS"] = "1";
        foreach (var (name, value) in environment) start.Environment[name] = value;
        return new PosternProcess(Process.Start(start)!);
    }

    /// <summary>Runs to the end.</summary>
    public static async Task<(int ExitCode, string Output, string Errors)> RunAsync(string folder, IEnumerable<string> words, params (string Name, string Value)[] environment)
    {
        await using var started = Start(folder, words, environment);
        return await started.EndAsync();
    }

    /// <summary>The next line of standard output that begins so.</summary>
    public async Task<string> LineAsync(string beginning)
    {
        while (await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(Longest) is { } line)
        {
            output.AppendLine(line);
            if (line.StartsWith(beginning, StringComparison.Ordinal)) return line;
        }
        throw new InvalidOperationException($"postern ended before it said '{beginning}': {output} {await errors}");
    }

    /// <summary>Asks it to stop, as an init system does.</summary>
    public void Terminate() => Process.Start("sh", ["-c", $"kill -TERM {process.Id}"]).WaitForExit();

    public async Task<(int ExitCode, string Output, string Errors)> EndAsync()
    {
        output.Append(await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken).WaitAsync(Longest));
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Longest);
        return (process.ExitCode, output.ToString(), await errors);
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }
}
