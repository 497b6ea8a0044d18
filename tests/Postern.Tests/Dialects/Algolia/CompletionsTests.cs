using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Postern.Tests.Agents.Chat;

namespace Postern.Tests.Dialects.Algolia;

/// <summary>Completions: read, answered piece by piece, ended and kept as the contract says.</summary>
public class CompletionsTests
{
    private const string Hello = """{"messages":[{"role":"user","content":"hello"}]}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Stream_AgentSpeaksInPieces_EachIsPassedOnWhenItIsThere()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        var heard = chat.SayInTwoPieces();
        using var client = new CompletionClient(postern, await postern.ChatAgentAsync(chat));

        using var stream = await client.StreamAsync("""{"id":"c","messages":[{"id":"1","role":"user","content":"one"},{"id":"2","role":"assistant","content":"two"},{"id":"3","role":"user","content":"three"}]}""");
        var first = await stream.UntilAsync("Hello");
        Assert.Equal(["start", "start-step", "text-start", "text-delta"], first);
        heard.Release();

        Assert.Equal(["text-delta", "text-end", "finish-step", "finish"], await stream.RestAsync());
        Assert.Equal([("user", "one"), ("assistant", "two"), ("user", "three")], (await chat.NextAsync()).Messages.Where(message => message.Role != "system"));
        var kept = await client.ConversationAsync("c");
        Assert.Equal("Hello there", kept[^1].Text);
        Assert.Equal(stream.MessageId, kept[^1].Id);
    }

    [Fact]
    public async Task Stream_ClientLeaves_RequestBehindItEndsAndWhatWasSaidIsKept()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        chat.SayThen("the beginning", answer => answer.Left).Release(int.MaxValue);
        using var client = new CompletionClient(postern, await postern.ChatAgentAsync(chat));

        var stream = await client.StreamAsync("""{"id":"c","messages":[{"id":"1","role":"user","content":"one"}]}""");
        await stream.UntilAsync("the beginning");
        stream.Dispose();

        await (await chat.NextAsync()).Left;
        var kept = await client.ConversationAsync("c", atLeast: 2);
        Assert.Equal([("1", "one"), (stream.MessageId, "the beginning")], kept);
        await client.EndedAsync("ClientClosed");
    }

    [Theory]
    [InlineData("ai-sdk-5", "stream=true", 200, """data: {"type":"error","errorText":"{{sentence}}"}""")]
    [InlineData("ai-sdk-4", "stream=true", 200, "3:\"{{sentence}}\"\n")]
    [InlineData("ai-sdk-5", "stream=false", 424, """{"message":"{{sentence}}"}""")]
    [InlineData("ai-sdk-4", "stream=false", 424, """{"message":"{{sentence}}"}""")]
    public async Task Answer_OfAnAgentThatFails_SaysSoAndNothingOfTheInside(string mode, string stream, int status, string expected)
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        chat.Script = async answer =>
        {
            answer.Http.Response.StatusCode = 401;
            await answer.WriteAsync("""{"error":{"message":"Incorrect API key provided: sk-canary"}}""");
        };
        using var client = new CompletionClient(postern, await postern.ChatAgentAsync(chat));

        var (found, text) = await client.SendAsync(Hello, $"compatibilityMode={mode}&{stream}");

        Assert.Equal(status, found);
        var wanted = expected.Split("{{sentence}}");
        Assert.Contains(wanted[0], text, StringComparison.Ordinal);
        Assert.Contains(wanted[1], text, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Whole_AgentTakesTooLong_EndsLongBeforeTheClientGivesUp()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        chat.Script = async answer => await answer.Left;
        using var client = new CompletionClient(postern, await postern.ChatAgentAsync(chat));

        var asking = client.SendAsync(Hello, "compatibilityMode=ai-sdk-5&stream=false");
        await chat.NextAsync();
        postern.Clock.Advance(TimeSpan.FromSeconds(21));

        var (status, text) = await asking.WaitAsync(TimeSpan.FromSeconds(10), Cancel);
        Assert.Equal(424, status);
        Assert.Contains("message", text, StringComparison.Ordinal);
        await client.EndedAsync("MaxDuration");
    }

    [Fact]
    public async Task Stream_AgentIsSilent_OnlyVersion5HearsSigns()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        var silence = new TaskCompletionSource();
        chat.Script = async answer =>
        {
            await silence.Task;
            await answer.SayAsync("at last");
            await answer.EndAsync();
        };
        using var client = new CompletionClient(postern, await postern.ChatAgentAsync(chat));
        var asking = new List<Task<(int Status, string Text)>>();
        foreach (var mode in new[] { "ai-sdk-5", "ai-sdk-4" })
        {
            asking.Add(client.SendAsync(Hello, "compatibilityMode=" + mode));
            await chat.NextAsync();
        }

        await Task.Delay(TimeSpan.FromSeconds(12), Cancel); // a sign is due after 10
        silence.SetResult();

        Assert.Contains("}\n\n: keepalive\n\ndata: ", (await asking[0]).Text, StringComparison.Ordinal);
        Assert.DoesNotContain("keepalive", (await asking[1]).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Session_OfACompletion_IsOnTheLeashLikeAnyOther()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        chat.SayThen("the beginning", answer => answer.Left).Release(int.MaxValue);
        var agent = await postern.ChatAgentAsync(chat);
        using var client = new CompletionClient(postern, agent);

        // An operator, the longest duration, the agent's end.
        foreach (var (end, reason) in new (Func<string, Task>, string)[]
        {
            (id => postern.Client.PostAsync($"/api/sessions/{id}/end", null, Cancel), "Operator"),
            (_ => Task.Run(() => postern.Clock.Advance(TimeSpan.FromHours(25))), "MaxDuration"),
            (_ => postern.Client.DeleteAsync($"/v1/convai/agents/{agent}", Cancel), "Revoked"),
        })
        {
            using var stream = await client.StreamAsync(Hello);
            await stream.UntilAsync("the beginning");
            var live = await postern.Client.GetStringAsync("/api/sessions", Cancel);
            await end(JsonElement.Parse(live).GetProperty("sessions")[0].GetProperty("id").GetString()!);

            Assert.Equal(["text-end", "error"], await stream.RestAsync());
            await client.EndedAsync(reason);
        }
    }

    [Fact]
    public async Task Server_Stops_StreamsAreToldAndEnd()
    {
        await using var chat = await FakeChat.StartAsync();
        var postern = await TestPostern.StartAsync();
        chat.SayThen("the beginning", answer => answer.Left).Release(int.MaxValue);
        using var client = new CompletionClient(postern, await postern.ChatAgentAsync(chat));
        using var stream = await client.StreamAsync(Hello);
        await stream.UntilAsync("the beginning");

        var stopping = postern.DisposeAsync();

        Assert.Equal(["text-end", "error"], await stream.RestAsync());
        await stopping;
    }

    // The session is over with its answer: how that came out is how it ended.
    [Theory]
    [InlineData("", "UpstreamUnreachable", 424, "The agent could not answer.")]
    [InlineData("Hel", "UpstreamLost", 200, "The agent cannot be reached at the moment.")]
    public async Task Answer_OfAnAgentThatFails_IsInTheAudit(string said, string reason, int status, string sentence)
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        var heard = chat.SayThen(said, answer =>
        {
            answer.Http.Abort();
            return Task.CompletedTask;
        });
        using var client = new CompletionClient(postern, await postern.ChatAgentAsync(chat));

        if (said.Length == 0)
        {
            chat.Script = answer =>
            {
                answer.Http.Response.StatusCode = 401;
                return Task.CompletedTask;
            };
            Assert.Equal(status, (await client.SendAsync(Hello, "compatibilityMode=ai-sdk-5&stream=false")).Status);
        }
        else
        {
            using var stream = await client.StreamAsync(Hello);
            await stream.UntilAsync(said);
            heard.Release();
            Assert.Equal(["text-end", "error"], await stream.RestAsync());
        }

        Assert.Equal((reason, sentence), Assert.Single(await AlgoliaClient.RowsAsync(postern, "session.ended", 1)));
    }

    // Every member of a body is optional (contract, section 3): where nothing was said there is nothing to answer, and nothing to keep.
    [Theory]
    [InlineData("{}")]
    [InlineData("""{"id":"c","messages":null}""")]
    [InlineData("""{"id":"c","messages":[]}""")]
    public async Task Request_WithoutMessages_IsAnsweredWithNothing(string body)
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        using var client = new CompletionClient(postern, await postern.ChatAgentAsync(chat));

        using (var stream = await client.StreamAsync(body))
        {
            Assert.Equal(["start", "start-step", "finish-step", "finish"], await stream.RestAsync());
        }
        var (status, text) = await client.SendAsync(body, "compatibilityMode=ai-sdk-5&stream=false");
        Assert.Equal((200, ""), (status, JsonElement.Parse(text).GetProperty("parts")[1].GetProperty("text").GetString()));
        Assert.Equal(["e", "d"], (await client.SendAsync(body, "compatibilityMode=ai-sdk-4")).Text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(line => line[..1]));
        Assert.Equal(0, chat.Count);
        await client.EndedAsync("AgentClosed");
    }

    [Theory]
    [InlineData("export")]
    [InlineData("Export")]
    public async Task Conversation_OfAnIdThatIsAnAddress_IsRefusedByName(string id)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new CompletionClient(postern, "agent_echo");

        var (status, text) = await client.SendAsync($$"""{"id":"{{id}}","messages":[{"id":"m","role":"user","content":"hello"}]}""");

        Assert.Equal(422, status);
        Assert.Equal("""["body","id"]""", JsonElement.Parse(text).GetProperty("detail")[0].GetProperty("loc").GetRawText());
    }

    [Fact]
    public async Task Agent_RelayedElsewhere_HasNoCompletionsAndSaysSo()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new CompletionClient(postern, await postern.AgentAsync(upstream: "ws://127.0.0.1:9/"));

        var (status, text) = await client.SendAsync(Hello);

        Assert.Equal(422, status);
        Assert.Contains("only agents hosted here answer completions", text, StringComparison.Ordinal);
        await client.EndedAsync("FirstMessageRefused");
    }

    [Fact]
    public async Task Agent_OfOtherDialectsAlone_IsUnknown()
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await postern.AgentAsync();
        using var only = await postern.Client.PutAsync($"/api/agents/{agent}/dialects", TestPostern.Json("""{"only":["elevenlabs"]}"""), Cancel);
        Assert.True(only.IsSuccessStatusCode, await only.Content.ReadAsStringAsync(Cancel));
        using var client = new CompletionClient(postern, new Core.Agents.AgentId(agent).Uuid);

        Assert.Equal(404, (await client.SendAsync(Hello)).Status);
    }

    [Fact]
    public async Task Conversation_OfAnIdThatTwoUsersUse_IsTwo()
    {
        await using var postern = await TestPostern.StartAsync();
        using var vendor = new AlgoliaClient(postern);
        var key = await vendor.CreateKeyAsync();
        using var alice = new CompletionClient(postern, "agent_echo", vendor.Token(key, "alice"));
        using var bob = new CompletionClient(postern, "agent_echo", vendor.Token(key, "bob"));
        using var nobody = new CompletionClient(postern, "agent_echo");

        foreach (var (client, word) in new[] { (alice, "apple"), (bob, "banana"), (nobody, "cherry") })
        {
            Assert.Equal(200, (await client.SendAsync($$"""{"id":"same","messages":[{"id":"m","role":"user","content":"{{word}}"}]}""")).Status);
        }
        // What a client replays adds to its own alone, and changes nothing that is there.
        await bob.SendAsync("""{"id":"same","messages":[{"id":"m","role":"user","content":"changed"},{"id":"n","role":"user","content":"blueberry"}]}""");

        Assert.Equal(["apple", "echo: apple"], (await alice.ConversationAsync("same")).Select(message => message.Text));
        Assert.Equal(["banana", "echo: banana", "blueberry", "echo: blueberry"], (await bob.ConversationAsync("same")).Select(message => message.Text));
    }

    [Fact]
    public async Task Regenerated_Answer_IsKeptBesideTheFormer()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new CompletionClient(postern, "agent_echo");
        const string Body = """{"id":"c","messages":[{"id":"1","role":"user","content":"one"}],"trigger":"regenerate-message","messageId":"alg_msg_x"}""";

        await client.SendAsync(Body, "compatibilityMode=ai-sdk-5&cache=false");
        await client.SendAsync(Body, "compatibilityMode=ai-sdk-5&cache=false");

        var kept = await client.ConversationAsync("c");
        Assert.Equal(["one", "echo: one", "echo: one"], kept.Select(message => message.Text));
        Assert.Equal(3, kept.Select(message => message.Id).Distinct().Count());
    }

    [Fact]
    public async Task Memory_OfAUser_IsUsedUnlessTheRequestSaysNo()
    {
        await using var postern = await TestPostern.StartAsync();
        using var vendor = new AlgoliaClient(postern);
        using var client = new CompletionClient(postern, "agent_echo", vendor.Token(await vendor.CreateKeyAsync(), "alice"));

        using var stream = await client.StreamAsync("""{"messages":[{"role":"user","content":"remember that I like tea"}]}""");
        Assert.Equal(["start", "start-step", "tool-input-start", "tool-input-available", "tool-output-available", "text-start", "text-delta", "text-end", "finish-step", "finish"], await stream.RestAsync());
        const string Question = """{"messages":[{"role":"user","content":"what do you remember?"}]}""";
        Assert.Contains("I like tea", (await client.SendAsync(Question)).Text, StringComparison.Ordinal);
        Assert.DoesNotContain("I like tea", (await client.SendAsync(Question, "compatibilityMode=ai-sdk-5&memory=false")).Text, StringComparison.Ordinal);
        var whole = (await client.SendAsync("""{"messages":[{"role":"user","content":"remember that it rains"}]}""", "compatibilityMode=ai-sdk-5&stream=false")).Text;
        var parts = JsonElement.Parse(whole).GetProperty("parts");
        Assert.Equal("I will remember that it rains", parts[1].GetProperty("text").GetString());
        Assert.Equal(("tool-algolia_memorize", "output-available"), (parts[2].GetProperty("type").GetString(), parts[2].GetProperty("state").GetString()));
        var data = (await client.SendAsync("""{"messages":[{"role":"user","content":"remember that it snows"}]}""", "compatibilityMode=ai-sdk-4")).Text;
        Assert.Equal("f9a0ed", string.Concat(data.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line[0])));
    }

    [Theory]
    [Trait("attack", "D9")]
    [InlineData("gzip", 1000, 200)]
    [InlineData("gzip", 1 << 20, 422)]
    [InlineData("gzip", 100 << 20, 422)]
    [InlineData("plain", 1000, 422)]
    [InlineData("br", 1000, 415)]
    [InlineData("gzip, gzip", 1000, 415)]
    public async Task Body_Packed_IsReadUpToTheLimitOfWhatItUnpacksTo(string encoding, int size, int status)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new CompletionClient(postern, "agent_echo");
        var body = Encoding.UTF8.GetBytes(Hello.Replace("hello", new string('a', size), StringComparison.Ordinal));
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            gzip.Write(body);
        }
        using var content = new ByteArrayContent(encoding == "plain" ? body : packed.ToArray());
        content.Headers.TryAddWithoutValidation("Content-Encoding", encoding == "plain" ? "gzip" : encoding);

        var (found, text) = await client.SendAsync(content);

        Assert.Equal((HttpStatusCode)status, (HttpStatusCode)found);
        Assert.Equal(status == 200, text.Contains(new string('a', 1000), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Body_InPiecesAndUnderAnotherName_IsJson()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new CompletionClient(postern, "agent_echo");
        using var content = new StreamContent(new MemoryStream(Encoding.UTF8.GetBytes(Hello)));
        content.Headers.ContentType = MediaTypeHeaderValue.Parse("text/plain");

        Assert.Equal(200, (await client.SendAsync(content, chunked: true)).Status);
    }

    [Fact]
    public async Task Body_OfALongConversation_MayBeLargerThanOthers()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new CompletionClient(postern, "agent_echo");

        Assert.Equal(200, (await client.SendAsync(Hello.Replace("hello", new string('a', 500_000), StringComparison.Ordinal))).Status);
        var (status, text) = await client.SendAsync(Hello.Replace("hello", new string('a', 1 << 20), StringComparison.Ordinal));
        Assert.Equal(422, status);
        Assert.Contains("too large", text, StringComparison.Ordinal);
    }
}
