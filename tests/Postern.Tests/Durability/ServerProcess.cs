using System.Collections.Concurrent;
using System.Diagnostics;
using Postern.Server;

namespace Postern.Tests.Durability;

/// <summary>The built server as a process of its own, so that it can be killed.</summary>
internal sealed class ServerProcess : IDisposable
{
    public const string Key = "durability-key-of-more-than-32-characters";

    private readonly Process process;
    private readonly ConcurrentQueue<string> said = new();
    private readonly TaskCompletionSource<string> listening = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ServerProcess(Process process)
    {
        this.process = process;
        process.OutputDataReceived += (_, line) => Hear(line.Data);
        process.ErrorDataReceived += (_, line) => Hear(line.Data);
        process.EnableRaisingEvents = true;
        process.Exited += (_, _) => listening.TrySetException(new InvalidOperationException("The server ended: " + string.Join('\n', said)));
    }

    /// <summary>Such as <c>http://127.0.0.1:40123</c>.</summary>
    public string Address { get; private set; } = "";

    public int Id => process.Id;

    /// <summary>From the start of the process until it said that it is ready.</summary>
    public TimeSpan ReadyAfter { get; private set; }

    /// <summary>Starts it over a folder and waits until it is ready.</summary>
    public static async Task<ServerProcess> StartAsync(string folder, string? database, string? secretsKey = null, params (string Name, string Value)[] settings)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, WorkingDirectory = folder };
        foreach (var argument in new[] { typeof(PosternOptions).Assembly.Location, "serve", "--http", "127.0.0.1:0", "--https", "off", "--data", folder })
        {
            start.ArgumentList.Add(argument);
        }
        start.Environment["POSTERN_API_KEY"] = Key;
        start.Environment["POSTERN__LOG__LEVEL"] = "error";
        start.Environment["POSTERN__LIMITS__REFUSALSPERADDRESSPERMINUTE"] = "1000000";
        start.Environment["POSTERN_WATCH_SOCKET_THREADS"] = "1";
        foreach (var (name, value) in settings)
        {
            start.Environment[name] = value;
        }
        if (secretsKey is not null)
        {
            start.Environment["POSTERN__SECRETS__KEY"] = secretsKey;
        }
        if (database is not null)
        {
            start.Environment["POSTERN__DATABASE"] = database;
        }
        var time = Stopwatch.StartNew();
        var server = new ServerProcess(new Process { StartInfo = start });
        server.process.Start();
        server.process.BeginOutputReadLine();
        server.process.BeginErrorReadLine();
        try
        {
            server.Address = await server.listening.Task.WaitAsync(TimeSpan.FromSeconds(30));
            using var client = new HttpClient();
            while (!(await client.GetAsync(server.Address + "/health/ready", TestContext.Current.CancellationToken)).IsSuccessStatusCode)
            {
                Assert.True(time.Elapsed < TimeSpan.FromSeconds(30), "never ready");
                await Task.Delay(10, TestContext.Current.CancellationToken);
            }
            server.ReadyAfter = time.Elapsed;
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    /// <summary>kill -9, and waits until it is gone.</summary>
    public async Task KillAsync()
    {
        process.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
    }

    public void Dispose()
    {
        if (!process.HasExited)
        {
            process.Kill();
            process.WaitForExit();
        }
        process.Dispose();
    }

    private void Hear(string? line)
    {
        const string Listening = "Listening on http:";
        if (line is null)
        {
            return;
        }
        said.Enqueue(line);
        if (line.StartsWith(Listening, StringComparison.Ordinal))
        {
            listening.TrySetResult(line[(Listening.Length - "http:".Length)..].Trim());
        }
    }
}
