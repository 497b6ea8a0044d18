using System.Globalization;
using System.Net;
using System.Net.WebSockets;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Postern.Benchmarks.Processes;

/// <summary>Bare Kestrel, in a process of its own: what the same work costs without Postern. Also the upstream that is relayed to.</summary>
internal static class Peer
{
    /// <summary>The answer of the JSON endpoint has this many bytes.</summary>
    public const string SizeOption = "--size";

    public const string MintPath = "/v1/convai/conversation/get-signed-url";
    public const string EchoPath = "/echo";
    public const string ClosePath = "/close";
    public const string ChatPath = "/chat";

    /// <summary>The tokens of one answer of the chat endpoint.</summary>
    public const int ChatTokens = 20;

    private static readonly byte[] CloseReason = "Could not authorize the conversation."u8.ToArray();

    public static Task<ServerProcess> StartAsync(int jsonSize = 256) =>
        ServerProcess.StartAsync("Postern.Benchmarks.dll", ["peer", SizeOption, jsonSize.ToString(CultureInfo.InvariantCulture)]);

    public static async Task<int> RunAsync(string[] args)
    {
        var at = Array.IndexOf(args, SizeOption);
        var url = new string('x', int.Parse(args[at + 1], CultureInfo.InvariantCulture) - """{"signed_url":""}""".Length);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(server =>
        {
            server.AddServerHeader = false;
            server.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
        });
        builder.Services.AddRoutingCore();
        await using var app = builder.Build();
        app.UseWebSockets();
        app.UseRouting();
        app.MapGet(MintPath, context => JsonAsync(context, url));
        app.Map(EchoPath, EchoAsync);
        app.Map(ClosePath, CloseAsync);
        app.MapPost(ChatPath + "/chat/completions", ChatAsync);
        app.UseEndpoints(static _ => { });
        await app.StartAsync();
        Console.WriteLine("Listening on " + app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        while (await Console.In.ReadLineAsync() is not null)
        {
            // Until the harness closes the input, also by dying.
        }
        return 0;
    }

    private static async Task JsonAsync(HttpContext context, string url)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = """{"signed_url":""}""".Length + url.Length;
        using (var json = new Utf8JsonWriter(context.Response.BodyWriter))
        {
            json.WriteStartObject();
            json.WriteString("signed_url"u8, url);
            json.WriteEndObject();
        }
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    private static async Task EchoAsync(HttpContext context)
    {
        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        var buffer = new byte[4096];
        while (true)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(), CancellationToken.None);
            if (read.MessageType == WebSocketMessageType.Close)
            {
                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", CancellationToken.None);
                return;
            }
            await socket.SendAsync(buffer.AsMemory(0, read.Count), read.MessageType, read.EndOfMessage, CancellationToken.None);
        }
    }

    // Every token is the time at which it was written.
    private static async Task ChatAsync(HttpContext context)
    {
        context.Response.ContentType = "text/event-stream";
        for (var i = 0; i < ChatTokens; i++)
        {
            await Task.Delay(5);
            await WriteAsync(context, string.Create(CultureInfo.InvariantCulture, $$$"""{"choices":[{"index":0,"delta":{"content":"<{{{System.Diagnostics.Stopwatch.GetTimestamp()}}}>"},"finish_reason":null}]}"""));
        }
        await WriteAsync(context, """{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""");
        await WriteAsync(context, "[DONE]");
    }

    private static async Task WriteAsync(HttpContext context, string data)
    {
        await context.Response.WriteAsync($"data: {data}\n\n");
        await context.Response.Body.FlushAsync();
    }

    // The floor under every refusal: a connection, its 101, one close frame, and the wait for the client's own.
    private static async Task CloseAsync(HttpContext context)
    {
        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        await socket.CloseAsync((WebSocketCloseStatus)3000, System.Text.Encoding.UTF8.GetString(CloseReason), CancellationToken.None);
    }
}
