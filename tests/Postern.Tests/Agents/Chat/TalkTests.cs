using System.Text.Json;
using Postern.Tests.Dialects.ElevenLabs;

namespace Postern.Tests.Agents.Chat;

/// <summary>Conversations over the ElevenLabs socket whose words come from a chat endpoint.</summary>
public class TalkTests
{
    private const string Prompt = """{"agent":{"prompt":{"prompt":"You are terse, {{name}}."},"first_message":"Hi","dynamic_variables":{"dynamic_variable_placeholders":{"name":"Bo"}}}}""";

    [Fact]
    public async Task Answer_IsPassedOnPieceByPiece_AndTheNextQuestionCarriesTheConversation()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        var heard = chat.SayInTwoPieces();
        using var client = await OpenAsync(postern, await postern.ChatAgentAsync(chat, Prompt, ""","max_tokens":50,"temperature":0.5"""));
        Assert.Equal("Hi", (await client.NextAsync("agent_response")).GetProperty("agent_response").GetString());
        await client.SayAsync("""{"type":"user_message","text":"good morning"}""");
        Assert.Equal(("", "start"), Part(await client.NextAsync("agent_chat_response_part")));
        Assert.Equal(("Hello", "delta"), Part(await client.NextAsync("agent_chat_response_part")));
        heard.Release();
        Assert.Equal((" there", "delta"), Part(await client.NextAsync("agent_chat_response_part")));
        Assert.Equal(("", "stop"), Part(await client.NextAsync("agent_chat_response_part")));
        Assert.Equal("Hello there", (await client.NextAsync("agent_response")).GetProperty("agent_response").GetString());

        var first = await chat.NextAsync();
        Assert.Equal(("/v1/chat/completions", "Bearer " + FakeChat.Key), (first.Path, first.Authorization));
        Assert.Equal(("m-1", true, 50, 0.5), (first.Body.GetProperty("model").GetString(), first.Body.GetProperty("stream").GetBoolean(),
            first.Body.GetProperty("max_tokens").GetInt32(), first.Body.GetProperty("temperature").GetDouble()));
        Assert.False(first.Body.TryGetProperty("tools", out _)); // nobody in particular has no memory
        Assert.Equal([("system", "You are terse, Bo."), ("assistant", "Hi"), ("user", "good morning")], first.Messages);

        heard.Release();
        await client.SayAsync("""{"type":"user_message","text":"and now?"}""");
        Assert.Equal([("system", "You are terse, Bo."), ("assistant", "Hi"), ("user", "good morning"), ("assistant", "Hello there"), ("user", "and now?")], (await chat.NextAsync()).Messages);
        await client.NextAsync("agent_chat_response_part");
        await client.HangUpAsync();
        Assert.Equal(["Hi", "good morning", "Hello there"], (await postern.EndedAsync(client.ConversationId)).GetProperty("transcript").EnumerateArray()
            .Select(turn => turn.GetProperty("message").GetString()!).Take(3));
    }

    [Fact]
    public async Task NewMessage_WhileAnAnswerComes_CutsItShortAndEndsTheRequest()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        using var client = await OpenAsync(postern, await postern.ChatAgentAsync(chat));
        chat.Script = Endless;
        await client.SayAsync("""{"type":"user_message","text":"one"}""");
        await client.NextAsync("agent_chat_response_part");
        await client.NextAsync("agent_chat_response_part");
        chat.Script = async answer =>
        {
            await answer.SayAsync("two");
            await answer.EndAsync();
        };
        await client.SayAsync("""{"type":"user_message","text":"stop"}""");
        await (await chat.NextAsync()).Left;
        var said = "";
        JsonElement event_;
        while ((event_ = await client.NextAsync()).GetProperty("type").GetString() == "agent_chat_response_part")
        {
            said += Part(event_.GetProperty("text_response_part")).Text;
        }
        var partial = event_.GetProperty("agent_response_event").GetProperty("agent_response").GetString()!;
        Assert.StartsWith("piece ", partial, StringComparison.Ordinal);
        Assert.EndsWith(said, partial, StringComparison.Ordinal);
        Assert.Equal("two", (await client.AnswerAsync()).Text);
        Assert.Equal([("user", "one"), ("assistant", partial), ("user", "stop")], (await chat.NextAsync()).Messages);
    }

    [Theory]
    [InlineData("leaves")]
    [InlineData("hangs up")]
    [InlineData("is ended by an operator")]
    [InlineData("hits its longest duration")]
    public async Task Session_ThatEndsWhileAnAnswerComes_EndsTheRequest(string how)
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        chat.Script = Endless;
        using var client = await OpenAsync(postern, await postern.ChatAgentAsync(chat));
        await client.SayAsync("""{"type":"user_message","text":"one"}""");
        await client.NextAsync("agent_chat_response_part");
        await client.NextAsync("agent_chat_response_part");
        switch (how)
        {
            case "leaves":
                client.Socket.Abort();
                break;
            case "hangs up":
                await client.HangUpAsync();
                break;
            case "is ended by an operator":
                using (var ended = await postern.Client.PostAsync($"/api/sessions/{client.ConversationId}/end", null, TestContext.Current.CancellationToken))
                {
                    Assert.True(ended.IsSuccessStatusCode);
                }
                break;
            default:
                postern.Clock.Advance(TimeSpan.FromMinutes(11));
                break;
        }
        await (await chat.NextAsync()).Left;
        if (how is not ("leaves" or "hangs up"))
        {
            await client.EndAsync();
        }
        Assert.StartsWith("piece ", (await postern.EndedAsync(client.ConversationId)).GetProperty("transcript")[1].GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sound_ToAnAgentWithoutAVoice_IsAnsweredOnceAndTextsStillAre()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        using var client = await OpenAsync(postern, await postern.ChatAgentAsync(chat), TalkClient.Opening);
        await client.SoundAsync([.. Sounds.Tone(500).Bytes(), .. Sounds.Silence(700).Bytes()]);
        var error = await client.NextAsync("error");
        Assert.Equal((1008, "text_only"), (error.GetProperty("code").GetInt32(), error.GetProperty("error_type").GetString()));
        await client.SayAsync("""{"type":"user_message","text":"a"}""");
        await client.NextAsync("agent_chat_response_part"); // no second error before it
        Assert.Equal([("user", "a")], (await chat.NextAsync()).Messages);
    }

    [Fact]
    public async Task Answer_LongerThanMayBe_IsCutAndTheRequestEnded()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync(static (folder, https) =>
        {
            var options = TestPostern.Options(folder, https);
            options.Chat.MaxAnswerCharacters = 100;
            return options;
        });
        chat.Script = async answer =>
        {
            await answer.SayAsync(new string('a', 99));
            await Endless(answer, "😀");
        };
        using var client = await OpenAsync(postern, await postern.ChatAgentAsync(chat));
        await client.SayAsync("""{"type":"user_message","text":"a"}""");
        await (await chat.NextAsync()).Left;
        await client.NextAsync("agent_chat_response_part");
        await client.NextAsync("agent_chat_response_part");
        await client.NextAsync("agent_chat_response_part");
        Assert.Equal(new string('a', 99), (await client.NextAsync("agent_response")).GetProperty("agent_response").GetString()); // half an emoji is none
    }

    [Fact]
    public async Task Questions_MoreThanMayBeAskedInAMinute_CostNothing()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync(static (folder, https) =>
        {
            var options = TestPostern.Options(folder, https);
            options.Chat.MaxAnswersPerMinute = 2;
            return options;
        });
        using var client = await OpenAsync(postern, await postern.ChatAgentAsync(chat));
        foreach (var last in new[] { "agent_response", "agent_response", "error" })
        {
            await client.SayAsync("""{"type":"user_message","text":"a"}""");
            while ((await client.NextAsync()).GetProperty("type").GetString() is var type && type != last)
            {
                Assert.Equal("agent_chat_response_part", type);
            }
        }
        Assert.Equal(2, chat.Count);
        postern.Clock.Advance(TimeSpan.FromMinutes(1.1));
        await client.SayAsync("""{"type":"user_message","text":"a"}""");
        await client.NextAsync("agent_chat_response_part");
        Assert.Equal(3, chat.Count);
    }

    [Fact]
    public async Task ContextualUpdate_IsTheUsersWordAndNoInstruction()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync();
        using var client = await OpenAsync(postern, await postern.ChatAgentAsync(chat));
        await client.SayAsync("""{"type":"contextual_update","text":"page 2 is open"}""");
        await client.SayAsync("""{"type":"user_message","text":"what do I see?"}""");
        Assert.Equal([("user", "[Context from the application: page 2 is open]"), ("user", "what do I see?")], (await chat.NextAsync()).Messages);
    }

    [Fact]
    public async Task LongConversation_IsSentInItsLastPart()
    {
        await using var chat = await FakeChat.StartAsync();
        await using var postern = await TestPostern.StartAsync(static (folder, https) =>
        {
            var options = TestPostern.Options(folder, https);
            options.Chat.MaxHistoryMessages = 3;
            options.Chat.MaxHistoryCharacters = 1000;
            return options;
        });
        using var client = await OpenAsync(postern, await postern.ChatAgentAsync(chat));
        foreach (var (text, count) in new[] { ("one", 1), ("two", 3), ("three", 3), (new string('x', 990), 1), (new string('y', 2000), 1) })
        {
            await client.SayAsync($$"""{"type":"user_message","text":"{{text}}"}""");
            var messages = (await chat.NextAsync()).Messages;
            Assert.Equal((count, text), (messages.Count, messages[^1].Content));
            while ((await client.NextAsync()).GetProperty("type").GetString() != "agent_response") { }
        }
    }

    internal static async Task<TalkClient> OpenAsync(TestPostern postern, string agent, string opening = TalkClient.TextOpening, string more = "")
    {
        var client = await TalkClient.ConnectAsync(await postern.SignedUrlAsync(agent, more));
        await client.SayAsync(opening);
        await client.MetadataAsync();
        return client;
    }

    internal static Task Endless(FakeChat.Asked answer) => Endless(answer, "piece ");

    private static async Task Endless(FakeChat.Asked answer, string piece)
    {
        while (!answer.Http.RequestAborted.IsCancellationRequested)
        {
            await answer.SayAsync(piece);
            await Task.Delay(5);
        }
    }

    private static (string? Text, string? Type) Part(JsonElement part) => (part.GetProperty("text").GetString(), part.GetProperty("type").GetString());
}
