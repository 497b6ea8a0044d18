using System.Net.Http.Json;
using System.Text.Json;

namespace Postern.Tests.Dialects.Convai;

/// <summary>A session is ended at whatever node the request for it comes out.</summary>
public class TwoNodesTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("token")]
    [InlineData("key")]
    [InlineData("nothing")]
    public async Task Disconnect_AtAnotherNode_EndsTheRoom(string with)
    {
        await using var one = await TestPostern.StartAsync();
        await using var two = await BesideAsync(one);
        using var here = new ConvaiClient(one);
        using var there = new ConvaiClient(two);
        await here.ConfigureMediaAsync();
        var token = await here.TokenAsync();
        var id = (await here.PostAsync("/connect", new { character_id = "agent_echo" }, token)).Body.GetProperty("session_id").GetString()!;
        Assert.Equal([id], await LiveAsync(one));

        Assert.Equal(404, (await there.PostAsync($"/disconnect?session_id={id}", null, await there.TokenAsync())).Status);
        Assert.Equal([id], await LiveAsync(one));
        Assert.Equal(200, (await there.PostAsync($"/disconnect?session_id={id}", null, with == "token" ? token : with == "key" ? TestPostern.Key : null)).Status);

        await UntilNoneAsync(one);
        Assert.Equal(404, (await there.PostAsync($"/disconnect?session_id={id}", null, token)).Status);
        Assert.Contains(one.Audit(), row => row is { Name: "session.ended", Reason: "ClientClosed" } && row.Session == id);
    }

    [Fact]
    public async Task Disconnect_OfASessionThatIsNoRoom_IsUnknown()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        using var socket = new System.Net.WebSockets.ClientWebSocket();
        await socket.ConnectAsync(new Uri(await postern.SignedUrlAsync()), Cancel);
        for (var i = 0; i < 250 && (await LiveAsync(postern)).Count == 0; i++)
        {
            await Task.Delay(20, Cancel);
        }
        var id = Assert.Single(await LiveAsync(postern));

        Assert.Equal(404, (await client.PostAsync($"/disconnect?session_id={id}", null, null)).Status);
        Assert.Equal(404, (await client.PostAsync($"/disconnect?session_id={id}", null, TestPostern.Key)).Status);

        Assert.Equal([id], await LiveAsync(postern));
    }

    [Fact]
    [Trait("attack", "B16")]
    public async Task Operator_AtAnotherNode_EndsASession()
    {
        await using var one = await TestPostern.StartAsync();
        await using var two = await BesideAsync(one);
        using var socket = new System.Net.WebSockets.ClientWebSocket();
        await socket.ConnectAsync(new Uri(await one.SignedUrlAsync()), Cancel);
        for (var i = 0; i < 250 && (await LiveAsync(one)).Count == 0; i++)
        {
            await Task.Delay(20, Cancel);
        }
        var id = Assert.Single(await LiveAsync(one));

        using var unknown = await two.Client.PostAsync("/api/sessions/conv_unknown/end", null, Cancel);
        using var ended = await two.Client.PostAsync($"/api/sessions/{id}/end", null, Cancel);

        Assert.Equal((404, 204), ((int)unknown.StatusCode, (int)ended.StatusCode));
        await UntilNoneAsync(one);
        Assert.Contains(one.Audit(), row => row is { Name: "session.ended", Reason: "Operator" } && row.Session == id);
    }

    // Another node: its own folder, the same database and secrets.
    private static Task<TestPostern> BesideAsync(TestPostern one) => TestPostern.StartAsync((folder, _) => new Server.PosternOptions
    {
        Http = new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), Https = null, Data = folder, Database = $"Data Source={Path.Combine(one.Folder, "postern.db")}",
        Log = { Level = "warning" }, Agents = { AllowPrivateUpstreams = true }, Secrets = { Key = Path.Combine(one.Folder, "secrets.key") },
    });

    private static async Task<List<string>> LiveAsync(TestPostern postern) =>
        [.. (await postern.Client.GetFromJsonAsync<JsonElement>("/api/sessions", Cancel)).GetProperty("sessions").EnumerateArray().Select(session => session.GetProperty("id").GetString()!)];

    private static async Task UntilNoneAsync(TestPostern postern)
    {
        for (var i = 0; i < 250 && (await LiveAsync(postern)).Count > 0; i++)
        {
            await Task.Delay(20, Cancel);
        }
        Assert.Empty(await LiveAsync(postern));
    }
}
