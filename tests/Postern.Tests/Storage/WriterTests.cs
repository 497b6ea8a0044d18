using Postern.Core.Audit;
using Postern.Server.Storage;
using Postern.Tests.Credentials;

namespace Postern.Tests.Storage;

public sealed class WriterTests
{
    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Group_OneJobAtFault_FailsAlone(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);

        var jobs = Enumerable.Range(0, 400).Select(i => Task.Run(() => node.Writer.WriteAsync(transaction =>
        {
            transaction.Execute("insert into redemption (credential_id, uses, first_at) values ($1, 1, 1)", i % 40 == 7 ? "twice" : $"c{i}");
            transaction.Audit(new AuditEvent(Forge.Now, "test") { Credential = $"c{i}" });
            return i % 40 == 8 ? throw new InvalidDataException("its own refusal") : i;
        }))).ToList();
        await Task.WhenAny(Task.WhenAll(jobs), Task.Delay(TimeSpan.FromSeconds(120), TestContext.Current.CancellationToken));

        var failed = jobs.Where(job => job.IsFaulted).Select(job => job.Exception!.InnerException!.GetType()).ToList();
        Assert.Equal(9, failed.Count(type => type == typeof(StorageException))); // ten were called "twice", one of them first
        Assert.Equal(10, failed.Count(type => type == typeof(InvalidDataException)));
        Assert.Equal(400 - 19, jobs.Count(job => job.IsCompletedSuccessfully));
        Assert.Equal(400 - 19, node.Scalar<long>("select count(*) from redemption"));
        Assert.Equal(400 - 19, node.Scalar<long>("select count(*) from audit where name = 'test'"));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Job_ThatThrowsAnything_LeavesTheWriterRunning(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        Func<WriteTransaction, int>[] bad =
        [
            _ => throw new InvalidOperationException("x"), _ => throw new OverflowException("x"), _ => throw new OperationCanceledException(),
            t => t.Execute("not sql"), t => t.Execute("insert into nothing values (1)"), t => t.Execute("insert into redemption values ($1)", new object()),
        ];
        foreach (var job in bad)
        {
            await Assert.ThrowsAnyAsync<Exception>(() => node.Writer.WriteAsync(job));
            await node.Ledger.RecordAsync(new AuditEvent(Forge.Now, "test"));
        }

        Assert.Equal(bad.Length, node.Scalar<long>("select count(*) from audit where name = 'test'"));
    }

    [Fact]
    public async Task Job_FromUnderWhichARowWasDeleted_IsDoneAgain()
    {
        await using var database = await TestDatabase.CreateAsync(Engine.Postgres);
        await using var node = await Node.StartAsync(database);
        var attempts = 0;

        await node.Writer.WriteAsync(transaction =>
        {
            transaction.Execute("insert into conversation (project_id, agent_id, subject, id, is_session, started_at, active_at) values ('default', 'agent_echo', 'ann', $1, 0, 1, 1)", $"c{++attempts}");
            var gone = attempts <= 3 ? -1L : transaction.Count("select seq from conversation where id = $1", $"c{attempts}"); // as if another node had deleted it by now
            return transaction.Execute("insert into message (conversation, id, role, from_agent, sealed, at) values ($1, 'm', 'user', 0, $2, 1)", gone, new byte[] { 1 });
        });

        Assert.Equal(4, attempts);
        Assert.Equal(["c4"], await node.Writer.WriteAsync(transaction => transaction.Texts("select id from conversation")));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Jobs_AtOnce_ShareCommits(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        var commits = new System.Collections.Concurrent.ConcurrentDictionary<string, int>();
        using var held = new ManualResetEventSlim();

        // Every writer thread is held by one job; what gathers meanwhile goes with the next commits.
        var writers = engine == Engine.Sqlite ? 1 : 4;
        var first = new List<Task>();
        for (var i = 0; i < writers; i++)
        {
            using var begun = new ManualResetEventSlim();
            first.Add(node.Writer.WriteAsync(_ =>
            {
                begun.Set();
                held.Wait(TimeSpan.FromSeconds(10));
            }));
            Assert.True(begun.Wait(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken));
        }
        var jobs = Enumerable.Range(0, 500).Select(_ => node.Writer.WriteAsync(transaction =>
        {
            var id = engine == Engine.Sqlite ? Environment.CurrentManagedThreadId.ToString() : transaction.Scalar("select pg_current_xact_id()::text") as string;
            transaction.Audit(new AuditEvent(Forge.Now, "test"));
            commits.AddOrUpdate(id!, 1, (_, n) => n + 1);
        })).ToList();
        held.Set();
        await Task.WhenAll([.. first, .. jobs]);

        Assert.True(commits.Count <= 8, $"{commits.Count} transactions for 500 jobs");
        Assert.Equal(500, node.Scalar<long>("select count(*) from audit where name = 'test'"));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Dispose_WithWaitingJobs_WritesThemAndRefusesMore(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        var writer = new GroupedWriter(node.Database);
        var jobs = Enumerable.Range(0, 1000).Select(_ => writer.WriteAsync(transaction => transaction.Audit(new AuditEvent(Forge.Now, "test")))).ToList();

        await writer.DisposeAsync();

        Assert.Equal(1000, node.Scalar<long>("select count(*) from audit where name = 'test'"));
        await Task.WhenAll(jobs).WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<StorageException>(() => writer.WriteAsync(static _ => { }));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Connection_OnEveryOpen_WaitsForTheDisk(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);

        if (engine == Engine.Sqlite)
        {
            Assert.Equal(2, node.Scalar<long>("pragma synchronous"));
            Assert.Equal("wal", node.Scalar<string>("pragma journal_mode"));
            Assert.Equal(1, node.Scalar<long>("pragma foreign_keys"));
        }
        else
        {
            Assert.Equal("on", node.Scalar<string>("show synchronous_commit"));
        }
    }
}
