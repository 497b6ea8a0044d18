using System.Diagnostics;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Credentials;
using Postern.Server.Storage;
using Postern.Tests.Credentials;

namespace Postern.Tests.Storage;

/// <summary>A database that goes away denies, says so by one exception, and is used again when it is back.</summary>
[Trait("attack", "G1")]
[Collection(nameof(Alone))]
public sealed class OutageTests
{
    [Fact]
    public async Task Refused_Connection_IsAStorageException()
    {
        await using var database = Database.Postgres("Host=127.0.0.1;Port=1;Username=postern;Database=postern;Timeout=2");
        await using var node = new Node(database);

        Assert.Throws<StorageException>(() => database.Migrate(DateTimeOffset.UnixEpoch));
        Assert.Throws<StorageException>(() => node.Agents.ReadAll());
        await Assert.ThrowsAsync<StorageException>(() => node.OpenAsync(Node.Session("c", 1)));
        var gate = new ConnectionGate(Directory(), node.Ledger, new SetClock(Forge.Now));
        await Assert.ThrowsAsync<StorageException>(() => gate.AdmitAsync(new ConnectRequest(CredentialKind.SignedUrl, Credential(), null, null, null)));
    }

    [Fact]
    public async Task Killed_Backends_FailWhatTheyHadAndAreReplaced()
    {
        await using var database = await TestDatabase.CreateAsync(Engine.Postgres);
        await using var node = await Node.StartAsync(database);
        var directory = node.Feed.Load(node.Keys.ReadRing()!);
        node.Feed.Start();
        using var stop = new CancellationTokenSource();
        var (acknowledged, failed, others) = (0, 0, new System.Collections.Concurrent.ConcurrentQueue<Exception>());
        var load = Enumerable.Range(0, 16).Select(worker => Task.Run(async () =>
        {
            for (var i = 0; !stop.IsCancellationRequested; i++)
            {
                try
                {
                    await node.Ledger.RecordAsync(new AuditEvent(Forge.Now, "test") { Credential = $"{worker}-{i}" });
                    Interlocked.Increment(ref acknowledged);
                }
                catch (StorageException)
                {
                    Interlocked.Increment(ref failed);
                    await Task.Delay(5);
                }
                catch (Exception e)
                {
                    others.Enqueue(e);
                }
            }
        })).ToList();

        for (var kill = 0; kill < 8; kill++)
        {
            await Task.Delay(120, TestContext.Current.CancellationToken);
            await database.KillBackendsAsync();
        }
        await Task.Delay(200, TestContext.Current.CancellationToken);
        await stop.CancelAsync();
        await Task.WhenAll(load);

        Assert.Empty(others);
        Assert.True(acknowledged > 100, $"{acknowledged} acknowledged, {failed} failed");
        // Whatever was acknowledged is there; what failed may be there too, for its commit was sent.
        Assert.InRange(Retry(() => node.Scalar<long>("select count(*) from audit where name = 'test'")), acknowledged, acknowledged + failed);
        // The feed lives.
        await node.Agents.CreateAsync(node.Row("agent_late"), null);
        var time = Stopwatch.StartNew();
        while (directory.Find(new AgentId("agent_late")) is null && time.Elapsed < TimeSpan.FromSeconds(5))
        {
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
        Assert.NotNull(directory.Find(new AgentId("agent_late")));
    }

    [Fact]
    public async Task Killed_IdleConnections_AreNoticedBeforeTheyAreUsed()
    {
        await using var database = await TestDatabase.CreateAsync(Engine.Postgres);
        await using var node = await Node.StartAsync(database);
        await node.Agents.CreateAsync(node.Row("agent_a"), null);
        Assert.Single(node.Agents.ReadAll());

        await database.KillBackendsAsync();
        await Task.Delay(100, TestContext.Current.CancellationToken);

        Assert.Single(node.Agents.ReadAll());
        await node.Agents.CreateAsync(node.Row("agent_b"), null);
    }

    [Fact]
    public async Task Locked_Sqlite_FailsInTimeAndRecovers()
    {
        await using var database = await TestDatabase.CreateAsync(Engine.Sqlite);
        await using var node = await Node.StartAsync(database);
        using (var other = node.Database.Open())
        {
            using var held = other.BeginTransaction();
            var time = Stopwatch.StartNew();
            await Assert.ThrowsAsync<StorageException>(() => node.OpenAsync(Node.Session("c", 1)));
            Assert.True(time.Elapsed < TimeSpan.FromSeconds(20), $"{time.Elapsed}");
        }

        Assert.True(await node.OpenAsync(Node.Session("c", 1)));
    }

    private static T Retry<T>(Func<T> read)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return read();
            }
            catch (Exception e) when (attempt < 20 && e is StorageException or System.Data.Common.DbException)
            {
                Thread.Sleep(20);
            }
        }
    }

    private static Core.Directory Directory()
    {
        var directory = new Core.Directory(Forge.Ring);
        directory.Put(Node.Agent());
        return directory;
    }

    private static CredentialText Credential() => Forge.Issue(grant: Forge.Grant() with { Origins = [] }).Text;
}
