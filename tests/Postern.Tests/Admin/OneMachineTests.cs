using System.Net.Http.Json;
using System.Text.Json;
using Postern.Tests.Dialects.Convai;
using Postern.Tests.Dialects.Realtime;

namespace Postern.Tests.Admin;

/// <summary>An agent is one thing: whoever's call has made it, every vendor's lists and reaches it.</summary>
public class OneMachineTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("own")]
    [InlineData("elevenlabs")]
    public async Task Agent_MadeByAnyCall_IsListedAndReachedByAll(string call)
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = call == "own" ? await CreateAsync(postern, """{"name":"one","dialect":"realtime"}""") : await postern.AgentAsync();
        using var named = await postern.Client.PutAsync($"/api/agents/{agent}/aliases", TestPostern.Json("""{"aliases":["0b1c9c9e-1d7a-4a57-9a8e-5e2f6f0f7a01"]}"""), Cancel);
        Assert.True(named.IsSuccessStatusCode);

        foreach (var name in new[] { agent, "0b1c9c9e-1d7a-4a57-9a8e-5e2f6f0f7a01" })
        {
            using var socket = new System.Net.WebSockets.ClientWebSocket();
            await socket.ConnectAsync(new Uri(await postern.SignedUrlAsync(name)), Cancel);
            await using var realtime = await RealtimeClient.ConnectAsync(postern, await RealtimeClient.MintAsync(postern, $$$"""{"session":{"model":"{{{name}}}"}}"""), $"?model={name}");
            await realtime.OneAsync("session.created");
            using var convai = new ConvaiClient(postern);
            Assert.Equal(200, (await convai.PostAsync("/character/getResponse", new { charID = name, userText = "hi" }, await convai.TokenAsync(new { character_id = name }))).Status);
        }
        foreach (var (path, list, member) in new[] { ("/v1/convai/agents", "agents", "agent_id"), ("/api/agents", "agents", "id") })
        {
            var listed = await postern.Client.GetFromJsonAsync<JsonElement>(path, Cancel);
            Assert.Contains(agent, listed.GetProperty(list).EnumerateArray().Select(one => one.GetProperty(member).GetString()));
        }
    }

    [Theory]
    [InlineData("""{"name":"open","private":false}""", false)]
    [InlineData("""{"name":"closed","private":true}""", true)]
    [InlineData("""{"name":"unsaid"}""", true)]
    public async Task Agent_MadeByOurOwnCall_HasTheAccessThatWasSaid(string body, bool isPrivate)
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await CreateAsync(postern, body);

        await using var anybody = await RealtimeClient.ConnectAsync(postern, query: "?model=" + agent);

        Assert.Equal(isPrivate ? "error" : "session.created", (await anybody.NextAsync())!.Value.GetProperty("type").GetString());
    }

    [Theory]
    [InlineData("""{}""")]
    [InlineData("""{"name":""}""")]
    [InlineData("""{"name":"a","dialect":"none"}""")]
    [InlineData("""{"name":"a","colour":"b"}""")]
    public async Task Agent_OfAWrongForm_IsRefused(string body)
    {
        await using var postern = await TestPostern.StartAsync();
        using var answer = await postern.Client.PostAsync("/api/agents", TestPostern.Json(body), Cancel);
        Assert.Equal(400, (int)answer.StatusCode);
    }

    private static async Task<string> CreateAsync(TestPostern postern, string body)
    {
        using var made = await postern.Client.PostAsync("/api/agents", TestPostern.Json(body), Cancel);
        Assert.Equal(201, (int)made.StatusCode);
        return (await made.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("id").GetString()!;
    }
}
