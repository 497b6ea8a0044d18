using System.Diagnostics;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Projects;

namespace Postern.Tests.Storage;

[Collection(nameof(Alone))]
public sealed class DirectoryFeedTests
{
    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "B16")]
    public async Task Changes_OfAnotherProcess_ArriveWithinASecond(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var here = await Node.StartAsync(database, "node-1");
        await using var there = new Node(database.OpenMigrated(), "node-2");
        var directory = here.Feed.Load(here.Keys.ReadRing()!);
        here.Feed.Start();
        var text = ApiKeyText.Create();

        await ShowsAsync(() => there.Agents.CreateAsync(there.Row("agent_a"), null), () => directory.Find(new AgentId("agent_a")) is not null);
        var key = await ShowsAsync(() => there.Keys.CreateApiKeyAsync(ProjectId.Default, "ci", text, Scopes.Mint), () => directory.Verify(text, Scopes.Mint).Denial is null);
        await ShowsAsync(() => there.Keys.RevokeApiKeyAsync(key.Id), () => directory.Verify(text, Scopes.Mint).Denial?.Reason == DenialReason.KeyInvalid);
        var ring = await ShowsAsync(() => there.Keys.RotateSigningKeyAsync(TimeSpan.FromHours(1)), () => directory.Ring.Keys.Length == 2);
        Assert.Equal(ring, directory.Ring.Active.Id);
        await ShowsAsync(
            () => there.Agents.ChangeAsync(ProjectId.Default, new AgentId("agent_a"), null, "x", row => row with { Document = "{}" }),
            () => directory.Find(new AgentId("agent_a")) is { Access.Private: false });
        await ShowsAsync(() => there.Agents.DeleteAsync(ProjectId.Default, new AgentId("agent_a"), null), () => directory.Find(new AgentId("agent_a")) is null);
        await there.Writer.WriteAsync(transaction => transaction.Execute("insert into project (id, name, created_at) values ('other', 'other', 0)"));
        await ShowsAsync(() => there.Agents.SetDefaultsAsync(new ProjectId("other"), new Server.Storage.ProjectDefaults(null, null, true)), () => directory.LocksSessions(new ProjectId("other")));
        Assert.False(directory.LocksSessions(ProjectId.Default));
        Assert.True(there.Feed.Load(there.Keys.ReadRing()!).LocksSessions(new ProjectId("other")));
        Assert.True(here.Clock.GetUtcNow() - here.Feed.FreshAt < TimeSpan.FromSeconds(2));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "A6")]
    [Trait("attack", "A7")]
    [Trait("attack", "A22")]
    public async Task UserTokenKeys_OfAnotherProcess_ArriveWithinASecond(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var here = await Node.StartAsync(database, "node-1");
        await using var there = new Node(database.OpenMigrated(), "node-2");
        var directory = here.Feed.Load(here.Keys.ReadRing()!);
        here.Feed.Start();
        Core.Keys.UserTokenKey? Find(string id) => directory.FindUserTokenKey(ProjectId.Default, System.Text.Encoding.ASCII.GetBytes(id));
        var row = await there.UserTokenKeys.CreateAsync(ProjectId.Default, "shop", Core.Keys.UserTokenSecret.Create("sk-alg-"), [new AgentId("agent_a")], false, "key_1");

        await ShowsAsync(() => Task.CompletedTask, () => Find(row.Id) is { } key && key.Opens(new AgentId("agent_a")) && !key.Opens(new AgentId("agent_b")));
        await ShowsAsync(() => there.UserTokenKeys.ChangeAsync(ProjectId.Default, row.Id, null, present => present with { Agents = [new AgentId("agent_b")] }), () => !Find(row.Id)!.Opens(new AgentId("agent_a")));
        await ShowsAsync(() => there.UserTokenKeys.CutOffKeyAsync(ProjectId.Default, row.Id, lift: false, null), () => Find(row.Id)!.CutOff is not null);
        await Task.Delay(5, TestContext.Current.CancellationToken); // the next one is to be later by the millisecond
        await ShowsAsync(() => there.UserTokenKeys.CutOffUserAsync(ProjectId.Default, "a user/of 'theirs'", lift: false, null), () => directory.CutOff(Find(row.Id)!, "a user/of 'theirs'") > Find(row.Id)!.CutOff);
        await ShowsAsync(() => there.UserTokenKeys.CutOffUserAsync(ProjectId.Default, "a user/of 'theirs'", lift: true, null), () => directory.CutOff(Find(row.Id)!, "a user/of 'theirs'") == Find(row.Id)!.CutOff);
        // A kid is never given out twice, to whatever project, and what is not the project's is not changed.
        await Assert.ThrowsAsync<Server.Storage.StorageException>(() => there.UserTokenKeys.AddAsync(row, null));
        Assert.Null(await there.UserTokenKeys.ChangeAsync(new ProjectId("other"), row.Id, null, present => present));
        Assert.False(await there.UserTokenKeys.DeleteAsync(new ProjectId("other"), row.Id, null));
        await ShowsAsync(() => there.UserTokenKeys.DeleteAsync(ProjectId.Default, row.Id, null), () => Find(row.Id) is null);
        // A node that starts now knows the same.
        await there.UserTokenKeys.CutOffUserAsync(ProjectId.Default, "bob", lift: false, null);
        var kept = await there.UserTokenKeys.CreateAsync(ProjectId.Default, "shop", Core.Keys.UserTokenSecret.Create("sk-alg-"), [], true, "key_1");
        var later = there.Feed.Load(there.Keys.ReadRing()!);
        Assert.True(later.FindUserTokenKey(ProjectId.Default, System.Text.Encoding.ASCII.GetBytes(kept.Id)) is { SignerEncodesJson: true } found && later.CutOff(found, "bob") is not null && later.CutOff(found, "alice") is null);
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task CatchUp_AfterAWrite_ShowsIt(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        var directory = node.Feed.Load(node.Keys.ReadRing()!);
        var seen = new List<string>();
        node.Feed.Changed += (kind, id) => seen.Add($"{kind} {id} {directory.Find(new AgentId(id)) is not null}");

        await node.Agents.CreateAsync(node.Row("agent_a"), null);
        await node.Feed.CatchUpAsync();
        await node.Agents.DeleteAsync(ProjectId.Default, new AgentId("agent_a"), null);
        await node.Feed.CatchUpAsync();
        await node.Feed.CatchUpAsync();

        Assert.Equal(["agent agent_a True", "agent agent_a False"], seen);
    }

    // Two writers take their numbers at once and commit in any order: a reader that has seen a number must have seen all before it.
    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "G2")]
    public async Task Numbers_UnderConcurrentWriters_AreSeenInOrderWithoutAGap(Engine engine)
    {
        const int Agents = 200;
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var one = await Node.StartAsync(database, "node-1");
        await using var two = new Node(database.OpenMigrated(), "node-2");
        await using var reader = new Node(database.OpenMigrated(), "node-3");
        var directory = reader.Feed.Load(reader.Keys.ReadRing()!);
        var seen = new List<string>();
        reader.Feed.Changed += (_, id) => seen.Add(id);

        var writing = Task.WhenAll(Enumerable.Range(0, Agents).Select(i => Task.Run(() => (i % 2 == 0 ? one : two).Agents.CreateAsync(one.Row($"agent_{i}"), null))));
        while (!writing.IsCompleted)
        {
            await reader.Feed.CatchUpAsync();
        }
        await writing;
        await reader.Feed.CatchUpAsync();

        Assert.Equal(Agents, seen.Distinct().Count());
        Assert.Equal(Agents, seen.Count);
        Assert.Equal(Agents, directory.Agents.Length);
        Assert.Equal(reader.Scalar<long>("select max(seq) from change"), reader.Scalar<long>("select count(*) from change"));
    }

    // The same with a writer that dawdles between number and commit: the other's later number must not overtake it.
    [Fact]
    [Trait("attack", "G2")]
    public async Task Number_OfASlowCommit_IsNotOvertaken()
    {
        await using var database = await TestDatabase.CreateAsync(Engine.Postgres);
        await using var one = await Node.StartAsync(database, "node-1");
        await using var two = new Node(database.OpenMigrated(), "node-2");
        using var taken = new ManualResetEventSlim();

        var slow = one.Writer.WriteAsync(transaction =>
        {
            transaction.Changed("agent", "slow");
            taken.Set();
            Thread.Sleep(300);
        });
        Assert.True(taken.Wait(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken));
        var fast = two.Writer.WriteAsync(transaction => transaction.Changed("agent", "fast"));
        await fast;

        Assert.True(slow.IsCompletedSuccessfully || await Task.WhenAny(slow, Task.Delay(150, TestContext.Current.CancellationToken)) == slow, "the later number was committed first");
        Assert.Equal(["slow", "fast"], one.Rows("select id from change where kind = 'agent' order by seq", r => r.GetString(0)));
    }

    // An agent that cannot be read is no agent; it must not keep the others' changes, or a revocation, from arriving.
    [Fact]
    [Trait("attack", "G1")]
    public async Task Agent_WithAnUnreadableDocument_IsLeftOutAndStopsNothing()
    {
        await using var database = await TestDatabase.CreateAsync(Engine.Sqlite);
        await using var node = await Node.StartAsync(database);
        await node.Agents.CreateAsync(node.Row("agent_a"), null);
        var directory = node.Feed.Load(node.Keys.ReadRing()!);
        node.Feed.Start();

        await node.Agents.ChangeAsync(ProjectId.Default, new AgentId("agent_a"), null, "x", row => row with { Document = """{"platform_settings":{"auth":{"allowlist":[{"hostname":"\ud800"}]}}}""" });
        await node.Agents.CreateAsync(node.Row("agent_b", document: "{"), null);
        await ShowsAsync(() => node.Agents.CreateAsync(node.Row("agent_c"), null), () => directory.Find(new AgentId("agent_c")) is not null);

        Assert.Null(directory.Find(new AgentId("agent_a")));
        Assert.Null(directory.Find(new AgentId("agent_b")));
        // And so at a start.
        await using var later = new Node(database.OpenMigrated());
        Assert.Equal(["agent_c"], later.Feed.Load(later.Keys.ReadRing()!).Agents.Select(id => id.Value));
    }

    [Fact]
    [Trait("attack", "G1")]
    public async Task Listener_ThatThrows_DoesNotEndTheFeed()
    {
        await using var database = await TestDatabase.CreateAsync(Engine.Sqlite);
        await using var node = await Node.StartAsync(database);
        var directory = node.Feed.Load(node.Keys.ReadRing()!);
        var thrown = 0;
        node.Feed.Changed += (_, _) => throw (thrown++ == 0 ? new InvalidDataException() : new TimeoutException());
        node.Feed.Start();

        await ShowsAsync(() => node.Agents.CreateAsync(node.Row("agent_a"), null), () => directory.Find(new AgentId("agent_a")) is not null);
        await ShowsAsync(() => node.Agents.CreateAsync(node.Row("agent_b"), null), () => directory.Find(new AgentId("agent_b")) is not null);
    }

    private static async Task<T> ShowsAsync<T>(Func<Task<T>> change, Func<bool> shows)
    {
        var result = await change();
        var time = Stopwatch.StartNew();
        while (!shows())
        {
            Assert.True(time.Elapsed < TimeSpan.FromSeconds(15), "the change never arrived");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
        Assert.True(time.Elapsed < TimeSpan.FromSeconds(3), $"the change took {time.Elapsed.TotalMilliseconds:0} ms");
        return result;
    }

    private static Task ShowsAsync(Func<Task> change, Func<bool> shows) => ShowsAsync(async () =>
    {
        await change();
        return true;
    }, shows);
}
