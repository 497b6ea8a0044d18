using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text.Json;
using Postern.Tests.Flow;

namespace Postern.Tests.Admin;

/// <summary>What ends a live conversation from outside.</summary>
public class SessionsTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Session_EndedByAnOperator_IsToldSoAndClosed()
    {
        await using var postern = await TestPostern.StartAsync();
        using var socket = await ConnectTests.Open(await postern.SignedUrlAsync());
        var live = await LiveAsync(postern);
        Assert.Equal("agent_echo", live.GetProperty("agent").GetString());
        Assert.Equal(JsonValueKind.Null, live.GetProperty("subject").ValueKind);
        Assert.True(live.GetProperty("end_by").GetDateTimeOffset() > live.GetProperty("since").GetDateTimeOffset());

        using var ended = await postern.Client.PostAsync($"/api/sessions/{live.GetProperty("id").GetString()}/end", null, Cancel);

        Assert.Equal(HttpStatusCode.NoContent, ended.StatusCode);
        Assert.Equal((1008, "The session was ended by an operator."), await CloseAsync(socket));
    }

    [Fact]
    [Trait("attack", "B16")]
    public async Task Session_OfAnotherNode_IsListedAndEndedFromHere()
    {
        var shared = System.IO.Directory.CreateTempSubdirectory("postern-shared-").FullName;
        try
        {
            Server.PosternOptions Options(string folder, bool https) => new()
            {
                Http = new IPEndPoint(IPAddress.Loopback, 0), Https = null, Data = folder, Database = $"Data Source={Path.Combine(shared, "postern.db")}",
                Secrets = { Key = Path.Combine(shared, "secrets.key") }, Log = { Level = "warning" },
            };
            await using var here = await TestPostern.StartAsync(Options);
            await using var there = await TestPostern.StartAsync(Options);
            using var socket = await ConnectTests.Open(await there.SignedUrlAsync());
            var live = await LiveAsync(here);

            using var ended = await here.Client.PostAsync($"/api/sessions/{live.GetProperty("id").GetString()}/end", null, Cancel);

            Assert.Equal(HttpStatusCode.NoContent, ended.StatusCode);
            Assert.Equal((1008, "The session was ended by an operator."), await CloseAsync(socket));
            Assert.StartsWith("node_", live.GetProperty("node").GetString(), StringComparison.Ordinal);
        }
        finally
        {
            System.IO.Directory.Delete(shared, recursive: true);
        }
    }

    [Fact]
    [Trait("attack", "B16")]
    public async Task Session_OfADeletedAgent_IsEnded()
    {
        await using var postern = await TestPostern.StartAsync();
        using var socket = await ConnectTests.Open(await postern.SignedUrlAsync());
        await LiveAsync(postern);

        using var deleted = await postern.Client.DeleteAsync("/v1/convai/agents/agent_echo", Cancel);

        Assert.Equal(HttpStatusCode.OK, deleted.StatusCode);
        Assert.Equal((1008, "Access was revoked."), await CloseAsync(socket));
    }

    private static async Task<JsonElement> LiveAsync(TestPostern postern)
    {
        for (var i = 0; ; i++)
        {
            var sessions = (await postern.Client.GetFromJsonAsync<JsonElement>("/api/sessions", Cancel)).GetProperty("sessions");
            if (sessions.GetArrayLength() == 1 || i == 100)
            {
                return sessions[0];
            }
            await Task.Delay(20, Cancel);
        }
    }

    private static async Task<(int Code, string? Reason)> CloseAsync(ClientWebSocket socket)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        bound.CancelAfter(TimeSpan.FromSeconds(10));
        var buffer = new byte[4096];
        while ((await socket.ReceiveAsync(buffer, bound.Token)).MessageType != WebSocketMessageType.Close)
        {
        }
        return ((int)socket.CloseStatus!, socket.CloseStatusDescription);
    }
}
