using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Conversations;
using Postern.Core.Projects;
using Postern.Server;
using Postern.Server.Cli;
using Postern.Server.Storage;

namespace Postern.Tests.Storage;

/// <summary>What is kept no longer, and what is moved from before; one suite, run on each database.</summary>
public abstract class ConversationSweepTests(Engine engine) : IAsyncLifetime
{
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);
    private static readonly Owner Ann = new(ProjectId.Default, Store.DemoAgent, "ann");

    private readonly string folder = System.IO.Directory.CreateTempSubdirectory("postern-sweep-").FullName;
    private TestDatabase database = null!;
    private Store store = null!;

    private PosternOptions Options => new() { Data = folder, Database = database.ConnectionString };

    public async ValueTask InitializeAsync()
    {
        database = await TestDatabase.CreateAsync(engine);
        store = Store.Open(Options, TimeProvider.System);
        await store.FirstStartAsync(Options, null);
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (store is not null)
        {
            await store.DisposeAsync();
        }
        if (database is not null)
        {
            await database.DisposeAsync();
        }
        System.IO.Directory.Delete(folder, recursive: true);
    }

    [Fact]
    [Trait("attack", "G1")]
    public async Task SessionsOfANodeThatNeverCameBack_AreEndedWhenTheirTimeIsOver_AndTheNodeIsForgotten()
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        await store.Writer.WriteAsync(transaction =>
        {
            transaction.Execute("insert into node (name, beat, dead) values ('gone', 9, 1), ('live', 9, 0)");
            foreach (var (id, node, endBy) in new[] { ("over", "gone", now - 1000), ("going on", "gone", now + 1000_000), ("held", "live", now - 1000) })
            {
                transaction.Execute("insert into session (id, project_id, agent_id, node, started_at, end_by) values ($1, 'default', 'agent_echo', $2, 1, $3)", id, node, endBy);
            }
        });

        Assert.Equal(1, await store.EndAbandonedSessionsAsync());
        Assert.Equal(["gone", "live"], Texts("select name from node order by name"));
        await store.Writer.WriteAsync(transaction => transaction.Execute("update session set end_by = $1 where id = 'going on'", now - 1000));
        Assert.Equal(1, await store.EndAbandonedSessionsAsync());
        Assert.Equal(0, await store.EndAbandonedSessionsAsync());

        Assert.Equal(["live"], Texts("select name from node"));
        Assert.Equal(["held"], Texts("select id from session where ended_at is null"));
        Assert.Equal(["over Lost", "going on Lost"], Texts("select session_id || ' ' || reason from audit where name = 'session.ended' order by seq"));

        List<string> Texts(string sql) => store.Database.Query(sql, static reader => reader.GetString(0));
    }

    [Fact]
    public async Task Turn_ForgetsWhatMintsOfDaysAgoHaveFixed()
    {
        await store.Writer.WriteAsync(transaction =>
        {
            foreach (var (id, until) in new[] { ("old", Now.AddMinutes(-1)), ("young", Now.AddMinutes(1)) })
            {
                transaction.Execute("insert into fixed_values (credential_id, sealed, until) values ($1, $2, $3)", id, new byte[] { 1 }, until.ToUnixTimeMilliseconds());
            }
        });

        Assert.True(await store.Sweep.TakeTurnAsync(Now));

        Assert.Equal(["young"], store.Database.Query("select credential_id from fixed_values", static reader => reader.GetString(0)));
    }

    [Fact]
    public async Task Sweep_RemovesWhatIsOlder_InBatchesThatItTells()
    {
        await Task.WhenAll(Enumerable.Range(0, 1100).Select(i => SayAsync($"old{i}", Now.AddDays(-91))));
        await SayAsync("young", Now.AddDays(-89));
        await SayAsync("long", Now.AddDays(-100), "first");
        await SayAsync("long", Now.AddDays(-1), "second");
        var told = new List<int>();

        var done = Assert.Single(await store.Sweep.RunAsync(Now, state => told.Add(state.Conversations), CancellationToken.None));

        Assert.Equal((90, 1100, 1), (done.RetentionDays, done.Conversations, done.Messages));
        Assert.Equal([500, 1000, 1100, 1100], told);
        Assert.Equal(["young", "long"], store.Conversations.ReadAll(ProjectId.Default, "ann").Select(row => row.Id));
        var left = store.Conversations.ReadAll(ProjectId.Default, "ann")[1];
        Assert.Equal((1, "second"), (left.MessageCount, Assert.Single(store.Conversations.ReadMessages(left)).Text));
        Assert.Null(left.Title); // it was the beginning of the first message
        Assert.Equal(1100L, store.Database.Query("select cast(sum(occurrences) as bigint) from audit where name = 'conversation.swept' and detail = 'older than 90 days'", static reader => reader.GetInt64(0))[0]);
        Assert.Equal(0, Assert.Single(await store.Sweep.RunAsync(Now, _ => { }, CancellationToken.None)).Conversations);
    }

    [Fact]
    public async Task Sweep_OfAProjectThatKeepsNothing_LeavesNothing()
    {
        await SayAsync("c", Now.AddMinutes(-1));
        await store.UserData.KeepAsync(ProjectId.Default, 0, null, Now);
        await SayAsync("c", Now, "not stored");
        Assert.Equal(1, store.Conversations.ReadAll(ProjectId.Default, "ann")[0].MessageCount);
        Assert.True((await store.Memory.AddAsync(Ann, MemoryDraft.Of("not kept"), Now)).IsDenied(out _, out _));
        await store.Sweep.RunAsync(Now, _ => { }, CancellationToken.None);
        Assert.Empty(store.Conversations.ReadAll(ProjectId.Default, "ann"));
    }

    [Fact]
    public async Task Turn_IsOneNodesADay()
    {
        Assert.True(await store.Sweep.TakeTurnAsync(Now));
        Assert.False(await store.Sweep.TakeTurnAsync(Now.AddHours(22)));
        Assert.True(await store.Sweep.TakeTurnAsync(Now.AddHours(24)));
    }

    [Fact]
    public async Task Command_SweepsAndTellsHow()
    {
        await SayAsync("old", DateTimeOffset.FromUnixTimeSeconds(1_600_000_000));
        var (output, errors) = (new StringWriter(), new StringWriter());
        Assert.Equal(0, await Commands.RunAsync(["conversations", "sweep", "--json", "--data", folder, "--database", database.ConnectionString], output, errors));
        var row = System.Text.Json.JsonElement.Parse(output.ToString())[0];
        Assert.Equal(("default", 90, 1, 0), (row.GetProperty("project").GetString(), row.GetProperty("retention_days").GetInt32(), row.GetProperty("conversations").GetInt32(), row.GetProperty("messages").GetInt32()));
        Assert.Equal(0, await Commands.RunAsync(["conversations", "keep", "30", "--data", folder, "--database", database.ConnectionString], output, errors));
        Assert.Equal(30, store.UserData.RetentionDays(ProjectId.Default));
        Assert.Equal(2, await Commands.RunAsync(["conversations", "keep", "31", "--data", folder, "--database", database.ConnectionString], output, errors));
    }

    [Fact]
    [Trait("attack", "G2")]
    public async Task Node_ThatWasAwayForLongerThanChangesAreKept_ReadsEverythingAgain()
    {
        await using var here = new Node(database.Open(), "node-1", secrets: await File.ReadAllBytesAsync(Path.Combine(folder, "secrets.key"), TestContext.Current.CancellationToken));
        await here.Agents.CreateAsync(here.Row("agent_gone"), null);
        var text = ApiKeyText.Create();
        var key = await here.Keys.CreateApiKeyAsync(ProjectId.Default, "ci", text, Scopes.Mint);
        var directory = here.Feed.Load(here.Keys.ReadRing()!);
        var told = new List<string>();
        here.Feed.Changed += (kind, id) => told.Add($"{kind} {id}");

        await store.Agents.DeleteAsync(ProjectId.Default, new AgentId("agent_gone"), null);
        await store.Keys.RevokeApiKeyAsync(key.Id);
        await store.Sweep.TakeTurnAsync(Now);
        await store.Sweep.TakeTurnAsync(Now.AddDays(1));
        Assert.Equal(1L, store.Database.Query("select count(*) from change", static reader => reader.GetInt64(0))[0]);
        await here.Feed.CatchUpAsync();

        Assert.Null(directory.Find(new AgentId("agent_gone")));
        Assert.Equal(DenialReason.KeyInvalid, directory.Verify(text, Scopes.Mint).Denial?.Reason);
        Assert.Contains("agent agent_gone", told); // what ends its live sessions
    }

    [Fact]
    public async Task ReadableRows_OfBefore_AreSealedAndMoved()
    {
        await store.Writer.WriteAsync(transaction =>
        {
            transaction.Execute(
                """
                create table former_conversation (id text primary key, project_id text, agent_id text, subject text, claimed_subject text, credential_id text, authorization_method text, initiation text,
                    text_only integer, started_at bigint, ended_at bigint, end_reason text, close_code integer, detail text, message_count integer, likes integer, dislikes integer, feedback text, rating integer, comment text)
                """);
            transaction.Execute("create table former_turn (conversation_id text, position integer, role text, message text, at bigint)");
            transaction.Execute("insert into former_conversation values ('conv_1', 'default', 'agent_echo', null, 'bob', null, 'signed_url', '{\"a\":1}', 1, 1000, 2000, 'ClientClosed', 1000, null, 2, 1, 0, 'like', 5, 'fine')");
            transaction.Execute("insert into former_turn values ('conv_1', 1, 'user', 'readable words', 1500), ('conv_1', 0, 'agent', 'Hello', 1000)");
            return true;
        });
        await store.DisposeAsync();

        store = Store.Open(Options, TimeProvider.System);

        var row = store.Conversations.Read(Sight.All, "conv_1")!;
        Assert.Equal((null, "bob", "{\"a\":1}", "readable words", "fine", 2, 5), (row.Subject, row.User, row.Initiation, row.Title, row.Comment, row.MessageCount, row.Rating));
        Assert.Equal(["0 Agent Hello", "1 User readable words"], store.Conversations.ReadTurns(row).Select(turn => $"{turn.Position} {turn.Role} {turn.Message}"));
        Assert.Throws<StorageException>(() => store.Database.Query("select 1 from former_turn", static reader => reader.GetInt32(0)));
    }

    private Task SayAsync(string id, DateTimeOffset at, string text = "words") => store.Conversations.AppendAsync(Ann, id, [Message.Of("m" + at.Ticks, TurnRole.User, text, at)], at);
}

public sealed class SqliteConversationSweepTests() : ConversationSweepTests(Engine.Sqlite);

public sealed class PostgresConversationSweepTests() : ConversationSweepTests(Engine.Postgres);
