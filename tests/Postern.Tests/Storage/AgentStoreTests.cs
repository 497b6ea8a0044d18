using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Projects;
using Postern.Server.Storage;

namespace Postern.Tests.Storage;

public sealed class AgentStoreTests
{
    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Agent_AllMembers_ReadBackToTheLetter(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        var upstream = new Upstream.Relay("wss://agent.example/ws", [KeyValuePair.Create("Authorization", "Bearer hidden"), KeyValuePair.Create("X", "")]);
        var row = node.Row("agent_a", "Ünïcödé 😀", """{"unknown": {"z":1.50, "a":[1, 2 ]}, "esc":"\u0000"}""", upstream);

        await node.Agents.CreateAsync(row, "key_1");
        var read = node.Agents.Read(row.Id)!;

        Assert.Equal((row.Name, row.Document, row.Dialect, row.Project), (read.Name, read.Document, read.Dialect, read.Project));
        var relay = Assert.IsType<Upstream.Relay>(read.Upstream);
        Assert.Equal(upstream.Url, relay.Url);
        Assert.Equal(upstream.Headers.AsEnumerable(), relay.Headers);
        Assert.DoesNotContain("hidden", string.Join(' ', node.Rows("select upstream_headers from agent", r => System.Text.Encoding.Latin1.GetString((byte[])r.GetValue(0)))), StringComparison.Ordinal);
        Assert.Null(node.Agents.Read(new AgentId("agent_absent")));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Changes_AtOnceFromTwoNodes_AreOneAfterTheOther(Engine engine)
    {
        const int Changes = 120;
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var one = await Node.StartAsync(database, "node-1");
        await using var two = new Node(database.OpenMigrated(), "node-2");
        string[] agents = ["agent_a", "agent_b", "agent_c"];
        foreach (var agent in agents)
        {
            await one.Agents.CreateAsync(one.Row(agent, "0"), null);
        }

        await Task.WhenAll(Enumerable.Range(0, Changes).Select(i => Task.Run(() => (i % 2 == 0 ? one : two).Agents.ChangeAsync(
            ProjectId.Default, new AgentId(agents[i % 3]), null, "count", row => row with { Name = (int.Parse(row.Name) + 1).ToString() }))));

        Assert.All(agents, agent => Assert.Equal((Changes / 3).ToString(), one.Agents.Read(new AgentId(agent))!.Name));
        Assert.Equal(Changes, one.Scalar<long>("select count(*) from audit where name = $1", AuditNames.AgentChanged));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Agent_OfAnotherProject_IsNeitherChangedNorDeleted(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        await node.Agents.CreateAsync(node.Row("agent_a"), null);
        var other = new ProjectId("other");
        var audit = node.Scalar<long>("select count(*) from audit");

        Assert.Null(await node.Agents.ChangeAsync(other, new AgentId("agent_a"), null, "x", row => row with { Name = "stolen" }));
        Assert.False(await node.Agents.DeleteAsync(other, new AgentId("agent_a"), null));
        Assert.False(await node.Agents.DeleteAsync(ProjectId.Default, new AgentId("agent_b"), null));

        Assert.Equal("support", node.Agents.Read(new AgentId("agent_a"))!.Name);
        Assert.Equal(audit, node.Scalar<long>("select count(*) from audit"));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Change_ThatThrows_ChangesNothingAndSaysWhy(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        await node.Agents.CreateAsync(node.Row("agent_a"), null);
        var before = (node.Agents.Read(new AgentId("agent_a"))!.UpdatedAt, node.Scalar<long>("select max(seq) from change"));

        await Assert.ThrowsAsync<FormatException>(() => node.Agents.ChangeAsync(ProjectId.Default, new AgentId("agent_a"), null, "x", _ => throw new FormatException("no")));

        Assert.Equal(before, (node.Agents.Read(new AgentId("agent_a"))!.UpdatedAt, node.Scalar<long>("select max(seq) from change")));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task List_PagesAndSearch_ShowEachOnce(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        for (var i = 0; i < 25; i++)
        {
            await node.Agents.CreateAsync(node.Row($"agent_{i:00}", i % 5 == 0 ? $"50%_\\{i}" : $"name {i % 3}"), null);
        }

        for (var i = 0; i < 40; i++)
        {
            var session = Node.Session(null, null, i < 30 ? node.Clock.GetUtcNow() : node.Clock.GetUtcNow().AddDays(-8));
            Assert.True(await node.OpenAsync(session with { Agent = session.Agent with { Id = new AgentId($"agent_{i % 9 + 3 * (i / 30):00}") } }));
        }

        foreach (var order in Enum.GetValues<AgentOrder>())
        {
            foreach (var descending in new[] { true, false })
            {
                var seen = new List<(AgentRow Row, string Sort)>();
                (string, string)? after = null;
                while (node.Agents.List(new AgentQuery(ProjectId.Default, "", descending, order, 4, after)) is { Count: > 0 } page)
                {
                    seen.AddRange(page);
                    after = (page[^1].Sort, page[^1].Row.Id.Value);
                }
                Assert.Equal(25, seen.Select(one => one.Row.Id).Distinct().Count());
                Assert.Equal(25, seen.Count);
                if (order == AgentOrder.CallsOfAWeek)
                {
                    string[] calls = ["4", "4", "4", "3", "3", "3", "3", "3", "3", .. Enumerable.Repeat("0", 16)];
                    Assert.Equal(descending ? calls : calls.Reverse(), seen.Select(one => one.Sort));
                }
            }
        }
        Assert.Equal(5, node.Agents.List(new AgentQuery(ProjectId.Default, "50%_\\", false, AgentOrder.Name, 100, null)).Count);
        Assert.Empty(node.Agents.List(new AgentQuery(ProjectId.Default, "5%0", false, AgentOrder.Name, 100, null)));
        Assert.Empty(node.Agents.List(new AgentQuery(new ProjectId("other"), "", false, AgentOrder.Name, 100, null)));
    }
}
