using Postern.Core.Agents;
using Postern.Core.Conversations;
using Postern.Core.Projects;
using Postern.Server;
using Postern.Server.Storage;

namespace Postern.Tests.Storage;

/// <summary>What every database keeps of memories; one suite, run on each.</summary>
public abstract class MemoryStoreTests(Engine engine) : IAsyncLifetime
{
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);
    private static readonly Owner Ann = new(ProjectId.Default, new AgentId("agent_a"), "ann");

    private TestDatabase files = null!;
    private readonly List<GroupedWriter> writers = [];

    public async ValueTask InitializeAsync() => files = await TestDatabase.CreateAsync(engine);

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        foreach (var writer in writers)
        {
            await writer.DisposeAsync();
        }
        if (files is not null)
        {
            await files.DisposeAsync();
        }
    }

    [Fact]
    public async Task Memory_IsReadByItsOwnerAlone()
    {
        var store = Open();
        Assert.False((await store.AddAsync(Ann, MemoryDraft.Of("likes apples"), Now)).IsDenied(out _, out var record));

        Assert.Equal("likes apples", Assert.Single(store.Read(Ann)).Content.Text);
        foreach (var other in new[] { Ann with { Subject = "Ann" }, Ann with { Subject = "" }, Ann with { Agent = new AgentId("agent_b") }, Ann with { Project = new ProjectId("p") } })
        {
            Assert.Empty(store.Read(other));
            Assert.Null(store.Find(other.Project, other.Agent, other.Subject, record.Id));
        }
        Assert.NotNull(store.Find(Ann.Project, Ann.Agent, null, record.Id));
    }

    [Fact]
    public async Task Nobody_IsNotRemembered()
    {
        Assert.True((await Open().AddAsync(Ann with { Subject = "" }, MemoryDraft.Of("x"), Now)).IsDenied(out var denial, out _));
        Assert.Contains("user token", denial.Detail, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("attack", "E5")]
    public async Task Limit_RacedForByManyOnTwoNodes_IsNeverPassed()
    {
        MemoryStore[] nodes = [Open(records: 10), Open(records: 10)];
        var added = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => nodes[i % 2].AddAsync(Ann, MemoryDraft.Of($"fact {i}"), Now)));

        Assert.Equal(10, added.Count(decision => !decision.IsDenied(out _, out _)));
        Assert.Equal(10, nodes[0].Read(Ann).Count);
    }

    [Fact]
    public async Task Bytes_AreCountedAsTheyCome_AndGivenBack()
    {
        var store = Open(records: 100, bytes: 5000);
        Assert.False((await store.AddAsync(Ann, MemoryDraft.Of(new string('a', 2000)), Now)).IsDenied(out _, out var big));
        Assert.True((await store.AddAsync(Ann, MemoryDraft.Of(new string('b', 2000)), Now)).IsDenied(out var full, out _));
        Assert.Contains("5000 bytes", full.Detail, StringComparison.Ordinal);
        Assert.False((await store.ChangeAsync(big, MemoryDraft.Of("small now"), Now))!.Value.IsDenied(out _, out var small));
        Assert.False((await store.AddAsync(Ann, MemoryDraft.Of(new string('b', 2000)), Now)).IsDenied(out _, out _));
        Assert.True((await store.ChangeAsync(small, MemoryDraft.Of(new string('c', 2000)), Now))!.Value.IsDenied(out _, out _));
        Assert.Equal("small now", store.Find(Ann.Project, Ann.Agent, "ann", small.Id)!.Content.Text);
        Assert.True(await store.DeleteAsync(small, null, Now));
        Assert.False(await store.DeleteAsync(small, null, Now));
        Assert.Null(await store.ChangeAsync(small, MemoryDraft.Of("gone"), Now));
    }

    private MemoryStore Open(int records = 100, int bytes = 100_000)
    {
        var database = files.OpenMigrated();
        writers.Add(new GroupedWriter(database));
        return new MemoryStore(database, writers[^1], new SecretBox(Node.SecretsKey), new MemoryOptions { MaxRecords = records, MaxBytes = bytes });
    }
}

public sealed class SqliteMemoryStoreTests() : MemoryStoreTests(Engine.Sqlite);

public sealed class PostgresMemoryStoreTests() : MemoryStoreTests(Engine.Postgres);
