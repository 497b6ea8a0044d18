using Microsoft.Extensions.Logging.Console;

namespace Postern.Server.Observability;

/// <summary>Where the log goes and what never reaches it.</summary>
internal static class LogSettings
{
    /// <summary>Standard error, one line an event; standard output is for what commands answer.</summary>
    public static void Apply(ILoggingBuilder logging, PosternOptions options)
    {
        logging.Services.AddSingleton(TimeProvider.System);
        logging.AddConsole(console =>
        {
            console.FormatterName = LineFormatter.FormatterName;
            console.LogToStandardErrorThreshold = LogLevel.Trace;
        });
        logging.AddConsoleFormatter<LineFormatter, ConsoleFormatterOptions>();
        var level = Enum.Parse<LogLevel>(options.Log.Level, ignoreCase: true);
        logging.SetMinimumLevel(level);
        logging.AddFilter("Microsoft", level < LogLevel.Warning ? LogLevel.Warning : level);
        // Writes the raw query string of every request, and with it every signed URL (attack B17).
        logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);
        // Says with a stack trace what the command line says in a sentence.
        logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);
        if (level == LogLevel.Debug) logging.AddFilter("Microsoft.AspNetCore.Server.Kestrel.BadRequests", LogLevel.Debug);
    }
}
