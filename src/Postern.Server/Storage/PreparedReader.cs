using System.Data.Common;

namespace Postern.Server.Storage;

/// <summary>A connection that reads, with its statements prepared: on SQLite to prepare one costs more than to run it. Used by one thread at a time.</summary>
internal sealed class PreparedReader(DbConnection connection) : IDisposable
{
    private const int MostStatements = 64;
    private readonly Dictionary<string, DbCommand> commands = new(StringComparer.Ordinal);

    /// <summary>Whether it holds as many statements as it may; texts that are put together could be any number.</summary>
    public bool IsFull => commands.Count >= MostStatements;

    /// <summary>All rows of a query.</summary>
    public List<T> Read<T>(string sql, Func<DbDataReader, T> row, ReadOnlySpan<object?> values)
    {
        if (!commands.TryGetValue(sql, out var command))
        {
            commands[sql] = command = Database.Command(connection, sql);
        }
        Database.Bind(command, values);
        using var reader = command.ExecuteReader();
        var rows = new List<T>();
        while (reader.Read())
        {
            rows.Add(row(reader));
        }
        return rows;
    }

    public void Dispose()
    {
        foreach (var command in commands.Values)
        {
            command.Dispose();
        }
        connection.Dispose();
    }
}
