using System.Collections.Concurrent;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;
using Npgsql;
using Postern.Server.Hosting;
using SQLitePCL;

namespace Postern.Server.Storage;

/// <summary>A reason why storage cannot be used, in one sentence that says how to mend it.</summary>
internal sealed class StorageException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The one database of an installation: SQLite in a file, or PostgreSQL. Opens connections and brings the schema up to date.</summary>
[SuppressMessage("Security", "CA2100", Justification = "Texts are constants of this folder; values travel as parameters.")]
internal sealed class Database : IAsyncDisposable
{
    private const int MostReaders = 32;
    private const int BusyMilliseconds = 5000;
    private const int ForgetMilliseconds = 500;
    private const int MigrationLock = 0x706F7374; // any number, the same in every version
    private static readonly Lock LoadLock = new();
    private static bool sqliteLoaded;

    private readonly string connectionString;
    private readonly NpgsqlDataSource? postgres;
    private readonly ConditionalWeakTable<sqlite3, object> prepared = []; // the handles of the pool that have their settings
    private readonly ConcurrentQueue<PreparedReader> readers = [];

    private Database(string connectionString, NpgsqlDataSource? postgres) => (this.connectionString, this.postgres) = (connectionString, postgres);

    /// <summary>Whether several nodes may share it.</summary>
    public bool IsPostgres => postgres is not null;

    /// <summary>
    /// Whether the database itself holds back what is out of a connection's sight: not SQLite, nor PostgreSQL for a superuser or a role with
    /// BYPASSRLS. Then the conditions of the queries stand alone.
    /// </summary>
    public bool KeepsSight => IsPostgres && Query("select row_security_active('conversation')", static reader => reader.GetBoolean(0))[0];

    private string Mend => IsPostgres ? "start PostgreSQL, or mend --database"
        : $"see that {new SqliteConnectionStringBuilder(connectionString).DataSource} is Postern's and can be written to, or choose another with --data or --database";

    /// <summary>SQLite in <paramref name="file"/>.</summary>
    public static Database Sqlite(string file)
    {
        LoadSqlite();
        return new Database(new SqliteConnectionStringBuilder { DataSource = file, DefaultTimeout = 10 }.ToString(), null);
    }

    /// <summary>PostgreSQL.</summary>
    /// <exception cref="StorageException">The text is no connection string.</exception>
    public static Database Postgres(string connectionString)
    {
        try
        {
            var builder = new NpgsqlConnectionStringBuilder(connectionString) { MaxAutoPrepare = 64, AutoPrepareMinUsages = 2 };
            return new Database("", new NpgsqlDataSourceBuilder(builder.ToString()).Build());
        }
        catch (ArgumentException e)
        {
            throw new StorageException($"--database is no PostgreSQL connection string ({e.Message}): write it as Host=…;Port=5432;Username=…;Password=…;Database=….", e);
        }
    }

    /// <summary>An open connection with the settings that durability and its sight rest on.</summary>
    /// <param name="sight">Whose conversations and memories it sees; nobody's unless given.</param>
    /// <exception cref="StorageException">The database cannot be reached or used.</exception>
    public DbConnection Open(Sight sight = default)
    {
        SocketThread.MustNotBe();
        return Open(sight, again: true);
    }

    private DbConnection Open(Sight sight, bool again)
    {
        DbConnection connection = postgres is not null ? postgres.CreateConnection() : new SqliteConnection(connectionString);
        try
        {
            connection.Open();
            // A fresh SQLite handle waits for no lock, and leaves what is deleted in the file; one of the pool keeps what it was told.
            // PostgreSQL may have been configured to answer before the disk has, and the connection may have been somebody else's before.
            if (postgres is not null)
            {
                using var settings = Command(connection, "select set_config('synchronous_commit', 'on', false), set_config('postern.sight', $1, false)", sight.Text);
                settings.ExecuteNonQuery();
            }
            else if (!prepared.TryGetValue(((SqliteConnection)connection).Handle!, out _))
            {
                Run(connection, $"pragma foreign_keys = on; pragma busy_timeout = {BusyMilliseconds}; pragma journal_mode = wal; pragma synchronous = full; pragma secure_delete = on");
                prepared.TryAdd(((SqliteConnection)connection).Handle!, this);
            }
            return connection;
        }
        catch (Exception e) when (e is DbException or InvalidOperationException or TimeoutException)
        {
            connection.Dispose();
            // The server was restarted while pooled connections were idle: all of them are as dead as this one.
            if (again && (e is PostgresException { SqlState: "57P01" or "57P02" or "57P03" } || e is NpgsqlException { InnerException: IOException }))
            {
                postgres!.Clear();
                return Open(sight, again: false);
            }
            throw new StorageException($"The database cannot be opened: {FirstLine(e.Message)}: {Mend}.", e);
        }
    }

    /// <summary>All rows of a query that concerns no user's conversations and memories, read by a connection of its own.</summary>
    /// <exception cref="StorageException">The database did not answer.</exception>
    public List<T> Query<T>(string sql, Func<DbDataReader, T> row, params ReadOnlySpan<object?> values) => Query(default(Sight), sql, row, values);

    /// <summary>All rows of a query within this sight, read by a connection of its own.</summary>
    /// <exception cref="StorageException">The database did not answer.</exception>
    public List<T> Query<T>(Sight sight, string sql, Func<DbDataReader, T> row, params ReadOnlySpan<object?> values)
    {
        try
        {
            if (IsPostgres)
            {
                using var once = new PreparedReader(Open(sight)); // the driver keeps statements by itself
                return once.Read(sql, row, values);
            }
            SocketThread.MustNotBe();
            var reader = readers.TryDequeue(out var kept) ? kept : new PreparedReader(Open());
            try
            {
                var rows = reader.Read(sql, row, values);
                if (!reader.IsFull && readers.Count < MostReaders)
                {
                    readers.Enqueue(reader);
                    reader = null;
                }
                return rows;
            }
            finally
            {
                reader?.Dispose();
            }
        }
        catch (DbException e)
        {
            throw new StorageException("The database did not answer.", e);
        }
    }

    /// <summary>
    /// After texts were erased: empties the log that SQLite keeps beside the file, which still holds the pages of before. Best effort: what
    /// was erased is erased, and while others read the next time does the rest. PostgreSQL recycles its log by itself.
    /// </summary>
    public void ForgetErased()
    {
        if (IsPostgres)
        {
            return;
        }
        try
        {
            using var connection = Open();
            prepared.Remove(((SqliteConnection)connection).Handle!); // it waits less than others from now on
            Run(connection, $"pragma busy_timeout = {ForgetMilliseconds}; pragma wal_checkpoint(truncate)"); // whoever writes waits for it
        }
        catch (Exception e) when (e is StorageException or DbException)
        {
            // The next one empties it.
        }
    }

    /// <summary>Applies the migrations that are missing, all or none; returns how many. Of several processes at once, one does it and the others wait.</summary>
    /// <exception cref="StorageException">A newer version wrote the database, or it cannot be changed.</exception>
    public int Migrate(DateTimeOffset now)
    {
        using var connection = Open(Sight.All);
        try
        {
            return Migrate(connection, now);
        }
        catch (DbException e)
        {
            throw new StorageException($"The database cannot be brought up to date: {FirstLine(e.Message)}: {Mend}.", e);
        }
    }

    private int Migrate(DbConnection connection, DateTimeOffset now)
    {
        using var transaction = connection.BeginTransaction();
        if (IsPostgres)
        {
            Run(connection, $"select pg_advisory_xact_lock({MigrationLock})", transaction); // on SQLite the transaction itself is the lock
        }
        Run(connection, "create table if not exists migration (version integer primary key, at bigint not null)", transaction);
        var present = Convert.ToInt32(Scalar(connection, "select coalesce(max(version), 0) from migration", transaction), System.Globalization.CultureInfo.InvariantCulture);
        var known = Migrations().ToList();
        if (present > known.Count)
        {
            throw new StorageException($"The database has version {present}, this Postern knows up to {known.Count}: start the newer Postern that wrote it, or restore a backup of version {known.Count} or below.");
        }
        foreach (var (version, text) in known.Skip(present))
        {
            Run(connection, Words(text), transaction);
            Run(connection, $"insert into migration (version, at) values ({version}, {now.ToUnixTimeMilliseconds()})", transaction);
        }
        transaction.Commit();
        return known.Count - present;
    }

    /// <summary>A command with positional parameters $1, $2, …: the one text that both engines read.</summary>
    public static DbCommand Command(DbConnection connection, string sql, params ReadOnlySpan<object?> values)
    {
        var command = connection.CreateCommand();
        command.CommandText = sql;
        Bind(command, values);
        return command;
    }

    /// <summary>Sets the values of a command made by <see cref="Command"/>, or adds them the first time.</summary>
    public static void Bind(DbCommand command, params ReadOnlySpan<object?> values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            if (command.Parameters.Count <= i)
            {
                var added = command.CreateParameter();
                if (command is SqliteCommand)
                {
                    added.ParameterName = $"${i + 1}";
                }
                command.Parameters.Add(added);
            }
            command.Parameters[i].Value = values[i] ?? DBNull.Value;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (postgres is not null)
        {
            await postgres.DisposeAsync();
            return;
        }
        while (readers.TryDequeue(out var reader))
        {
            reader.Dispose();
        }
        using var connection = new SqliteConnection(connectionString);
        SqliteConnection.ClearPool(connection);
    }

    // A version is a place in the list and not a file's number: 0005 was given up before anybody had it, and nothing may be put there.
    private static IEnumerable<(int Version, string Text)> Migrations()
    {
        var assembly = typeof(Database).Assembly;
        var names = assembly.GetManifestResourceNames().Where(n => n.EndsWith(".sql", StringComparison.Ordinal)).Order(StringComparer.Ordinal);
        return names.Select((name, i) => (i + 1, Read(assembly, name)));
    }

    private static string Read(Assembly assembly, string name)
    {
        using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
        return reader.ReadToEnd();
    }

    private string Words(string text) => text
        .Replace("{text}", IsPostgres ? "text collate \"C\"" : "text", StringComparison.Ordinal)
        .Replace("{blob}", IsPostgres ? "bytea" : "blob", StringComparison.Ordinal)
        .Replace("{postgres}", IsPostgres ? "" : "/*", StringComparison.Ordinal)
        .Replace("{/postgres}", IsPostgres ? "" : "*/", StringComparison.Ordinal)
        .Replace("{clustered}", IsPostgres ? "" : " without rowid", StringComparison.Ordinal)
        .Replace("{identity}", IsPostgres ? "bigint generated always as identity primary key" : "integer primary key autoincrement", StringComparison.Ordinal);

    private static void Run(DbConnection connection, string sql, DbTransaction? transaction = null)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.Transaction = transaction;
        command.ExecuteNonQuery();
    }

    private static object? Scalar(DbConnection connection, string sql, DbTransaction transaction)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.Transaction = transaction;
        return command.ExecuteScalar();
    }

    private static string FirstLine(string text) => text.Split('\n')[0].TrimEnd('.', '\r');

    // The driver's managed layer over the system's library: its fixes come with the system's. Resolver and provider can be set once.
    private static void LoadSqlite()
    {
        lock (LoadLock)
        {
            if (sqliteLoaded)
            {
                return;
            }
            try
            {
                NativeLibrary.SetDllImportResolver(typeof(SQLite3Provider_e_sqlite3).Assembly,
                    static (name, _, _) => name == "e_sqlite3" ? NativeLibrary.Load("libsqlite3.so.0") : 0);
                raw.SetProvider(new SQLite3Provider_e_sqlite3());
                raw.FreezeProvider();
                _ = raw.sqlite3_libversion();
                // No connection is used by two threads at once: SQLite need not lock each of its calls.
                _ = raw.sqlite3_config(raw.SQLITE_CONFIG_MULTITHREAD);
                sqliteLoaded = true;
            }
            catch (DllNotFoundException e)
            {
                throw new StorageException("The system's SQLite library is missing: install it (Debian: apt-get install libsqlite3-0), or name a PostgreSQL database with --database.", e);
            }
        }
    }
}
