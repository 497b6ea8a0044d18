using Postern.Server.Storage;

namespace Postern.Tests.Storage;

public sealed class MigrationTests
{
    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Migrate_FromEmpty_OnceAndNeverAgain(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);

        Assert.True(database.Open().Migrate(DateTimeOffset.UnixEpoch) > 0);
        Assert.Equal(0, database.Open().Migrate(DateTimeOffset.UnixEpoch));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Migrate_SeveralProcessesAtOnce_OneDoesItAllOthersFindItDone(Engine engine)
    {
        for (var round = 0; round < 5; round++)
        {
            await using var database = await TestDatabase.CreateAsync(engine);
            var nodes = Enumerable.Range(0, 4).Select(_ => database.Open()).ToList();

            var applied = await Task.WhenAll(nodes.Select(node => Task.Run(() => node.Migrate(DateTimeOffset.UnixEpoch))));

            Assert.Single(applied, count => count > 0);
        }
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Migrate_NewerDatabase_IsRefusedByASentence(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = new Node(database.OpenMigrated());
        await node.Writer.WriteAsync(transaction => transaction.Execute("insert into migration (version, at) values (999, 0)"));

        var refused = Assert.Throws<StorageException>(() => database.Open().Migrate(DateTimeOffset.UnixEpoch));

        Assert.StartsWith("The database has version 999, this Postern knows up to ", refused.Message, StringComparison.Ordinal);
        Assert.Contains("start the newer Postern", refused.Message, StringComparison.Ordinal);
    }

    // One version kept them in the credential's row, the next in a table of their own.
    [Theory]
    [InlineData(Engine.Sqlite, 1)]
    [InlineData(Engine.Sqlite, 2)]
    [InlineData(Engine.Postgres, 1)]
    [InlineData(Engine.Postgres, 2)]
    public async Task Migrate_FromFixedValuesInClear_LeavesNoneOfThem(Engine engine, int steps)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = new Node(database.OpenMigrated());
        await node.Writer.WriteAsync(transaction =>
        {
            transaction.Execute("drop table fixed_values");
            transaction.Execute(steps == 1 ? "create table fixed_values (credential_id varchar(22) primary key, said text not null)"
                : "create unique index credential_by_hash on credential (hash) where hash is not null");
            transaction.Execute("delete from migration where version > (select max(version) from migration) - $1", steps);
            transaction.Execute("insert into credential (id, project_id, kind, key_id, hash, minted_at, start_by, origins, fixed) values ('token', 'default', 'PersonalAccessToken', 'key_1', $1, 1, 1, '', '{}')", new byte[] { 1 });
            transaction.Execute(steps == 1 ? "insert into fixed_values (credential_id, said) values ('signed', '{}')"
                : "insert into credential (id, project_id, kind, key_id, minted_at, start_by, origins, fixed) values ('signed', 'default', 'SignedUrl', 'key_1', 1, 1, '', '{}')");
        });

        Assert.Equal(steps, database.Open().Migrate(DateTimeOffset.UnixEpoch));

        Assert.Equal(["token"], node.Database.Query("select id from credential where fixed is null", static reader => reader.GetString(0)));
        Assert.Equal(1, node.Scalar<long>("select count(*) from credential"));
        Assert.Equal(0, node.Scalar<long>("select count(*) from fixed_values where sealed is not null or until > 0"));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "A16")]
    public async Task Columns_OfText_CompareByBytes(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        string[] forms = ["josé", "jose\u0301", "JOSÉ", "ｊｏｓé", "josé ", "a", "B"];
        foreach (var form in forms)
        {
            await node.OpenAsync(Node.Session(form, 1));
        }

        Assert.All(forms, form => Assert.Equal(1, node.Scalar<long>("select count(*) from redemption where credential_id = $1", form)));
        Assert.Equal(forms.Order(StringComparer.Ordinal), node.Rows("select credential_id from redemption order by credential_id", r => r.GetString(0)));
    }

    [Fact]
    public void Sqlite_UnusableFile_IsRefusedByASentence()
    {
        var folder = System.IO.Directory.CreateTempSubdirectory("postern-db-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "no.db"), "this is no database, but a text that is longer than a header of one hundred bytes would be, or nearly so.");
            Assert.Throws<StorageException>(() => Database.Sqlite(Path.Combine(folder, "no.db")).Migrate(DateTimeOffset.UnixEpoch));
            Assert.Throws<StorageException>(() => Database.Sqlite(Path.Combine(folder, "absent", "x.db")).Migrate(DateTimeOffset.UnixEpoch));
        }
        finally
        {
            System.IO.Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Postgres_NoConnectionString_IsRefusedByASentence() =>
        Assert.Contains("--database", Assert.Throws<StorageException>(() => Database.Postgres("Hots=x")).Message, StringComparison.Ordinal);
}
