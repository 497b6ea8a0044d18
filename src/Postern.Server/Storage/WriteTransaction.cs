using System.Data.Common;
using System.Text;
using Microsoft.Data.Sqlite;
using Postern.Core.Audit;
using SQLitePCL;

namespace Postern.Server.Storage;

/// <summary>
/// What a writer's jobs see: one transaction that many of them share. Statements are kept and prepared once a connection; audit rows
/// are collected and inserted before the commit, on PostgreSQL many by one statement. Used by one thread.
/// </summary>
internal sealed class WriteTransaction(DbConnection connection) : IDisposable
{
    private const int Columns = 12;
    private const string AuditInsert =
        "insert into audit (at, name, project_id, agent_id, key_id, credential_id, session_id, subject, reason, detail, address, occurrences) values ";

    private static readonly int[] ChunkSizes = [32, 8, 1];
    private static readonly string[] ChunkTexts = [.. ChunkSizes.Select(AuditText)];

    private readonly Dictionary<string, DbCommand> commands = new(StringComparer.Ordinal);
    private readonly SqliteConnection? sqlite = connection as SqliteConnection;
    private readonly Dictionary<string, SqliteStatement> statements = new(StringComparer.Ordinal);
    private readonly List<(AuditEvent Event, int Occurrences)> audit = [];
    private DbTransaction? transaction;

    /// <summary>Runs a statement; returns the rows it changed.</summary>
    public int Execute(string sql, params ReadOnlySpan<object?> values)
    {
        if (sqlite is null)
        {
            return Prepared(sql, values).ExecuteNonQuery();
        }
        var statement = Statement(sql);
        for (var i = 0; i < values.Length; i++)
        {
            statement.Bind(i, values[i]);
        }
        return statement.Run();
    }

    /// <summary>Runs a statement; returns its first value, null when there is none.</summary>
    public object? Scalar(string sql, params ReadOnlySpan<object?> values) => Prepared(sql, values).ExecuteScalar() is { } value and not DBNull ? value : null;

    /// <summary>Runs a statement whose first value is a whole number.</summary>
    public long Count(string sql, params ReadOnlySpan<object?> values) => Convert.ToInt64(Scalar(sql, values), System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>The first row of a query inside the transaction, or null.</summary>
    public T? Read<T>(string sql, Func<DbDataReader, T> row, params ReadOnlySpan<object?> values) where T : class
    {
        using var reader = Prepared(sql, values).ExecuteReader();
        return reader.Read() ? row(reader) : null;
    }

    /// <summary>The first column of every row.</summary>
    public List<string> Texts(string sql, params ReadOnlySpan<object?> values)
    {
        using var reader = Prepared(sql, values).ExecuteReader();
        var texts = new List<string>();
        while (reader.Read())
        {
            texts.Add(reader.GetString(0));
        }
        return texts;
    }

    /// <summary>Adds an audit row to the transaction.</summary>
    public void Audit(AuditEvent entry, int occurrences = 1) => audit.Add((StoredText.Clean(entry), occurrences));

    /// <summary>Tells every node that something of the directory changed. The counter's row lock keeps the numbers in commit order.</summary>
    public void Changed(string kind, string id)
    {
        var seq = Scalar("update counter set value = value + 1 where name = 'change' returning value");
        Execute("insert into change (seq, kind, id) values ($1, $2, $3)", seq, kind, id);
    }

    /// <summary>
    /// Keeps the directory's other writers, on whatever node, waiting until this transaction ends: what changes agents, keys or
    /// revocations takes it before anything else, so that decisions on what is there hold, and no two groups, which take their rows in
    /// different orders, wait for each other.
    /// </summary>
    public void LockDirectory() => Execute("update counter set value = value where name = 'change'");

    internal bool IsOpen => connection.State == System.Data.ConnectionState.Open;

    /// <summary>Whether a commit was sent whose outcome is not known.</summary>
    internal bool IsCommitting { get; private set; }

    internal void Begin()
    {
        if (sqlite is null)
        {
            transaction = connection.BeginTransaction();
        }
        else
        {
            Execute("begin immediate");
        }
    }

    internal void Commit()
    {
        if (sqlite is null)
        {
            InsertAudit();
            IsCommitting = true;
            transaction!.Commit();
            IsCommitting = false;
            End();
        }
        else
        {
            InsertAuditRows();
            Execute("commit");
        }
    }

    internal void Rollback()
    {
        audit.Clear();
        try
        {
            transaction?.Rollback();
            if (sqlite is not null && raw.sqlite3_get_autocommit(sqlite.Handle) == 0)
            {
                Execute("rollback");
            }
        }
        catch (Exception e) when (e is DbException or InvalidOperationException)
        {
            // The connection died: the database has rolled back by itself.
        }
        End();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var command in commands.Values)
        {
            command.Dispose();
        }
        foreach (var statement in statements.Values)
        {
            statement.Dispose();
        }
        transaction?.Dispose();
        connection.Dispose();
    }

    private void End()
    {
        transaction?.Dispose();
        transaction = null;
    }

    private DbCommand Prepared(string sql, ReadOnlySpan<object?> values)
    {
        if (!commands.TryGetValue(sql, out var command))
        {
            commands[sql] = command = Database.Command(connection, sql);
        }
        command.Transaction = transaction;
        Database.Bind(command, values);
        return command;
    }

    private SqliteStatement Statement(string sql)
    {
        if (!statements.TryGetValue(sql, out var statement))
        {
            statements[sql] = statement = new SqliteStatement(sqlite!.Handle!, sql);
        }
        return statement;
    }

    private void InsertAuditRows()
    {
        for (var done = 0; done < audit.Count;)
        {
            var chunk = Array.FindIndex(ChunkSizes, size => size <= audit.Count - done);
            var statement = Statement(ChunkTexts[chunk]);
            for (var i = 0; i < ChunkSizes[chunk]; i++)
            {
                Bind(statement, i * Columns, audit[done + i].Event, audit[done + i].Occurrences);
            }
            statement.Run();
            done += ChunkSizes[chunk];
        }
        audit.Clear();
    }

    private static void Bind(SqliteStatement statement, int first, AuditEvent e, int occurrences)
    {
        statement.Bind(first, e.At.ToUnixTimeMilliseconds());
        statement.Bind(first + 1, e.Name);
        statement.Bind(first + 2, e.Project?.Value);
        statement.Bind(first + 3, e.Agent?.Value);
        statement.Bind(first + 4, e.Key);
        statement.Bind(first + 5, e.Credential);
        statement.Bind(first + 6, e.Session);
        statement.Bind(first + 7, e.Subject);
        statement.Bind(first + 8, e.Reason);
        statement.Bind(first + 9, e.Detail);
        statement.Bind(first + 10, e.Address);
        statement.Bind(first + 11, occurrences);
    }

    private void InsertAudit()
    {
        var values = new object?[ChunkSizes[0] * Columns];
        for (var done = 0; done < audit.Count;)
        {
            var chunk = Array.FindIndex(ChunkSizes, size => size <= audit.Count - done);
            var rows = ChunkSizes[chunk];
            for (var i = 0; i < rows; i++)
            {
                var (e, occurrences) = audit[done + i];
                var row = values.AsSpan(i * Columns);
                row[0] = e.At.ToUnixTimeMilliseconds();
                row[1] = e.Name;
                row[2] = e.Project?.Value;
                row[3] = e.Agent?.Value;
                row[4] = e.Key;
                row[5] = e.Credential;
                row[6] = e.Session;
                row[7] = e.Subject;
                row[8] = e.Reason;
                row[9] = e.Detail;
                row[10] = e.Address;
                row[11] = occurrences;
            }
            Execute(ChunkTexts[chunk], values.AsSpan(0, rows * Columns));
            done += rows;
        }
        audit.Clear();
    }

    private static string AuditText(int rows)
    {
        var text = new StringBuilder(AuditInsert);
        for (var i = 0; i < rows * Columns; i++)
        {
            text.Append(i % Columns == 0 ? i == 0 ? "(" : "), (" : ", ").Append('$').Append(i + 1);
        }
        return text.Append(')').ToString();
    }
}
