using System.Net;
using System.Text.Json;
using Postern.Tests.Storage;
using static Postern.Tests.Dialects.Algolia.UserScene;

namespace Postern.Tests.Dialects.Algolia;

/// <summary>Memory and all that is stored of a user, over the vendor's REST; one suite, run on each database.</summary>
public abstract class UserDataTests(Engine engine) : IAsyncLifetime
{
    private const string Memory = "/agent-studio/1/memory";
    private static readonly string Of = $"?agentIds={Agent}";

    private UserScene scene = null!;

    public async ValueTask InitializeAsync() => scene = await StartAsync(engine, options => (options.Memory.MaxRecords, options.Memory.MaxBytes) = (3, 8192));

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (scene is not null)
        {
            await scene.DisposeAsync();
        }
    }

    [Fact]
    public async Task Memory_WrittenChangedFoundAndForgotten_IsInTheContractsShape()
    {
        var added = await RememberAsync("ann", "Likes green apples", ""","keywords":["fruit"],"topics":["food"],"tags":["t"],"recallTriggers":["lunch"]""");
        var id = added.Body.GetProperty("objectID").GetString();
        var episode = await scene.SendAsync("POST", Memory + "/episodic", scene.LogsKey, scene.Token("ann"),
            $$"""{"text":"A talk","rawExtract":"r","observation":"o","thoughts":"t","action":"a","result":"w","agentIds":["{{Agent}}"]}""");

        var one = (await scene.SendAsync("GET", $"{Memory}/{id}{Of}", scene.LogsKey, scene.Token("ann"))).Body;
        Assert.Equal($$"""
            {"text":"Likes green apples","rawExtract":"raw","memoryType":"semantic","episode":null,"keywords":["fruit"],"topics":["food"],"_tags":["t"],"recallTriggers":["lunch"],"objectID":"{{id}}","appId":"default","agentIDs":["{{Agent}}"],"userID":"ann","createdAt":{{one.GetProperty("createdAt")}},"updatedAt":{{one.GetProperty("updatedAt")}}}
            """, one.GetRawText());
        Assert.Equal("""{"observation":"o","thoughts":"t","action":"a","result":"w"}""",
            (await scene.SendAsync("GET", $"{Memory}/{episode.Body.GetProperty("objectID").GetString()}{Of}", scene.LogsKey, scene.Token("ann"))).Body.GetProperty("episode").GetRawText());

        Assert.Equal([id], await FindAsync("ann", """{"queries":["what APPLES does one like"],"agentIds":["agent_echo"]}"""));
        Assert.Equal([id], await FindAsync("ann", """{"queries":["nothing"],"keywords":["fruit"],"topics":["food"],"agentIds":["agent_echo"]}"""));
        Assert.Empty(await FindAsync("ann", """{"queries":["apples"],"memoryType":"episodic","agentIds":["agent_echo"]}"""));
        Assert.Empty(await FindAsync("bob", """{"queries":["apples"],"agentIds":["agent_echo"]}"""));

        scene.Postern.Clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(HttpStatusCode.OK, (await scene.SendAsync("PATCH", $"{Memory}/{id}{Of}", scene.LogsKey, scene.Token("ann"), """{"text":"Likes pears"}""")).Status);
        var list = (await scene.SendAsync("GET", Memory + Of + "&limit=1", scene.LogsKey, scene.Token("ann"))).Body;
        Assert.Equal(("Likes pears", 2), (list.GetProperty("data")[0].GetProperty("text").GetString(), list.GetProperty("pagination").GetProperty("totalCount").GetInt32()));
        Assert.Equal(1, (await scene.SendAsync("GET", Memory + Of + "&memoryType=episodic", scene.LogsKey)).Body.GetProperty("pagination").GetProperty("totalCount").GetInt32());

        Assert.Equal(HttpStatusCode.NoContent, (await scene.SendAsync("DELETE", $"{Memory}/{id}{Of}", scene.LogsKey, scene.Token("ann"))).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await scene.SendAsync("GET", $"{Memory}/{id}{Of}", scene.LogsKey, scene.Token("ann"))).Status);
    }

    [Theory]
    [Trait("attack", "F1")]
    [InlineData("GET")]
    [InlineData("PATCH")]
    [InlineData("DELETE")]
    public async Task AnothersMemory_IsAnsweredByteForByteLikeNone(string method)
    {
        var id = (await RememberAsync("bob", "Bob's secret")).Body.GetProperty("objectID").GetString();
        var body = method == "PATCH" ? """{"text":"taken over"}""" : null;

        var unknown = await scene.SendAsync(method, $"{Memory}/mem_none{Of}", scene.LogsKey, scene.Token("ann"), body);
        var others = await scene.SendAsync(method, $"{Memory}/{id}{Of}", scene.LogsKey, scene.Token("ann"), body);

        Assert.Equal((HttpStatusCode.NotFound, unknown.Bytes), (unknown.Status, others.Bytes));
        Assert.Equal("Bob's secret", (await scene.SendAsync("GET", $"{Memory}/{id}{Of}", scene.LogsKey, scene.Token("bob"))).Body.GetProperty("text").GetString());
        Assert.Equal("""{"data":[],"pagination":{"page":1,"limit":10,"totalCount":0,"totalPages":0}}""", (await scene.SendAsync("GET", Memory + Of, scene.LogsKey, scene.Token("ann"))).Text);
    }

    [Fact]
    public async Task Memory_WithoutUserOrAgent_IsRefusedByName()
    {
        Assert.Equal("header", Loc(await scene.SendAsync("POST", Memory + "/semantic", scene.LogsKey, body: """{"text":"t","rawExtract":"r","agentIds":["agent_echo"]}""")));
        foreach (var agents in new[] { "[]", """["*"]""", """["*","-agent_echo"]""", """["a","b"]""", "null" })
        {
            Assert.Equal("body", Loc(await scene.SendAsync("POST", Memory + "/semantic", scene.LogsKey, scene.Token("ann"), $$"""{"text":"t","rawExtract":"r","agentIds":{{agents}}}""")));
        }
        foreach (var wrong in new[] { """{"rawExtract":"r","agentIds":["agent_echo"]}""", """{"text":"t","rawExtract":"r","topics":["secrets"],"agentIds":["agent_echo"]}""", "[]", "" })
        {
            Assert.Equal("body", Loc(await scene.SendAsync("POST", Memory + "/semantic", scene.LogsKey, scene.Token("ann"), wrong)));
        }
        Assert.Equal("query", Loc(await scene.SendAsync("GET", Memory, scene.LogsKey)));
        Assert.Equal("query", Loc(await scene.SendAsync("GET", Memory + "?agentIds=*", scene.LogsKey)));
        Assert.Equal("Agent not found", (await scene.SendAsync("GET", Memory + "?agentIds=6f1f4d8e-0000-4000-8000-000000000000", scene.LogsKey)).Message);

        static string? Loc(Answer answer)
        {
            Assert.Equal(HttpStatusCode.UnprocessableEntity, answer.Status);
            return answer.Body.GetProperty("detail")[0].GetProperty("loc")[0].GetString();
        }
    }

    [Fact]
    public async Task Memory_ThatIsFull_IsRefusedAndNothingIsLost()
    {
        var ids = new List<string?>();
        for (var i = 0; i < 3; i++)
        {
            ids.Add((await RememberAsync("ann", $"Fact {i}")).Body.GetProperty("objectID").GetString());
        }
        var full = await RememberAsync("ann", "One too many");

        Assert.Equal(HttpStatusCode.UnprocessableEntity, full.Status);
        Assert.Contains("at most 3 records", full.Body.GetProperty("detail")[0].GetProperty("msg").GetString(), StringComparison.Ordinal);
        Assert.Equal(3, (await scene.SendAsync("GET", Memory + Of, scene.LogsKey, scene.Token("ann"))).Body.GetProperty("data").GetArrayLength());
        Assert.Equal(HttpStatusCode.OK, (await RememberAsync("bob", "Another's is another's")).Status);
        await scene.SendAsync("DELETE", $"{Memory}/{ids[0]}{Of}", scene.LogsKey, scene.Token("ann"));
        Assert.Equal(HttpStatusCode.OK, (await RememberAsync("ann", "There is room")).Status);
    }

    [Fact]
    [Trait("attack", "F13")]
    public async Task UserData_ShowsAndErasesOneUserAlone()
    {
        await scene.SayAsync("ann", "c1", "Ann asks", "Ann hears");
        await scene.SayAsync("bob", "c1", "Bob asks", "Bob hears");
        await RememberAsync("ann", "Ann's");
        await RememberAsync("bob", "Bob's");

        var nobody = await scene.SendAsync("GET", "/agent-studio/1/user-data/nobody", scene.LogsKey);
        var ann = (await scene.SendAsync("GET", "/agent-studio/1/user-data/ann", scene.LogsKey)).Body;
        Assert.Equal((HttpStatusCode.OK, """{"conversations":[],"memories":[]}"""), (nobody.Status, nobody.Text));
        Assert.Equal(("Ann asks", 2), (ann.GetProperty("conversations")[0].GetProperty("title").GetString(), ann.GetProperty("conversations")[0].GetProperty("messages").GetArrayLength()));
        Assert.Equal("Ann's", Assert.Single(ann.GetProperty("memories").EnumerateArray()).GetProperty("text").GetString());
        // A token narrows even the key that sees everything.
        Assert.Equal(nobody.Bytes, (await scene.SendAsync("GET", "/agent-studio/1/user-data/ann", scene.LogsKey, scene.Token("bob"))).Bytes);
        Assert.Equal(HttpStatusCode.NoContent, (await scene.SendAsync("DELETE", "/agent-studio/1/user-data/ann", scene.LogsKey, scene.Token("bob"))).Status);
        Assert.Equal(1, (await scene.SendAsync("GET", "/agent-studio/1/user-data/ann", scene.LogsKey)).Body.GetProperty("memories").GetArrayLength());

        Assert.Equal(HttpStatusCode.NoContent, (await scene.SendAsync("DELETE", "/agent-studio/1/user-data/ann", scene.LogsKey)).Status);

        var left = (await scene.SendAsync("GET", "/agent-studio/1/user-data/ann", scene.LogsKey)).Body;
        var row = Assert.Single(left.GetProperty("conversations").EnumerateArray());
        Assert.Equal((0, 0, JsonValueKind.Null), (row.GetProperty("messages").GetArrayLength(), row.GetProperty("messageCount").GetInt32(), row.GetProperty("title").ValueKind));
        Assert.Equal(0, left.GetProperty("memories").GetArrayLength());
        var bob = (await scene.SendAsync("GET", "/agent-studio/1/user-data/bob", scene.LogsKey)).Body;
        Assert.Equal((2, 1), (bob.GetProperty("conversations")[0].GetProperty("messages").GetArrayLength(), bob.GetProperty("memories").GetArrayLength()));
    }

    [Fact]
    public async Task UserData_OfNamesThatAServerConfuses_AreApart()
    {
        string[] users = ["a/b", "a%2Fb", "a%252Fb", "a b", "a+b", "josé", "jose\u0301", "ａ", "😀", "..."];
        foreach (var user in users)
        {
            await scene.SayAsync(user, "c", $"I am {user}", "Hello");
        }
        foreach (var user in users)
        {
            var shown = await scene.SendAsync("GET", "/agent-studio/1/user-data/" + Uri.EscapeDataString(user), scene.LogsKey);
            Assert.Equal((HttpStatusCode.OK, $"I am {user}"), (shown.Status, Assert.Single(shown.Body.GetProperty("conversations").EnumerateArray()).GetProperty("title").GetString()));
            Assert.Equal($"I am {user}", (await scene.SendAsync("GET", Conversations + "/c", scene.SearchKey, scene.Token(user))).Body.GetProperty("title").GetString());
        }
        Assert.Equal(HttpStatusCode.NotFound, (await scene.SendAsync("GET", "/agent-studio/1/user-data/a/b", scene.LogsKey)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await scene.SendAsync("GET", "/agent-studio/1/user-data/%ff", scene.LogsKey)).Status);
        Assert.Equal("""{"conversations":[],"memories":[]}""", (await scene.SendAsync("GET", "/agent-studio/1/user-data/%09", scene.LogsKey)).Text);
    }

    private Task<Answer> RememberAsync(string user, string text, string more = "") =>
        scene.SendAsync("POST", Memory + "/semantic", scene.LogsKey, scene.Token(user), $$"""{"text":"{{text}}","rawExtract":"raw","agentIds":["{{Agent}}"]{{more}}}""");

    private async Task<List<string?>> FindAsync(string user, string search) =>
        [.. (await scene.SendAsync("POST", Memory + "/search", scene.LogsKey, scene.Token(user), search)).Body.GetProperty("results").EnumerateArray().Select(record => record.GetProperty("objectID").GetString())];
}

public sealed class SqliteUserDataTests() : UserDataTests(Engine.Sqlite);

public sealed class PostgresUserDataTests() : UserDataTests(Engine.Postgres);
