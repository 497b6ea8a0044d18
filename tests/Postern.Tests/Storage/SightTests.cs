using System.Data.Common;
using Npgsql;
using Postern.Core.Conversations;
using Postern.Core.Projects;
using Postern.Server;
using Postern.Server.Storage;
using Postern.Tests.Cli;

namespace Postern.Tests.Storage;

/// <summary>The second wall: what PostgreSQL itself holds back, whatever a query asks for.</summary>
[Trait("attack", "F1")]
public sealed class SightTests : IAsyncLifetime
{
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);
    private static readonly ProjectId Other = new("other");

    // Some of them call themselves what a sight is written as.
    private static readonly Owner[] Owners =
        [.. from project in new[] { ProjectId.Default, Other } from subject in new[] { "", "ann", "bob", "*", "other", "other ann", "default ann" } select new Owner(project, Store.DemoAgent, subject)];

    // What each row says of whose it is, with no condition at all.
    private static readonly string[] Tables =
    [
        "select project_id || ' ' || subject from conversation", "select id from message", "select message_id from vote",
        "select project_id || ' ' || subject from memory", "select project_id || ' ' || subject from memory_size",
    ];

    private readonly string folder = System.IO.Directory.CreateTempSubdirectory("postern-sight-").FullName;
    private TestDatabase files = null!;
    private Store store = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        files = await TestDatabase.CreateAsync(Engine.Postgres);
        store = Store.Open(new PosternOptions { Data = folder, Database = files.ConnectionString }, TimeProvider.System);
        foreach (var owner in Owners)
        {
            await store.Conversations.AppendAsync(owner, "c", [Message.Of(NameOf(owner), TurnRole.Agent, "words", Now) with { FromAgent = true }], Now);
            Assert.NotNull(await store.Votes.PutAsync(owner.Project, owner.Agent, owner.Subject, NameOf(owner), 1, new VoteText([], null), Now));
            await store.Memory.AddAsync(owner, MemoryDraft.Of("words"), Now);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (store is not null)
        {
            await store.DisposeAsync();
        }
        if (files is not null)
        {
            await files.DisposeAsync();
        }
        System.IO.Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void Tables_ReadWithoutACondition_ShowTheSightAlone()
    {
        Assert.All(Owners, owner => AssertSees(store.Database, Sight.Of(owner), other => other == owner));
        AssertSees(store.Database, default, _ => false);
        AssertSees(store.Database, Sight.Of(new ProjectId("third"), "ann"), _ => false);
        AssertSees(store.Database, Sight.Of(ProjectId.Default, "ANN"), _ => false);
        AssertSees(store.Database, Sight.OfProject(Other), owner => owner.Project == Other);
        AssertSees(store.Database, Sight.All, _ => true);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Connection_UsedAgain_ShowsItsNewSightAlone(bool neverReset)
    {
        await using var database = Database.Postgres(new NpgsqlConnectionStringBuilder(files.ConnectionString) { MaxPoolSize = 1, NoResetOnClose = neverReset }.ToString());
        var backends = new HashSet<int>();
        for (var i = 0; i < 200; i++)
        {
            var owner = Owners[i * 5 % Owners.Length];
            AssertSees(database, Sight.Of(owner), other => other == owner);
            using (var connection = database.Open(i % 2 == 0 ? Sight.All : Sight.Of(owner)))
            {
                using var broken = connection.BeginTransaction();
                backends.Add((int)Scalar(connection, "select pg_backend_pid()")!);
                Assert.Throws<PostgresException>(() => Scalar(connection, "select 1 / 0"));
            }
            AssertSees(database, default, _ => false);
        }
        Assert.Single(backends);
    }

    // Such are the connections of an older version, and of whoever opens one elsewhere than in Database.
    [Theory]
    [InlineData("select 1 from conversation")]
    [InlineData("select 1 from message")]
    [InlineData("select 1 from vote")]
    [InlineData("delete from memory")]
    [InlineData("update memory_size set records = 0")]
    [InlineData("insert into conversation (project_id, agent_id, subject, id, is_session, started_at, active_at) values ('default', 'a', 'ann', 'new', 0, 0, 0)")]
    public async Task Connection_ThatSaysNothing_IsRefused(string sql)
    {
        await using var connection = new NpgsqlConnection(files.ConnectionString + ";Pooling=false");
        await connection.OpenAsync(Cancel);

        Assert.Contains("postern.sight", Assert.Throws<PostgresException>(() => Scalar(connection, sql)).MessageText, StringComparison.Ordinal);
    }

    [Fact]
    public void Rows_OutOfSight_AreNeitherChangedNorMade()
    {
        using var connection = store.Database.Open(Sight.Of(ProjectId.Default, "ann"));

        Assert.Equal(1, Execute(connection, "update memory set kind = kind"));
        Assert.Equal(0, Execute(connection, "delete from message where id = 'default bob'"));
        Assert.Throws<PostgresException>(() => Execute(connection, "update conversation set subject = 'bob', id = 'd'"));
        Assert.Throws<PostgresException>(() => Execute(connection, "insert into memory (id, project_id, agent_id, subject, kind, sealed, created_at, updated_at) values ('m', 'default', 'a', 'bob', 'semantic', '', 0, 0)"));
    }

    // Both read by the number of the conversation alone.
    [Fact]
    public void Row_WithTheNumberOfAnothersConversation_OpensNothingOfIt()
    {
        var row = store.Conversations.ReadAll(ProjectId.Default, "ann")[0];
        var others = row with { Seq = store.Conversations.ReadAll(ProjectId.Default, "bob")[0].Seq };

        Assert.Equal((1, 1), (store.Conversations.ReadMessages(row).Count, store.Votes.Read(row).Count));
        Assert.Equal((0, 0), (store.Conversations.ReadMessages(others).Count, store.Votes.Read(others).Count));
    }

    [Fact]
    public async Task Superuser_SeesEverything_AndIsToldSoAtTheStart()
    {
        await using var database = Database.Postgres(files.AdminConnectionString);
        Assert.Equal((true, false), (store.Database.KeepsSight, database.KeepsSight));
        AssertSees(database, default, _ => true);

        Assert.Contains("see docs/operations.md", await StartAsync(files.AdminConnectionString), StringComparison.Ordinal);
        Assert.DoesNotContain("see docs/operations.md", await StartAsync(files.ConnectionString), StringComparison.Ordinal);
    }

    private async Task<string> StartAsync(string database)
    {
        await using var process = PosternProcess.Start(folder, ["serve", "--http", "127.0.0.1:0", "--https", "off", "--data", folder, "--database", database]);
        await process.LineAsync("Listening on http://");
        process.Terminate();
        var (code, output, errors) = await process.EndAsync();
        Assert.Equal(0, code);
        return output + errors;
    }

    private static void AssertSees(Database database, Sight sight, Func<Owner, bool> seen)
    {
        foreach (var sql in Tables)
        {
            var owners = Owners.Where(owner => seen(owner) && !(owner.IsAnonymous && sql.Contains("memory", StringComparison.Ordinal))); // nobody is not remembered
            Assert.Equal(owners.Select(NameOf).Order(StringComparer.Ordinal), database.Query(sight, sql, static reader => reader.GetString(0)).Order(StringComparer.Ordinal));
        }
    }

    private static string NameOf(Owner owner) => $"{owner.Project} {owner.Subject}";

    private static object? Scalar(DbConnection connection, string sql)
    {
        using var command = Database.Command(connection, sql);
        return command.ExecuteScalar();
    }

    private static int Execute(DbConnection connection, string sql)
    {
        using var command = Database.Command(connection, sql);
        return command.ExecuteNonQuery();
    }
}
