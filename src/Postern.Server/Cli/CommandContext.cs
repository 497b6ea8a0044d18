using System.Text;
using System.Text.Json;
using Postern.Server.Settings;
using Postern.Server.Storage;

namespace Postern.Server.Cli;

/// <summary>What a command has at hand: its words, the options in force, and where to answer.</summary>
internal sealed class CommandContext(CommandLine line, TextWriter output)
{
    private PosternOptions? options;
    private IReadOnlyList<WrittenSetting>? written;

    public CommandLine Line => line;

    public TextWriter Output => output;

    /// <summary>Read at first use, so that help and version need no valid settings.</summary>
    public PosternOptions Options => options ??= SettingsReader.Read(Written);

    /// <summary>What was written in the file, the environment and the command line.</summary>
    public IReadOnlyList<WrittenSetting> Written => written ??=
        [.. SettingSource.FromFile(SettingSource.FileName), .. SettingSource.FromEnvironment(Environment.GetEnvironmentVariables()), .. line.Settings];

    /// <summary>Opens storage that a server was started with before.</summary>
    /// <exception cref="RefusedException">None was: a mistyped folder must not become a new, empty database.</exception>
    public Store OpenStore()
    {
        if (Store.FileOf(Options) is { } file && !File.Exists(file))
        {
            throw NothingYet();
        }
        var store = OpenOrCreateStore();
        return store.Keys.ReadRing() is not null ? store : throw NothingYet();
    }

    /// <summary>Opens storage, new where there is none.</summary>
    public Store OpenOrCreateStore()
    {
        DataFolder.Open(Options.Data);
        return Store.Open(Options, TimeProvider.System);
    }

    private RefusedException NothingYet() => new(Store.FileOf(Options) is { } file
        ? $"Nothing was started with {file} yet: run postern serve, or name the right folder with --data."
        : "Nothing was started with this database yet: run postern serve, or name the right one with --database.");

    /// <summary>Answers with a table for people or an array for programs.</summary>
    public void Write<T>(IEnumerable<T> rows, params (string Name, Func<T, object?> Value)[] columns)
    {
        if (line.Json)
        {
            WriteJson(json =>
            {
                json.WriteStartArray();
                foreach (var row in rows)
                {
                    WriteObject(json, columns.Select(column => (column.Name, column.Value(row))));
                }
                json.WriteEndArray();
            });
            return;
        }
        var cells = rows.Select(row => columns.Select(column => Text(column.Value(row))).ToArray()).Prepend([.. columns.Select(column => column.Name.ToUpperInvariant())]).ToList();
        var widths = columns.Select((_, i) => cells.Max(row => row[i].Length)).ToArray();
        foreach (var row in cells)
        {
            output.WriteLine(string.Join("  ", row.Select((cell, i) => cell.PadRight(widths[i]))).TrimEnd());
        }
    }

    /// <summary>Answers with sentences for people or one object for programs.</summary>
    public void Write(string sentence, params (string Name, object? Value)[] members)
    {
        if (line.Json)
        {
            WriteJson(json => WriteObject(json, members));
        }
        else
        {
            output.WriteLine(sentence);
        }
    }

    private void WriteJson(Action<Utf8JsonWriter> write)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            write(json);
        }
        output.WriteLine(Encoding.UTF8.GetString(stream.ToArray()));
    }

    private static void WriteObject(Utf8JsonWriter json, IEnumerable<(string Name, object? Value)> members)
    {
        json.WriteStartObject();
        foreach (var (name, value) in members)
        {
            json.WritePropertyName(name);
            switch (value)
            {
                case null: json.WriteNullValue(); break;
                case bool flag: json.WriteBooleanValue(flag); break;
                case int number: json.WriteNumberValue(number); break;
                case IEnumerable<string> texts:
                    json.WriteStartArray();
                    foreach (var text in texts)
                    {
                        json.WriteStringValue(text);
                    }
                    json.WriteEndArray();
                    break;
                default: json.WriteStringValue(Text(value)); break;
            }
        }
        json.WriteEndObject();
    }

    // Control characters of a name that somebody chose must not reach a terminal.
    private static string Text(object? value) => new([.. (value switch
    {
        null => "",
        DateTimeOffset time => time.ToString("yyyy-MM-ddTHH:mm:ssZ", System.Globalization.CultureInfo.InvariantCulture),
        IEnumerable<string> texts => string.Join(",", texts),
        _ => value.ToString() ?? "",
    }).Select(c => char.IsControl(c) ? ' ' : c)]);
}
