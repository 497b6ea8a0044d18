using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Server.Storage;
using Postern.Tests.Credentials;

namespace Postern.Tests.Storage;

public sealed class RefusalCountTests
{
    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "E3")]
    public async Task Flood_OfRefusals_IsCountedWithoutALoss(Engine engine)
    {
        const int Flood = 5000;
        var clock = new SetClock(Forge.Now);
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database, clock: clock);

        var recorded = Enumerable.Range(0, Flood).Select(i => node.Ledger.RecordAsync(Refusal(i % 2 == 0 ? "BadSignature" : "Expired", "agent_1"))).ToList();
        Assert.Contains(recorded, task => !task.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(1));
        await Task.WhenAll(recorded);

        Assert.Equal(Flood, node.Scalar<long>("select sum(occurrences) from audit where name = $1", AuditNames.SessionRefused));
        Assert.Equal(Flood / 2, node.Scalar<long>("select sum(occurrences) from audit where reason = 'Expired'"));
        Assert.Equal(RefusalCount.RowsPerSecond + 2, node.Scalar<long>("select count(*) from audit where name = $1", AuditNames.SessionRefused));
    }

    // The agent's id is what the client says: a flood of invented ones must not be a flood of rows.
    [Fact]
    [Trait("attack", "E3")]
    public async Task Flood_OfInventedAgents_StaysBounded()
    {
        const int Flood = 20_000;
        var clock = new SetClock(Forge.Now);
        await using var database = await TestDatabase.CreateAsync(Engine.Sqlite);
        await using var node = await Node.StartAsync(database, clock: clock);

        var recorded = Enumerable.Range(0, Flood).Select(i => node.Ledger.RecordAsync(Refusal("AgentUnknown", $"agent_{i}"))).ToList();
        clock.Advance(TimeSpan.FromSeconds(1));
        await Task.WhenAll(recorded);

        Assert.Equal(Flood, node.Scalar<long>("select sum(occurrences) from audit where name = $1", AuditNames.SessionRefused));
        Assert.InRange(node.Scalar<long>("select count(*) from audit where name = $1", AuditNames.SessionRefused), 1, 2 * RefusalCount.RowsPerSecond);
    }

    [Fact]
    public async Task Refusals_OfSeveralSeconds_HaveRowsOfTheirOwnEach()
    {
        var clock = new SetClock(Forge.Now);
        await using var database = await TestDatabase.CreateAsync(Engine.Sqlite);
        await using var node = await Node.StartAsync(database, clock: clock);
        for (var second = 0; second < 3; second++)
        {
            await Task.WhenAll(Enumerable.Range(0, RefusalCount.RowsPerSecond).Select(_ => node.Ledger.RecordAsync(Refusal("Expired", "agent_1") with { At = clock.GetUtcNow() })));
            clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(3 * RefusalCount.RowsPerSecond, node.Scalar<long>("select count(*) from audit where occurrences = 1 and reason = 'Expired'"));
    }

    [Fact]
    [Trait("attack", "G1")]
    public async Task Outage_DuringAFlood_LosesNoCount()
    {
        var clock = new SetClock(Forge.Now);
        await using var database = await TestDatabase.CreateAsync(Engine.Sqlite);
        await using var node = await Node.StartAsync(database, clock: clock);
        await node.Writer.WriteAsync(transaction => transaction.Execute("alter table audit rename to away"));
        var recorded = Enumerable.Range(0, 1000).Select(_ => node.Ledger.RecordAsync(Refusal("Expired", "agent_1"))).ToList();
        await node.Refusals.FlushAsync();
        await Task.WhenAny(Task.WhenAll(recorded), Task.Delay(5000, TestContext.Current.CancellationToken));
        Assert.All(recorded, task => Assert.IsType<StorageException>(task.Exception?.InnerException)); // who waited is told

        await node.Writer.WriteAsync(transaction => transaction.Execute("alter table away rename to audit"));
        await node.Refusals.FlushAsync();

        Assert.Equal(1000 - RefusalCount.RowsPerSecond, node.Scalar<long>("select sum(occurrences) from audit where reason = 'Expired'"));
    }

    private static AuditEvent Refusal(string reason, string agent) => new(Forge.Now, AuditNames.SessionRefused) { Reason = reason, Agent = new AgentId(agent), Detail = "d" };
}
