namespace Postern.Tests.Transcripts;

/// <summary>
/// A recorded talk with a server: requests and the answers that must come, as text. tests/transcripts/README.md has the form.
/// </summary>
internal sealed record Transcript(IReadOnlyList<string[]> Directives, IReadOnlyList<Exchange> Exchanges)
{
    private const string Title = "###";

    public static Transcript Read(string text)
    {
        var directives = new List<string[]>();
        var exchanges = new List<Exchange>();
        foreach (var part in text.ReplaceLineEndings("\n").Split("\n" + Title))
        {
            if (exchanges.Count == 0 && directives.Count == 0 && !part.StartsWith(Title, StringComparison.Ordinal) && part.TrimStart() is ['@' or '#', ..])
            {
                directives.AddRange(part.Split('\n').Where(line => line.StartsWith('@')).Select(line => line[1..].Split(' ', StringSplitOptions.RemoveEmptyEntries)));
                continue;
            }
            exchanges.Add(Exchange.Read(part.TrimStart('#', ' ')));
        }
        return new Transcript(directives, exchanges);
    }
}

/// <summary>One request and its answer. A null body is not looked at; an empty one must be empty.</summary>
internal sealed record Exchange(
    string Title, string Method, string Target, IReadOnlyList<(string Name, string Value)> Headers, string? Body,
    int Status, IReadOnlyList<(string Name, string Value)> AnswerHeaders, string? AnswerBody)
{
    public static Exchange Read(string text)
    {
        var lines = text.Split('\n').ToList();
        var title = lines[0].Trim();
        var answer = lines.FindIndex(line => line.StartsWith("HTTP ", StringComparison.Ordinal));
        if (answer < 0)
        {
            throw new FormatException($"'{title}' has no line 'HTTP status'.");
        }
        var (start, headers, body) = Message(lines[1..answer]);
        var (status, answerHeaders, answerBody) = Message(lines[answer..]);
        var space = start.IndexOf(' ', StringComparison.Ordinal);
        return new Exchange(title, start[..space], start[(space + 1)..], headers, body,
            int.Parse(status[5..], System.Globalization.CultureInfo.InvariantCulture), answerHeaders, answerBody == "*" ? null : answerBody ?? "");
    }

    private static (string Start, List<(string, string)> Headers, string? Body) Message(List<string> lines)
    {
        var blank = lines.FindIndex(1, line => line.Trim().Length == 0);
        var head = blank < 0 ? lines : lines[..blank];
        var body = blank < 0 ? "" : string.Join('\n', lines[blank..]).Trim('\n');
        return (head[0].Trim(), [.. head.Skip(1).Select(line => line.Split(": ", 2)).Select(parts => (parts[0], parts[1]))], body.Length == 0 ? null : body);
    }
}
