using System.Net;
using Postern.Tests.Dialects.ElevenLabs;

namespace Postern.Tests.Agents.Chat;

/// <summary>Chat endpoints that fail or mean ill: the user learns that there is no answer, and nothing else; the conversation goes on.</summary>
public class FailureTests
{
    private static readonly Dictionary<string, (string Type, Func<FakeChat.Asked, Task> Script)> Scripts = new()
    {
        ["401"] = ("llm_error", Status(401)),
        ["403"] = ("llm_error", Status(403)),
        ["404"] = ("llm_error", Status(404)),
        ["429"] = ("llm_error", Status(429)),
        ["500"] = ("llm_error", Status(500)),
        ["503"] = ("llm_error", Status(503)),
        ["504"] = ("llm_timeout", Status(504)),
        ["redirect"] = ("llm_error", static answer =>
        {
            answer.Http.Response.Headers.Location = answer.Http.Request.Path.Value;
            answer.Http.Response.StatusCode = 307;
            return Task.CompletedTask;
        }
        ),
        ["json"] = ("llm_error", static answer =>
        {
            answer.Http.Response.ContentType = "application/json";
            return answer.WriteAsync($$$"""{"choices":[{"message":{"content":"{{{FakeChat.Key}}}"}}]}""");
        }
        ),
        ["gzip"] = ("llm_error", static answer =>
        {
            answer.Http.Response.Headers.ContentEncoding = "gzip";
            return answer.SayAsync("a bomb");
        }
        ),
        ["malformed"] = ("llm_error", static answer => answer.EventAsync("{not json " + FakeChat.Key)),
        ["array"] = ("llm_error", static answer => answer.EventAsync("""{"choices":[{"delta":{"tool_calls":[{"index":1.5}]}}]}""")),
        ["surrogate"] = ("llm_error", static answer => answer.EventAsync("""{"choices":[{"delta":{"content":"\ud800"}}]}""")),
        ["error"] = ("llm_error", static answer => answer.EventAsync($$$"""{"error":{"message":"no such key {{{FakeChat.Key}}}"}}""")),
        ["line"] = ("llm_error", static async answer =>
        {
            for (var i = 0; i < 300 && !answer.Http.RequestAborted.IsCancellationRequested; i++)
            {
                await answer.WriteAsync((i == 0 ? "data: " : "") + new string('x', 1024));
            }
        }
        ),
        ["cut"] = ("llm_error", static async answer =>
        {
            await answer.WriteAsync(": hello\n\ndata: {\"choices\"");
            answer.Http.Abort();
        }
        ),
        ["end"] = ("llm_error", static answer => answer.WriteAsync(": nothing at all\n\n")),
        ["silence"] = ("llm_timeout", static answer => answer.Left),
        ["comments"] = ("llm_timeout", static async answer =>
        {
            while (!answer.Http.RequestAborted.IsCancellationRequested)
            {
                await answer.WriteAsync(": keep-alive\n\ndata: {\"choices\":[]}\n\n"); // signs of life are no answer
                await Task.Delay(20);
            }
        }
        ),
        ["calls"] = ("llm_error", static async answer =>
        {
            for (var i = 0; i < 20; i++)
            {
                await answer.EventAsync($$$"""{"choices":[{"delta":{"tool_calls":[{"index":{{{i}}},"id":"c{{{i}}}","function":{"name":"memorize","arguments":""}}]}}]}""");
            }
        }
        ),
    };

    public static TheoryData<string> Ways => [.. Scripts.Keys];

    [Theory]
    [Trait("attack", "D5")]
    [Trait("attack", "D9")]
    [Trait("attack", "D10")]
    [MemberData(nameof(Ways))]
    public async Task Endpoint_ThatFails_IsToldInAWordAndTheConversationGoesOn(string way)
    {
        await using var chat = await FakeChat.StartAsync();
        var (type, script) = Scripts[way];
        await using var postern = await StartAsync(options => options.Chat.FirstToken = TimeSpan.FromSeconds(way is "silence" or "comments" ? 5 : 20));
        using var client = await TalkTests.OpenAsync(postern, await postern.ChatAgentAsync(chat));
        var works = chat.Script;
        chat.Script = script;
        await client.SayAsync("""{"type":"user_message","text":"a"}""");
        var error = await client.NextAsync("error");
        Assert.Equal((1002, type), (error.GetProperty("code").GetInt32(), error.GetProperty("error_type").GetString()));
        Assert.StartsWith("The agent ", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        foreach (var secret in new[] { FakeChat.Key, "127.0.0.1", "http", "Exception", "m-1" })
        {
            Assert.DoesNotContain(secret, error.ToString(), StringComparison.Ordinal);
        }
        Assert.Equal(1, chat.Count);
        chat.Script = works;
        await client.SayAsync("""{"type":"user_message","text":"b"}""");
        Assert.Equal("start", (await client.NextAsync("agent_chat_response_part")).GetProperty("type").GetString());
    }

    [Theory]
    [InlineData(false, "llm_error")]
    [InlineData(true, "llm_timeout")]
    public async Task Endpoint_ThatFailsInTheMidst_WhatWasSaidStays(bool fallsSilent, string type)
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await StartAsync(options => options.Chat.BetweenTokens = TimeSpan.FromSeconds(fallsSilent ? 1 : 20));
        var heard = chat.SayThen("Hel", async answer =>
        {
            await (fallsSilent ? answer.Left : Task.CompletedTask);
            answer.Http.Abort();
        });
        using var client = await TalkTests.OpenAsync(postern, await postern.ChatAgentAsync(chat));
        await client.SayAsync("""{"type":"user_message","text":"a"}""");
        await client.NextAsync("agent_chat_response_part");
        await client.NextAsync("agent_chat_response_part");
        heard.Release();
        Assert.Equal("stop", (await client.NextAsync("agent_chat_response_part")).GetProperty("type").GetString());
        Assert.Equal("Hel", (await client.NextAsync("agent_response")).GetProperty("agent_response").GetString());
        Assert.Equal(type, (await client.NextAsync("error")).GetProperty("error_type").GetString());
        await client.HangUpAsync();
        Assert.Equal("Hel", (await postern.EndedAsync(client.ConversationId)).GetProperty("transcript")[1].GetProperty("message").GetString());
    }

    [Fact]
    public async Task Endpoint_ThatTricklesForever_IsLeftWhenTheWholeTakesTooLong()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await StartAsync(options => options.Chat.WholeAnswer = TimeSpan.FromSeconds(5));
        chat.Script = TalkTests.Endless;
        using var client = await TalkTests.OpenAsync(postern, await postern.ChatAgentAsync(chat));
        await client.SayAsync("""{"type":"user_message","text":"a"}""");
        await (await chat.NextAsync()).Left;
        while ((await client.NextAsync()).GetProperty("type").GetString() != "agent_response") { }
        Assert.Equal("llm_timeout", (await client.NextAsync("error")).GetProperty("error_type").GetString());
    }

    [Fact]
    public async Task Endpoint_ThatEndsWithoutItsLastLine_HasAnsweredOnceItSaidSo()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await StartAsync();
        chat.Script = static async answer =>
        {
            await answer.WriteAsync("event: message\r\nid: 1\r\ndata:{\"choices\":[{\"delta\":{\"content\":\"CRLF, no space\"}}]}\r\n\r\n");
            await answer.EventAsync("""{"choices":[{"delta":{},"finish_reason":"stop"}]}""");
        };
        using var client = await TalkTests.OpenAsync(postern, await postern.ChatAgentAsync(chat));
        await client.SayAsync("""{"type":"user_message","text":"a"}""");
        Assert.Equal("CRLF, no space", (await client.AnswerAsync()).Text);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(422)]
    public async Task Endpoint_ThatDoesNotKnowHowToCount_IsAskedWithoutThat(int status)
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await StartAsync();
        var works = chat.Script;
        chat.Script = async answer =>
        {
            if (answer.Body.TryGetProperty("stream_options", out _))
            {
                answer.Http.Response.StatusCode = status;
                return;
            }
            await works(answer);
        };
        using var client = await TalkTests.OpenAsync(postern, await postern.ChatAgentAsync(chat));
        foreach (var count in new[] { 2, 3 }) // once it is known, it is not tried again
        {
            await client.SayAsync("""{"type":"user_message","text":"a"}""");
            while ((await client.NextAsync()).GetProperty("type").GetString() != "agent_response") { }
            Assert.Equal(count, chat.Count);
        }
    }

    // Newer models of OpenAI want another name, and every other endpoint the old one: the setting serves both.
    [Fact]
    public async Task Endpoint_WhoseModelCountsThoughts_IsAskedInItsWords()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await StartAsync();
        var (works, forms) = (chat.Script, new List<string>());
        chat.Script = async answer =>
        {
            forms.Add(string.Join(' ', new[] { "max_tokens", "max_completion_tokens", "stream_options" }.Where(name => answer.Body.TryGetProperty(name, out _))));
            if (answer.Body.TryGetProperty("max_tokens", out _))
            {
                answer.Http.Response.StatusCode = 400;
                answer.Http.Response.ContentType = "application/json";
                await answer.WriteAsync("""{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}""");
                return;
            }
            Assert.Equal(50, answer.Body.GetProperty("max_completion_tokens").GetInt32());
            await works(answer);
        };
        using var client = await TalkTests.OpenAsync(postern, await postern.ChatAgentAsync(chat, more: ""","max_tokens":50"""));
        for (var i = 0; i < 2; i++)
        {
            await client.SayAsync("""{"type":"user_message","text":"a"}""");
            Assert.Equal("Hello there", (await AnswerAsync(client)));
        }
        Assert.Equal(["max_tokens stream_options", "max_completion_tokens stream_options", "max_completion_tokens stream_options"], forms); // once it is known, it is not tried again

        static async Task<string?> AnswerAsync(TalkClient client)
        {
            System.Text.Json.JsonElement one;
            while ((one = await client.NextAsync()).GetProperty("type").GetString() != "agent_response") { }
            return one.GetProperty("agent_response_event").GetProperty("agent_response").GetString();
        }
    }

    [Fact]
    [Trait("attack", "D5")]
    public async Task Name_ThatResolvesToThisMachine_IsNotDialledWithoutTheSetting()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await StartAsync(static options => options.Agents.AllowPrivateUpstreams = false);
        var agent = await TalkClient.CreateAgentAsync(postern);
        var port = new Uri(chat.Url).Port;
        using var set = await postern.Client.PutAsync($"/api/agents/{agent}/upstream", TestPostern.Json($$"""{"kind":"chat","url":"https://localhost:{{port}}/v1","model":"m"}"""), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, set.StatusCode); // a name tells nothing; its addresses are judged whenever it is dialled
        using var client = await TalkTests.OpenAsync(postern, agent);
        await client.SayAsync("""{"type":"user_message","text":"a"}""");
        Assert.Equal("The agent could not answer.", (await client.NextAsync("error")).GetProperty("message").GetString());
        Assert.Equal(0, chat.Count);
    }

    [Fact]
    public async Task Endpoint_ThatIsNotThere_IsUnreachable()
    {
        await using var postern = await StartAsync();
        string agent;
        await using (var chat = await FakeChat.StartAsync())
        {
            agent = await postern.ChatAgentAsync(chat);
        }
        using var client = await TalkTests.OpenAsync(postern, agent);
        await client.SayAsync("""{"type":"user_message","text":"a"}""");
        Assert.Equal("The agent cannot be reached at the moment.", (await client.NextAsync("error")).GetProperty("message").GetString());
    }

    private static Task<TestPostern> StartAsync(Action<Postern.Server.PosternOptions>? change = null) => TestPostern.StartAsync((folder, https) =>
    {
        var options = TestPostern.Options(folder, https);
        change?.Invoke(options);
        return options;
    });

    private static Func<FakeChat.Asked, Task> Status(int status) => answer =>
    {
        answer.Http.Response.StatusCode = status;
        answer.Http.Response.ContentType = "application/json";
        return answer.WriteAsync($$$"""{"error":{"message":"Incorrect API key provided: {{{FakeChat.Key}}}"}}""");
    };
}
