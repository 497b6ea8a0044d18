using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Postern.Core.Agents;
using Postern.Tests.Dialects.Convai;
using Postern.Tests.Dialects.ElevenLabs;
using static Postern.Tests.Dialects.Algolia.UserScene;

namespace Postern.Tests.Dialects.Algolia;

/// <summary>Conversations of every dialect are in one store, and belong to whom a credential names: never to whom a client claims to be.</summary>
public sealed class OneStoreTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("attack", "F1")]
    public async Task Session_OfABoundUser_IsThatUsersToRead_AndAClaimedOneNobodys()
    {
        await using var scene = await StartAsync();
        var agent = await TalkClient.CreateAgentAsync(scene.Postern);
        var path = $"/agent-studio/1/agents/{new AgentId(agent).Uuid}/conversations";
        var bound = await HoldAsync(scene.Postern, agent, named: "ann", claimed: null, "words of ann");
        var claimed = await HoldAsync(scene.Postern, agent, named: null, claimed: "ann", "words of whoever");

        var own = await scene.SendAsync("GET", path, scene.SearchKey, scene.Token("ann"));
        var row = Assert.Single(own.Body.GetProperty("data").EnumerateArray());
        Assert.Equal((bound, "words of ann", "ann"), (row.GetProperty("id").GetString(), row.GetProperty("title").GetString(), row.GetProperty("userToken").GetString()));
        Assert.Contains("words of ann", (await scene.SendAsync("GET", $"{path}/{bound}", scene.SearchKey, scene.Token("ann"))).Text, StringComparison.Ordinal);
        var unknown = await scene.SendAsync("GET", $"{path}/conv_none", scene.SearchKey, scene.Token("ann"));
        Assert.Equal(unknown.Bytes, (await scene.SendAsync("GET", $"{path}/{claimed}", scene.SearchKey, scene.Token("ann"))).Bytes);
        Assert.Equal(unknown.Bytes, (await scene.SendAsync("GET", $"{path}/{bound}", scene.SearchKey, scene.Token("bob"))).Bytes);
        Assert.Equal(0, (await scene.SendAsync("GET", path, scene.SearchKey, scene.Token("bob"))).Body.GetProperty("data").GetArrayLength());
        Assert.Equal(2, (await scene.SendAsync("GET", path, scene.LogsKey)).Body.GetProperty("data").GetArrayLength());
        // A session's turns have ids that anybody guesses: no vote tells whether there are any.
        Assert.Equal(HttpStatusCode.NotFound, (await scene.SendAsync("POST", "/agent-studio/1/feedback", scene.SearchKey, body:
            $$"""{"messageId":"turn_1","agentId":"{{new AgentId(agent).Uuid}}","vote":1}""")).Status);

        // The operator sees both, and which is which.
        var listed = (await scene.Postern.Client.GetFromJsonAsync<JsonElement>("/v1/convai/conversations?user_id=ann", Cancel)).GetProperty("conversations").EnumerateArray().ToList();
        var users = (await scene.Postern.Client.GetFromJsonAsync<JsonElement>("/v1/convai/users", Cancel)).GetProperty("users").EnumerateArray().ToList();
        Assert.Equal((2, 2), (listed.Count, users.Count));
        foreach (var (id, source) in new[] { (bound, "credential"), (claimed, "client") })
        {
            var one = await scene.Postern.Client.GetFromJsonAsync<JsonElement>($"/v1/convai/conversations/{id}", Cancel);
            Assert.All([one, listed.Single(row => row.GetProperty("conversation_id").GetString() == id)],
                json => Assert.Equal(("ann", source), (json.GetProperty("user_id").GetString(), json.GetProperty("user_id_source").GetString())));
            var user = users.Single(user => user.GetProperty("user_id_source").GetString() == source);
            Assert.Equal(("ann", 1, id), (user.GetProperty("user_id").GetString(), user.GetProperty("conversation_count").GetInt32(), user.GetProperty("last_contact_conversation_id").GetString()));
        }
    }

    [Theory]
    [Trait("attack", "F1")]
    [InlineData(null)]
    [InlineData("xuna")]
    public async Task Session_OfABoundUserWhoClaimsAnother_GoesOnAsTheBoundOne(string? dialect)
    {
        await using var scene = await StartAsync();
        var agent = await scene.Postern.AgentAsync(dialect: dialect);
        var path = $"/agent-studio/1/agents/{new AgentId(agent).Uuid}/conversations";

        var id = await HoldAsync(scene.Postern, agent, named: "ann", claimed: "bob-who-is-claimed", "words of ann");

        Assert.Equal(id, Assert.Single((await scene.SendAsync("GET", path, scene.SearchKey, scene.Token("ann"))).Body.GetProperty("data").EnumerateArray()).GetProperty("id").GetString());
        Assert.Equal(0, (await scene.SendAsync("GET", path, scene.SearchKey, scene.Token("bob-who-is-claimed"))).Body.GetProperty("data").GetArrayLength());
        var whole = await scene.Postern.Client.GetStringAsync($"/v1/convai/conversations/{id}", Cancel);
        Assert.Contains("\"user_id\":\"ann\",\"user_id_source\":\"credential\"", whole, StringComparison.Ordinal);
        Assert.DoesNotContain("bob-who-is-claimed", whole, StringComparison.Ordinal);
        Assert.Equal(0, (await scene.Postern.Client.GetFromJsonAsync<JsonElement>("/v1/convai/conversations?user_id=bob-who-is-claimed", Cancel)).GetProperty("conversations").GetArrayLength());
    }

    [Fact]
    public async Task Agent_MadeByThisVendorsCall_IsOpenedByEveryOther()
    {
        await using var postern = await TestPostern.StartAsync();
        using var algolia = new AlgoliaClient(postern);
        var (status, made, _) = await algolia.SendAsync(HttpMethod.Post, "/agent-studio/1/agents", """{"name":"Shop","instructions":"Help with the shop."}""");
        Assert.True(status == HttpStatusCode.Created, $"{made}");
        var agent = made.GetProperty("id").GetString()!;
        Assert.Equal(3000, (await Flow.ConnectTests.Refusal(await postern.SignedUrlAsync(agent))).Code); // a draft is nobody's yet
        Assert.Equal(HttpStatusCode.OK, (await algolia.SendAsync(HttpMethod.Post, $"/agent-studio/1/agents/{agent}/publish")).Status);

        using (var client = await TalkClient.ConnectAsync(await postern.SignedUrlAsync(agent)))
        {
            await client.SayAsync(TalkClient.TextOpening);
            await client.MetadataAsync();
        }
        var secret = await Realtime.RealtimeClient.MintAsync(postern, $$"""{"agent_id":"{{agent}}"}""");
        await using (var client = await Realtime.RealtimeClient.ConnectAsync(postern, secret))
        {
            Assert.Equal("session.created", (await client.NextAsync())!.Value.GetProperty("type").GetString());
        }
        using var convai = new ConvaiClient(postern);
        var (said, answer) = await convai.PostAsync("/character/getResponse", new { userText = "hello", charID = agent }, await convai.TokenAsync());
        Assert.Equal((200, "echo: hello"), (said, answer.GetProperty("text").GetString()));
    }

    [Fact]
    public async Task SessionsConversation_IsNotAppendedTo_ByWhoeverNamesItsId()
    {
        await using var scene = await StartAsync();
        var agent = new AgentId(await TalkClient.CreateAgentAsync(scene.Postern));
        var id = await HoldAsync(scene.Postern, agent.Value, named: null, claimed: null, "said in the session");
        await scene.Store.Conversations.AppendAsync(Owner("") with { Agent = agent }, id, [Server.Storage.Message.Of("m", Server.Storage.TurnRole.User, "slipped in", scene.Now)], scene.Now);
        var whole = (await scene.SendAsync("GET", $"/agent-studio/1/agents/{agent.Uuid}/conversations/{id}", scene.LogsKey)).Text;
        Assert.Contains("said in the session", whole, StringComparison.Ordinal);
        Assert.DoesNotContain("slipped in", whole, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("attack", "F1")]
    public async Task ConvaiConversation_OfABoundUser_IsTakenUpByNobodyWhoClaimsToBe()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        var ann = await client.TokenAsync(new { end_user_id = "ann" });
        var unbound = await client.TokenAsync();
        var (status, first) = await SayAsync(ann, null);
        Assert.Equal(200, status);
        var id = first.GetProperty("sessionID").GetString();

        Assert.Equal(200, (await SayAsync(ann, id)).Status);
        Assert.NotEqual(200, (await SayAsync(unbound, id)).Status);
        Assert.NotEqual(200, (await SayAsync(unbound, id, "ann")).Status);

        Task<(int Status, JsonElement Body)> SayAsync(string token, string? session, string? user = null) =>
            client.PostAsync("/character/getResponse", new { userText = "hello", charID = "agent_echo", sessionID = session ?? "-1", end_user_id = user }, token);
    }

    private static async Task<string> HoldAsync(TestPostern postern, string agent, string? named, string? claimed, string said)
    {
        using var minted = await postern.Client.PostAsJsonAsync("/v1/convai/conversation/get-signed-url", new { agent_id = agent, user_id = named }, Cancel);
        using var client = await TalkClient.ConnectAsync((await minted.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("signed_url").GetString()!);
        await client.SayAsync($$"""{"type":"conversation_initiation_client_data","user_id":{{JsonSerializer.Serialize(claimed)}}}""");
        await client.MetadataAsync();
        await client.SayAsync(JsonSerializer.Serialize(new { type = "multimodal_message", text = new { text = said } }));
        await client.AnswerAsync();
        await client.HangUpAsync();
        await postern.EndedAsync(client.ConversationId);
        return client.ConversationId;
    }
}
