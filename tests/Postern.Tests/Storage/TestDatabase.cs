using Npgsql;
using Postern.Core;
using Postern.Server.Storage;

namespace Postern.Tests.Storage;

/// <summary>The databases on which every contract is run.</summary>
public enum Engine
{
    Sqlite,
    Postgres,
}

/// <summary>
/// An empty database of its own for one test: a file, or a database in the server that POSTERN_TEST_POSTGRES names, with a role of its own
/// that has no rights beyond it, so that row-level security holds for it as it should wherever Postern runs.
/// </summary>
internal sealed class TestDatabase : IAsyncDisposable
{
    private readonly string? folder;
    private readonly string? admin;
    private readonly string name = "t" + RandomText.Base62(12).ToLowerInvariant();
    private readonly List<IAsyncDisposable> opened = [];

    private TestDatabase(string? folder, string? admin) => (this.folder, this.admin) = (folder, admin);

    /// <summary>What a second process would be given.</summary>
    public string ConnectionString => admin is null ? $"Data Source={File}" : new NpgsqlConnectionStringBuilder(AdminConnectionString) { Username = name, Password = name }.ToString();

    /// <summary>The same of a superuser, whom PostgreSQL shows every row; PostgreSQL only.</summary>
    public string AdminConnectionString => new NpgsqlConnectionStringBuilder(admin) { Database = name, Timeout = 5, MaxPoolSize = 12 }.ToString();

    public Engine Engine => admin is null ? Engine.Sqlite : Engine.Postgres;

    /// <summary>A folder or a database that nobody has used; skips where there is no server.</summary>
    public static async Task<TestDatabase> CreateAsync(Engine engine)
    {
        if (engine == Engine.Sqlite)
        {
            return new TestDatabase(System.IO.Directory.CreateTempSubdirectory("postern-db-").FullName, null);
        }
        var admin = Environment.GetEnvironmentVariable("POSTERN_TEST_POSTGRES");
        Assert.SkipWhen(string.IsNullOrEmpty(admin), "PostgreSQL is absent: set POSTERN_TEST_POSTGRES to a connection string that may create databases.");
        var database = new TestDatabase(null, admin);
        await database.AdminAsync($"create role {database.name} login password '{database.name}'");
        await database.AdminAsync($"create database {database.name} owner {database.name}");
        return database;
    }

    /// <summary>One node's view of the database, with its own connections.</summary>
    public Database Open()
    {
        var database = admin is null ? Database.Sqlite(File) : Database.Postgres(ConnectionString);
        opened.Add(database);
        return database;
    }

    /// <summary>As <see cref="Open"/>, up to date.</summary>
    public Database OpenMigrated()
    {
        var database = Open();
        database.Migrate(DateTimeOffset.UnixEpoch);
        return database;
    }

    /// <summary>A statement of the server's operator, and the first value of its answer; PostgreSQL only.</summary>
    public async Task<object?> AdminAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(admin + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
#pragma warning disable CA2100 // texts of tests
        command.CommandText = sql;
#pragma warning restore CA2100
        return await command.ExecuteScalarAsync();
    }

    /// <summary>Ends every backend of this database, as a restart of the server does; PostgreSQL only.</summary>
    public Task KillBackendsAsync() => AdminAsync($"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");

    public async ValueTask DisposeAsync()
    {
        foreach (var database in opened)
        {
            await database.DisposeAsync();
        }
        if (folder is not null)
        {
            System.IO.Directory.Delete(folder, recursive: true);
        }
        else
        {
            await AdminAsync($"drop database {name} with (force)");
            await AdminAsync($"drop role {name}");
        }
    }

    private string File => Path.Combine(folder!, "postern.db");
}
