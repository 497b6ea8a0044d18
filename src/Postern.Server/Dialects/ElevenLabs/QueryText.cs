using System.Globalization;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>Reads query parameters as the vendor's server does; what does not fit is noted and read as absent.</summary>
internal sealed class QueryText(WireRequest request)
{
    private readonly List<FieldProblem> problems = [];

    public IReadOnlyList<FieldProblem> Problems => problems;

    /// <summary>The vendor's spellings of a boolean; null for another text.</summary>
    public static bool? Flag(string? text) => text?.ToLowerInvariant() switch
    {
        null or "false" or "0" or "no" or "off" or "f" or "n" => false,
        "true" or "1" or "yes" or "on" or "t" or "y" => true,
        _ => null,
    };

    public bool Flag(string name, bool absent) => Text(name) is not { } text ? absent : Flag(text) ?? Refuse(name, "bool_parsing", "Input should be a valid boolean", absent);

    public int Number(string name, int least, int most, int absent) => Text(name) is not { } text ? absent
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most ? number
        : Refuse(name, "value_error", $"Input should be a number from {least} to {most}", absent);

    /// <summary>A whole number, or nothing.</summary>
    public long? Whole(string name) => Text(name) is not { } text ? null
        : long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number
        : Refuse<long?>(name, "int_parsing", "Input should be a valid integer", null);

    /// <summary>A boolean, or nothing.</summary>
    public bool? Choice(string name) => Text(name) is null ? null : Flag(name, absent: false);

    public string Word(string name, params IReadOnlyList<string> words) => Text(name) is not { } text ? words[0]
        : words.Contains(text, StringComparer.Ordinal) ? text : Refuse(name, "enum", $"Input should be one of: {string.Join(", ", words)}", words[0]);

    /// <summary>A parameter that may come once; empty counts as absent.</summary>
    public string? Text(string name)
    {
        if (request.Repeated(name) is not null)
        {
            problems.Add(FieldProblem.Value("Must be given once", "query", name));
        }
        return request.Parameter(name) is { Length: > 0 } text ? text : null;
    }

    /// <summary>Where a page of this list begins; null at the beginning.</summary>
    public string? Cursor(Cursors cursors, string list)
    {
        if (Text("cursor") is not { } text)
        {
            return null;
        }
        if (cursors.Read(list, text) is not { } place)
        {
            Refuse("cursor", "Not a cursor of this list: leave it out to begin anew");
            return null;
        }
        return place;
    }

    /// <summary>A parameter that may come any number of times.</summary>
    public IReadOnlyList<string> All(string name) => [.. request.Query[name].OfType<string>().Where(text => text.Length > 0)];

    public void Refuse(string name, string message) => problems.Add(FieldProblem.Value(message, "query", name));

    private T Refuse<T>(string name, string type, string message, T absent)
    {
        problems.Add(new FieldProblem(type, ["query", name], message));
        return absent;
    }
}
