using System.Text;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Postern.Server.Storage;

/// <summary>
/// One prepared statement, run without the driver: its commands look every parameter up by name at every run, which costs several
/// times the insert. Used by one thread.
/// </summary>
internal sealed class SqliteStatement : IDisposable
{
    private readonly sqlite3 database;
    private readonly sqlite3_stmt statement;
    private readonly int[] positions;
    private byte[] text = new byte[1024];

    public SqliteStatement(sqlite3 database, string sql)
    {
        this.database = database;
        Check(raw.sqlite3_prepare_v2(database, sql, out statement));
        // A parameter's position is that of its first use: $2 may stand before $1.
        positions = [.. Enumerable.Range(1, raw.sqlite3_bind_parameter_count(statement)).Select(i => raw.sqlite3_bind_parameter_index(statement, $"${i}"))];
    }

    /// <summary>Sets parameter <c>$(index + 1)</c>.</summary>
    public void Bind(int index, string? value)
    {
        if (string.IsNullOrEmpty(value))
        {
            // The binding of an empty span has no address and would be null.
            Check(value is null ? raw.sqlite3_bind_null(statement, positions[index]) : raw.sqlite3_bind_text(statement, positions[index], ""));
            return;
        }
        if (text.Length < 3 * value.Length)
        {
            text = new byte[3 * value.Length];
        }
        Check(raw.sqlite3_bind_text(statement, positions[index], text.AsSpan(0, Encoding.UTF8.GetBytes(value, text))));
    }

    /// <summary>As above.</summary>
    public void Bind(int index, long value) => Check(raw.sqlite3_bind_int64(statement, positions[index], value));

    /// <summary>As above, of whatever type.</summary>
    public void Bind(int index, object? value)
    {
        switch (value)
        {
            case null or DBNull:
                Bind(index, (string?)null);
                break;
            case string text:
                Bind(index, text);
                break;
            case long number:
                Bind(index, number);
                break;
            case int number:
                Bind(index, (long)number);
                break;
            case bool flag:
                Bind(index, flag ? 1L : 0L);
                break;
            case byte[] { Length: 0 }:
                Check(raw.sqlite3_bind_zeroblob(statement, positions[index], 0));
                break;
            case byte[] bytes:
                Check(raw.sqlite3_bind_blob(statement, positions[index], bytes));
                break;
            default:
                throw new ArgumentException($"A {value.GetType().Name} is no value of a statement.", nameof(value));
        }
    }

    /// <summary>Runs it and returns the rows that it changed.</summary>
    public int Run()
    {
        try
        {
            int result;
            do
            {
                result = raw.sqlite3_step(statement);
            }
            while (result == raw.SQLITE_ROW);
            if (result != raw.SQLITE_DONE)
            {
                Check(result);
            }
            return raw.sqlite3_changes(database);
        }
        finally
        {
            raw.sqlite3_reset(statement); // repeats the error of the run, which has been thrown
        }
    }

    public void Dispose() => statement.Dispose();

    private void Check(int result)
    {
        if (result != raw.SQLITE_OK)
        {
            throw new SqliteException($"SQLite: {raw.sqlite3_errmsg(database).utf8_to_string()}", result & 0xff, result);
        }
    }
}
