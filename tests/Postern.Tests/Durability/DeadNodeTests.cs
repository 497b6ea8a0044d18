using System.Diagnostics;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text.Json;
using Postern.Tests.Flow;
using Postern.Tests.Storage;

namespace Postern.Tests.Durability;

/// <summary>Two real servers over one database: what one holds counts at the other, until it is killed and its heart has stopped.</summary>
[Collection(nameof(Alone))]
public sealed class DeadNodeTests
{
    private const string Limited = """{"name":"one","conversation_config":{},"platform_settings":{"auth":{"enable_auth":false},"call_limits":{"agent_concurrency_limit":1}}}""";

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "E6")]
    public async Task Kill_OfOneNode_FreesItsSessionsWithin15Seconds_AndNoLiveOnes(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        var folders = Enumerable.Range(0, 3).Select(_ => System.IO.Directory.CreateTempSubdirectory("postern-node-").FullName).ToList();
        using var killed = await StartAsync(0);
        using var live = await StartAsync(1);
        using var here = await StartAsync(2);
        var (first, second) = (await AgentAsync(), await AgentAsync());
        using var one = await OpenAsync(killed, first);
        using var other = await OpenAsync(live, second);
        Assert.NotNull(one);
        Assert.NotNull(other);

        await killed.KillAsync();
        var since = Stopwatch.StartNew();
        while (true)
        {
            Assert.Null(await OpenAsync(here, second));
            using var opened = await OpenAsync(here, first);
            if (opened is not null)
            {
                break;
            }
            Assert.True(since.Elapsed < TimeSpan.FromSeconds(16), "a dead node's sessions still count");
            await Task.Delay(250, TestContext.Current.CancellationToken);
        }
        Assert.True(since.Elapsed > TimeSpan.FromSeconds(5), $"found dead after {since.Elapsed.TotalSeconds:0.0} s: a slow node would be too");
        Assert.Null(await OpenAsync(here, second));
        folders.ForEach(folder => System.IO.Directory.Delete(folder, recursive: true));

        Task<ServerProcess> StartAsync(int node) => ServerProcess.StartAsync(folders[node], database.ConnectionString, Convert.ToHexString(Node.SecretsKey));

        async Task<string> AgentAsync()
        {
            using var client = new HttpClient();
            client.DefaultRequestHeaders.Add("xi-api-key", ServerProcess.Key);
            using var created = await client.PostAsync(killed.Address + "/v1/convai/agents/create", TestPostern.Json(Limited), TestContext.Current.CancellationToken);
            await Task.Delay(2000, TestContext.Current.CancellationToken); // the others hear of it within a tenth of that
            return (await created.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken)).GetProperty("agent_id").GetString()!;
        }
    }

    // Null when it is refused by the limit.
    private static async Task<ClientWebSocket?> OpenAsync(ServerProcess server, string agent)
    {
        var socket = await ConnectTests.Open($"ws{server.Address[4..]}/v1/convai/conversation?agent_id={agent}");
        await SessionTests.Send(socket, SessionTests.Hello);
        var received = await socket.ReceiveAsync(new byte[4096], TestContext.Current.CancellationToken);
        if (received.MessageType == WebSocketMessageType.Text)
        {
            return socket;
        }
        Assert.Equal(3008, (int)socket.CloseStatus!);
        socket.Dispose();
        return null;
    }
}
