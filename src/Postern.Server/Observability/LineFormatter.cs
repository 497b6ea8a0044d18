using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Postern.Server.Observability;

/// <summary>Writes each event as one line: time, level, id, message.</summary>
internal sealed class LineFormatter(TimeProvider clock) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "line";

    public override void Write<TState>(in LogEntry<TState> entry, IExternalScopeProvider? scopes, TextWriter to)
    {
        to.Write(clock.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture));
        to.Write(entry.LogLevel switch
        {
            LogLevel.Critical => " crit  ",
            LogLevel.Error => " error ",
            LogLevel.Warning => " warn  ",
            LogLevel.Information => " info  ",
            _ => " debug ",
        });
        if (entry.EventId.Id != 0) to.Write(entry.EventId.Id.ToString(CultureInfo.InvariantCulture) + " ");
        WritePlain(to, entry.Formatter(entry.State, entry.Exception));
        if (entry.Exception is { } exception)
        {
            to.Write(" · ");
            WritePlain(to, exception.ToString());
        }
        to.WriteLine();
    }

    /// <summary>No value can begin a line of its own or speak to the terminal (attack D6).</summary>
    private static void WritePlain(TextWriter to, string text)
    {
        foreach (var c in text)
            to.Write(char.IsControl(c) || c is '\u2028' or '\u2029' ? ' ' : c);
    }
}
