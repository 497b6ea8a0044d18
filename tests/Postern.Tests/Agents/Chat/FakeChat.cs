using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Postern.Tests.Agents.Chat;

/// <summary>A chat endpoint on the loopback: it keeps what it was asked and answers as its script says.</summary>
internal sealed class FakeChat : IAsyncDisposable
{
    public const string Key = "sk-canary-of-the-chat-endpoint-0123456789";

    private readonly WebApplication app;
    private readonly Channel<Asked> asked = Channel.CreateUnbounded<Asked>();

    private FakeChat(WebApplication app) => this.app = app;

    /// <summary>One request, and the answer to it.</summary>
    public sealed class Asked(HttpContext context, JsonElement body)
    {
        public JsonElement Body => body;

        public string? Authorization { get; } = context.Request.Headers.Authorization;

        public string Protocol { get; } = context.Request.Protocol;

        public string Path { get; } = context.Request.Path;

        /// <summary>The messages, as role and content.</summary>
        public List<(string Role, string? Content)> Messages => [.. body.GetProperty("messages").EnumerateArray()
            .Select(message => (message.GetProperty("role").GetString()!, message.GetProperty("content").GetString()))];

        /// <summary>Completes when the server has gone away from this request.</summary>
        public Task Left { get; } = Aborted(context);

        public async Task WriteAsync(string text)
        {
            context.Response.ContentType ??= "text/event-stream; charset=utf-8";
            await context.Response.WriteAsync(text);
            await context.Response.Body.FlushAsync();
        }

        public Task EventAsync(string json) => WriteAsync($"data: {json}\n\n");

        /// <summary>Says a piece.</summary>
        public Task SayAsync(string text) => EventAsync($$$"""{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":{{{JsonSerializer.Serialize(text)}}}},"finish_reason":null}]}""");

        /// <summary>Ends the answer as the real ones do.</summary>
        public async Task EndAsync(string finish = "stop")
        {
            await EventAsync($$$"""{"choices":[{"index":0,"delta":{},"finish_reason":"{{{finish}}}"}],"usage":null}""");
            await EventAsync("""{"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}""");
            await WriteAsync("data: [DONE]\n\n");
        }

        /// <summary>Answers with something else.</summary>
        public HttpContext Http => context;

        private static Task Aborted(HttpContext context)
        {
            var left = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            context.RequestAborted.Register(left.SetResult);
            return left.Task.WaitAsync(TimeSpan.FromSeconds(15));
        }
    }

    /// <summary>How it answers; says "Hello there" unless told otherwise.</summary>
    public Func<Asked, Task> Script { get; set; } = async answer =>
    {
        await answer.EventAsync("""{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}""");
        await answer.SayAsync("Hello");
        await answer.SayAsync(" there");
        await answer.EndAsync();
    };

    public int Count { get; private set; }

    /// <summary>Says the first piece, and goes on when the one that is returned is released: what is not read yet is lost with a connection.</summary>
    public SemaphoreSlim SayThen(string first, Func<Asked, Task> then)
    {
        var heard = new SemaphoreSlim(0);
        Script = async answer =>
        {
            await answer.SayAsync(first);
            await heard.WaitAsync(TimeSpan.FromSeconds(10));
            await then(answer);
        };
        return heard;
    }

    /// <summary>The same in two pieces, "Hello" and " there": the second is not even made before the first is heard.</summary>
    public SemaphoreSlim SayInTwoPieces() => SayThen("Hello", static async answer =>
    {
        await answer.SayAsync(" there");
        await answer.EndAsync();
    });

    /// <summary>Such as <c>http://127.0.0.1:40123/v1</c>.</summary>
    public string Url => app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single() + "/v1";

    /// <param name="certificate">Shown over TLS; null serves in the clear.</param>
    public static async Task<FakeChat> StartAsync(X509Certificate2? certificate = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            if (certificate is not null)
            {
                listen.UseHttps(certificate);
            }
        }));
        var app = builder.Build();
        var chat = new FakeChat(app);
        app.Run(chat.AnswerAsync);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return chat;
    }

    /// <summary>The next request, once its body is read.</summary>
    public async Task<Asked> NextAsync()
    {
        using var time = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        time.CancelAfter(TimeSpan.FromSeconds(15));
        return await asked.Reader.ReadAsync(time.Token);
    }

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.Zero);
        await app.StopAsync(now.Token);
        await app.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        Count++;
        using var body = await JsonDocument.ParseAsync(context.Request.Body);
        var one = new Asked(context, body.RootElement.Clone());
        asked.Writer.TryWrite(one);
        await Script(one);
    }
}

internal static class ChatAgents
{
    /// <summary>Creates an agent whose words come from this endpoint.</summary>
    public static async Task<string> ChatAgentAsync(this TestPostern postern, FakeChat chat, string config = "{}", string more = "", string settings = "{}")
    {
        var id = await Dialects.ElevenLabs.TalkClient.CreateAgentAsync(postern, config, settings);
        using var answer = await postern.Client.PutAsync($"/api/agents/{id}/upstream",
            TestPostern.Json($$"""{"kind":"chat","url":"{{chat.Url}}","model":"m-1","key":"{{FakeChat.Key}}"{{more}}}"""), TestContext.Current.CancellationToken);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        return id;
    }
}
