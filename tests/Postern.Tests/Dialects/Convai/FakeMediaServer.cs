using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Postern.Tests.Dialects.Convai;

/// <summary>A stand-in for a LiveKit server: it notes who asks it to delete which room.</summary>
internal sealed class FakeMediaServer : IAsyncDisposable
{
    private readonly WebApplication app;
    private int failures;

    private FakeMediaServer(WebApplication app) => this.app = app;

    /// <summary>Path, bearer and room of every call, in order.</summary>
    public ConcurrentQueue<(string Path, string Bearer, string Room)> Calls { get; } = new();

    /// <summary>Such as <c>ws://127.0.0.1:40123/media</c>.</summary>
    public string Url => app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single().Replace("http://", "ws://", StringComparison.Ordinal) + "/media";

    /// <param name="failures">So many calls fail first.</param>
    public static async Task<FakeMediaServer> StartAsync(int failures = 0)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { EnvironmentName = "test" });
        builder.Logging.ClearProviders();
        builder.Configuration["urls"] = "http://127.0.0.1:0";
        var app = builder.Build();
        var server = new FakeMediaServer(app) { failures = failures };
        app.Run(server.AnswerAsync);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return server;
    }

    /// <summary>Waits until so many calls have come.</summary>
    public async Task UntilAsync(int calls)
    {
        for (var i = 0; i < 500 && Calls.Count < calls; i++)
        {
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
        Assert.Equal(calls, Calls.Count);
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        using var body = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        Calls.Enqueue((context.Request.Path, context.Request.Headers.Authorization.ToString(), body.RootElement.GetProperty("room").GetString()!));
        context.Response.StatusCode = Interlocked.Decrement(ref failures) >= 0 ? 503 : 200;
        await context.Response.WriteAsync("{}");
    }
}
