using System.Net;
using System.Text.Json;
using Postern.Tests.Storage;
using static Postern.Tests.Dialects.Algolia.UserScene;

namespace Postern.Tests.Dialects.Algolia;

/// <summary>Conversations over the vendor's REST; one suite, run on each database.</summary>
public abstract class UserConversationsTests(Engine engine) : IAsyncLifetime
{
    private UserScene scene = null!;

    public async ValueTask InitializeAsync() => scene = await StartAsync(engine);

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (scene is not null)
        {
            await scene.DisposeAsync();
        }
    }

    [Fact]
    public async Task User_WithAKeyFitForAPage_ReadsTheOwnInTheContractsShape()
    {
        var answerId = await scene.SayAsync("ann", "c1", "Where is my order?", "On its way.");
        await scene.SayAsync("bob", "c2", "Bob's secret", "Kept.");

        var list = await scene.SendAsync("GET", Conversations, scene.SearchKey, scene.Token("ann"));
        var one = await scene.SendAsync("GET", Conversations + "/c1?includeFeedback=true", scene.SearchKey, scene.Token("ann"));

        var row = Assert.Single(list.Body.GetProperty("data").EnumerateArray());
        Assert.Equal("""{"page":1,"limit":20,"totalCount":1,"totalPages":1}""", list.Body.GetProperty("pagination").GetRawText());
        Assert.Equal(("c1", Agent, "Where is my order?", "ann", 2, 2, 3, 5), (Text(row, "id"), Text(row, "agentId"), Text(row, "title"), Text(row, "userToken"),
            Number(row, "messageCount"), Number(row, "totalInputTokens"), Number(row, "totalOutputTokens"), Number(row, "totalTokens")));
        Assert.EndsWith("Z", Text(row, "createdAt"), StringComparison.Ordinal);
        Assert.Equal((false, JsonValueKind.Null), (row.GetProperty("isFromDashboard").GetBoolean(), row.GetProperty("feedback").ValueKind));
        Assert.False(row.TryGetProperty("messages", out _));
        var messages = one.Body.GetProperty("messages").EnumerateArray().ToList();
        Assert.Equal(["user", "assistant"], messages.Select(message => Text(message, "role")));
        Assert.Equal((answerId, "c1", "echo", """[{"type":"text","text":"On its way."}]"""),
            (Text(messages[1], "id"), Text(messages[1], "conversationId"), Text(messages[1], "model"), messages[1].GetProperty("parts").GetRawText()));
        Assert.Equal(0, one.Body.GetProperty("feedback").GetArrayLength());
    }

    [Theory]
    [Trait("attack", "F1")]
    [InlineData("GET", true)]
    [InlineData("GET", false)]
    [InlineData("DELETE", false)]
    public async Task AnothersConversation_IsAnsweredByteForByteLikeNone(string method, bool page)
    {
        await scene.SayAsync("bob", "guess", "Bob's secret", "Kept.");
        await scene.SayAsync("", "nobody", "Anonymous secret", "Kept.");
        await scene.SayAsync("ann", "mine", "Mine", "Kept.");
        var key = page ? scene.SearchKey : scene.LogsKey;

        var unknown = await scene.SendAsync(method, Conversations + "/none", key, scene.Token("ann"));
        foreach (var id in new[] { "guess", "nobody", "guess?userToken=bob", "nobody?userToken=" })
        {
            Assert.Equal(unknown.Bytes, (await scene.SendAsync(method, $"{Conversations}/{id}", key, scene.Token("ann"))).Bytes);
        }

        Assert.Equal((HttpStatusCode.NotFound, """{"message":"Conversation not found"}"""), (unknown.Status, unknown.Text));
        Assert.Equal(HttpStatusCode.OK, (await scene.SendAsync("GET", Conversations + "/guess", key: scene.LogsKey, scene.Token("bob"))).Status);
    }

    [Fact]
    [Trait("attack", "F1")]
    public async Task SameId_OfTwoUsersAndOfNobody_IsThreeConversations()
    {
        await scene.SayAsync("ann", "same", "Ann asks", "Ann hears");
        await scene.SayAsync("bob", "same", "Bob asks", "Bob hears");
        await scene.SayAsync("", "same", "Nobody asks", "Nobody hears");

        foreach (var (user, name) in new[] { ("ann", "Ann"), ("bob", "Bob") })
        {
            var own = await scene.SendAsync("GET", Conversations + "/same", scene.SearchKey, scene.Token(user));
            Assert.Equal((2, $"{name} asks"), (own.Body.GetProperty("messages").GetArrayLength(), Text(own.Body, "title")));
        }
        var ambiguous = await scene.SendAsync("GET", Conversations + "/same", scene.LogsKey);
        Assert.Equal((HttpStatusCode.Conflict, "Conversation id is not unique"), (ambiguous.Status, ambiguous.Message));
        Assert.Equal(HttpStatusCode.Conflict, (await scene.SendAsync("DELETE", Conversations + "/same", scene.LogsKey)).Status);
        Assert.Equal("Nobody asks", Text((await scene.SendAsync("GET", Conversations + "/same?userToken=", scene.LogsKey)).Body, "title"));
        Assert.Equal(HttpStatusCode.NoContent, (await scene.SendAsync("DELETE", Conversations + "/same?userToken=bob", scene.LogsKey)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await scene.SendAsync("GET", Conversations + "/same", scene.SearchKey, scene.Token("bob"))).Status);
        Assert.Equal(2, (await scene.SendAsync("GET", Conversations + "/same", scene.SearchKey, scene.Token("ann"))).Body.GetProperty("messages").GetArrayLength());
    }

    [Fact]
    [Trait("attack", "F3")]
    public async Task WithoutToken_AKeyFitForAPage_ReadsNothingAtAll()
    {
        await scene.SayAsync("ann", "c", "secret", "secret");
        await scene.SayAsync("", "anonymous", "secret", "secret");
        foreach (var (method, path) in new[] { ("GET", ""), ("GET", "/c"), ("GET", "/anonymous"), ("GET", "/export"), ("DELETE", "/c"), ("DELETE", "?startDate=2020-01-01") })
        {
            var answer = await scene.SendAsync(method, Conversations + path, scene.SearchKey);
            Assert.Equal((HttpStatusCode.Forbidden, "API key is missing the following ACLs: logs."), (answer.Status, answer.Message));
        }
        foreach (var (method, path) in new[] { ("DELETE", Conversations + "/c"), ("GET", Conversations + "/export"), ("GET", "/agent-studio/1/user-data/ann"), ("DELETE", "/agent-studio/1/user-data/ann"), ("GET", $"/agent-studio/1/memory?agentIds={Agent}") })
        {
            Assert.Equal(HttpStatusCode.Forbidden, (await scene.SendAsync(method, path, scene.SearchKey, scene.Token("ann"))).Status);
        }
    }

    [Fact]
    public async Task List_PagesDatesAndVotes_AreAsTheContractSays()
    {
        var answers = new List<string>();
        var first = Today();
        for (var i = 0; i < 5; i++)
        {
            answers.Add(await scene.SayAsync(i % 2 == 0 ? "ann" : "", $"c{i}", $"Question {i}", "Answer"));
            scene.Postern.Clock.Advance(TimeSpan.FromSeconds(1));
        }
        await scene.SayAsync("ann", "c0", "Again", "Newest");
        string Today() => scene.Now.ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture);
        async Task<string> IdsAsync(string query) =>
            string.Join(' ', (await scene.SendAsync("GET", $"{Conversations}?{query}", scene.LogsKey)).Body.GetProperty("data").EnumerateArray().Select(row => Text(row, "id")));

        Assert.Equal("c0 c4 c3 c2 c1", await IdsAsync(""));
        Assert.Equal("c3 c2", await IdsAsync("page=2&limit=2"));
        Assert.Equal("", await IdsAsync("page=9&limit=2"));
        Assert.Equal("c0 c4 c2", await IdsAsync("userToken=ann"));
        Assert.Equal("c3 c1", await IdsAsync("userToken="));
        Assert.Equal("c0 c4 c3 c2 c1", await IdsAsync($"startDate={first}&endDate={Today()}"));
        Assert.Equal("", await IdsAsync("endDate=2020-01-01"));
        Assert.Equal(HttpStatusCode.Created, (await VoteAsync(answers[2], 0)).Status);
        Assert.Equal("c2", await IdsAsync("includeFeedback=true&feedbackVote=0"));
        Assert.Equal("", await IdsAsync("includeFeedback=true&feedbackVote=1"));
        foreach (var wrong in new[] { "page=0", "limit=101", "limit=x", "feedbackVote=1", "includeFeedback=true&feedbackVote=2", "startDate=yesterday", "includeFeedback=perhaps" })
        {
            var answer = await scene.SendAsync("GET", $"{Conversations}?{wrong}", scene.LogsKey);
            Assert.Equal((HttpStatusCode.UnprocessableEntity, "query"), (answer.Status, answer.Body.GetProperty("detail")[0].GetProperty("loc")[0].GetString()));
        }
    }

    [Fact]
    public async Task Agent_NamedInWhateverForm_IsShownAsItsUuid()
    {
        await scene.SayAsync("ann", "c", "q", "a");
        foreach (var named in new[] { Agent, Agent.ToUpperInvariant(), "agent_echo" })
        {
            var path = $"/agent-studio/1/agents/{named}/conversations";
            var list = (await scene.SendAsync("GET", path, scene.SearchKey, scene.Token("ann"))).Body.GetProperty("data")[0];
            var whole = (await scene.SendAsync("GET", path + "/c", scene.SearchKey, scene.Token("ann"))).Body;
            var exported = (await scene.SendAsync("GET", path + "/export", scene.LogsKey)).Body[0];
            var users = (await scene.SendAsync("GET", "/agent-studio/1/user-data/ann", scene.LogsKey)).Body.GetProperty("conversations")[0];
            Assert.All([list, whole, exported, users], row => Assert.Equal(Agent, Text(row, "agentId")));
        }
    }

    // Which agent a body or a query names is known to the client: so is what is wrong there.
    [Fact]
    public async Task AgentOfNoForm_IsRefusedWhereItStands()
    {
        await AssertAsync("body agentId", "Input should be a valid UUID", "POST", "/agent-studio/1/feedback", """{"messageId":"m","agentId":"shop","vote":1}""");
        await AssertAsync("query agentIds", "Input should be a valid UUID", "GET", "/agent-studio/1/memory?agentIds=shop");
        await AssertAsync("body agentIds", "Input should be a valid UUID", "POST", "/agent-studio/1/memory/search", """{"queries":["q"],"agentIds":["shop"]}""");
        await AssertAsync("body agentIds", "Input should name exactly one agent", "POST", "/agent-studio/1/memory/search", $$"""{"queries":["q"],"agentIds":["{{Agent}}","{{Agent}}"]}""");
        await AssertAsync("path agent_id", "Input should be a valid UUID", "GET", "/agent-studio/1/agents/shop/conversations");

        async Task AssertAsync(string place, string problem, string method, string path, string? body = null)
        {
            var answer = await scene.SendAsync(method, path, TestPostern.Key, path.Contains("/memory", StringComparison.Ordinal) ? scene.Token("ann") : null, body);
            var detail = answer.Body.GetProperty("detail")[0];
            Assert.Equal((HttpStatusCode.UnprocessableEntity, place, problem),
                (answer.Status, string.Join(' ', detail.GetProperty("loc").EnumerateArray().Select(part => part.GetString())), Text(detail, "msg")));
            Assert.Equal(problem.Contains("UUID", StringComparison.Ordinal) ? "uuid_parsing" : "value_error", Text(detail, "type"));
        }
    }

    // A tool has the vendor's name wherever its clients see it; what the store has is every dialect's.
    [Fact]
    public async Task MemoryTool_KeptListedAndExported_HasTheVendorsName()
    {
        var parts = new Server.Storage.MessageParts();
        parts.Call("call", "memorize", """{"text":"tea"}""");
        parts.Result("call", "memorize", """{"status":"remembered"}""", isError: false);
        parts.Text("Noted.");
        await scene.Store.Conversations.AppendAsync(Owner("ann"), "c", [new Server.Storage.Message("m", Server.Storage.TurnRole.Agent, parts.Take()!, scene.Now)], scene.Now);
        const string expected = """[{"type":"tool-call","toolCallId":"call","toolName":"algolia_memorize","args":{"text":"tea"}},{"type":"tool-result","toolCallId":"call","toolName":"algolia_memorize","output":{"type":"json","value":{"status":"remembered"}}},{"type":"text","text":"Noted."}]""";

        var whole = (await scene.SendAsync("GET", Conversations + "/c", scene.SearchKey, scene.Token("ann"))).Body;
        var exported = (await scene.SendAsync("GET", Conversations + "/export", scene.LogsKey)).Body[0];
        var users = (await scene.SendAsync("GET", "/agent-studio/1/user-data/ann", scene.LogsKey)).Body.GetProperty("conversations")[0];

        Assert.All([whole, exported, users], row => Assert.Equal(expected, row.GetProperty("messages")[0].GetProperty("parts").GetRawText()));
    }

    [Fact]
    public async Task DeleteByDate_NeedsADate_AndTakesWhatBeganThen()
    {
        await scene.SayAsync("ann", "old", "q", "a");
        scene.Postern.Clock.Advance(TimeSpan.FromDays(2));
        await scene.SayAsync("ann", "new", "q", "a");
        var yesterday = (scene.Now - TimeSpan.FromDays(1)).ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture);

        var bare = await scene.SendAsync("DELETE", Conversations, scene.LogsKey);
        var some = await scene.SendAsync("DELETE", $"{Conversations}?endDate={yesterday}", scene.LogsKey);
        var export = await scene.SendAsync("GET", Conversations + "/export", scene.LogsKey);

        Assert.Equal((HttpStatusCode.BadRequest, "At least one filter is required."), (bare.Status, bare.Message));
        Assert.Equal(HttpStatusCode.NoContent, some.Status);
        var left = Assert.Single(export.Body.EnumerateArray());
        Assert.Equal(("new", 2), (Text(left, "id"), left.GetProperty("messages").GetArrayLength()));
    }

    [Fact]
    [Trait("attack", "F1")]
    public async Task Feedback_LastVoteWins_AndNoGuessShowsWhatOthersSaid()
    {
        var answerId = await scene.SayAsync("ann", "c", "q", "a");
        await scene.Store.Conversations.AppendAsync(Owner("ann"), "c", [Server.Storage.Message.Of("guess", Server.Storage.TurnRole.Agent, "replayed", scene.Now)], scene.Now);

        var first = await VoteAsync(answerId, 1, ""","tags":["good"],"notes":"thanks","unknown":1""");
        var second = await VoteAsync(answerId, 0);
        var unknown = await VoteAsync("none", 1);

        Assert.Equal((HttpStatusCode.Created, 1, "thanks", "echo"), (first.Status, Number(first.Body, "vote"), Text(first.Body, "notes"), Text(first.Body, "model")));
        Assert.Equal((Text(first.Body, "id"), 0), (Text(second.Body, "id"), Number(second.Body, "vote")));
        Assert.Equal(HttpStatusCode.NotFound, unknown.Status);
        // A client has chosen these ids: whether somebody has is nobody's business.
        Assert.Equal(unknown.Bytes, (await VoteAsync("guess", 1)).Bytes);
        Assert.Equal(unknown.Bytes, (await VoteAsync("q" + answerId, 1)).Bytes);
        Assert.Equal(unknown.Bytes, (await VoteAsync(answerId, 1, token: scene.Token("bob"))).Bytes);
        Assert.Equal(HttpStatusCode.Created, (await VoteAsync(answerId, 1, token: scene.Token("ann"))).Status);
        var votes = (await scene.SendAsync("GET", Conversations + "/c?includeFeedback=true", scene.LogsKey)).Body.GetProperty("feedback");
        Assert.Equal(1, Number(Assert.Single(votes.EnumerateArray()), "vote"));
        foreach (var wrong in new[] { "{}", "[]", """{"messageId":"m","agentId":"6f1f4d8e-0000-4000-8000-000000000000","vote":2}""", """{"messageId":"m","agentId":"6f1f4d8e-0000-4000-8000-000000000000","vote":1,"tags":[1]}""" })
        {
            Assert.Equal(HttpStatusCode.UnprocessableEntity, (await scene.SendAsync("POST", "/agent-studio/1/feedback", scene.SearchKey, body: wrong)).Status);
        }
        Assert.Equal("Agent not found", (await scene.SendAsync("POST", "/agent-studio/1/feedback", scene.SearchKey, body: """{"messageId":"m","agentId":"6f1f4d8e-0000-4000-8000-000000000000","vote":1}""")).Message);
    }

    [Fact]
    public async Task Retention_OfNothing_StoresNothing()
    {
        const string Path = "/agent-studio/1/configuration";
        Assert.Equal("""{"maxRetentionDays":90}""", (await scene.SendAsync("GET", Path, scene.LogsKey)).Text);
        Assert.Equal("""{"maxRetentionDays":0}""", (await scene.SendAsync("PATCH", Path, scene.LogsKey, body: """{"maxRetentionDays":0}""")).Text);
        await scene.SayAsync("ann", "c", "q", "a");
        Assert.Equal(HttpStatusCode.NotFound, (await scene.SendAsync("GET", Conversations + "/c", scene.LogsKey)).Status);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await scene.SendAsync("PATCH", Path, scene.LogsKey, body: """{"maxRetentionDays":31}""")).Status);
        var narrowed = await scene.SendAsync("PATCH", Path, scene.LogsKey, scene.Token("ann"), """{"maxRetentionDays":30}""");
        Assert.Equal(HttpStatusCode.Forbidden, narrowed.Status);
        Assert.StartsWith("This is no single user's: send it without X-Algolia-Secure-User-Token", narrowed.Message, StringComparison.Ordinal);
        Assert.Equal("""{"maxRetentionDays":0}""", (await scene.SendAsync("PATCH", Path, scene.LogsKey, body: "{}")).Text);
    }

    private Task<Answer> VoteAsync(string message, int vote, string more = "", string? token = null) =>
        scene.SendAsync("POST", "/agent-studio/1/feedback", scene.SearchKey, token, $$"""{"messageId":"{{message}}","agentId":"{{Agent}}","vote":{{vote}}{{more}}}""");

    private static string? Text(JsonElement json, string name) => json.GetProperty(name).GetString();

    private static int Number(JsonElement json, string name) => json.GetProperty(name).GetInt32();
}

public sealed class SqliteUserConversationsTests() : UserConversationsTests(Engine.Sqlite);

public sealed class PostgresUserConversationsTests() : UserConversationsTests(Engine.Postgres);
