using System.Globalization;
using Postern.Core;
using Postern.Core.Projects;

namespace Postern.Server.Dialects.Algolia;

/// <summary>The query parameters of the routes for conversations and memory; the first thing wrong is kept.</summary>
internal sealed class QueryForm(IQueryCollection query)
{
    /// <summary>RequestInvalid for the first parameter that does not fit.</summary>
    public Denial? Problem { get; private set; }

    /// <summary>The beginning of the UTC day of <c>startDate</c>.</summary>
    public DateTimeOffset? From => Day("startDate");

    /// <summary>The end of the UTC day of <c>endDate</c>, which belongs to it.</summary>
    public DateTimeOffset? Before => Day("endDate") is { } day ? day.AddDays(1) : null;

    /// <summary>The end user that a key without a user token names; empty is nobody in particular, null everybody.</summary>
    public string? User
    {
        get
        {
            if (Once("userToken") is not { } text || text.Length == 0 || Subject.IsValid(text))
            {
                return Once("userToken");
            }
            Refuse("userToken", Subject.Rule);
            return null;
        }
    }

    public bool Flag(string name) => Once(name) switch
    {
        null or "false" or "False" or "0" => false,
        "true" or "True" or "1" => true,
        _ => Refuse(name, "Input should be a valid boolean") is not null,
    };

    /// <summary>A number out of a few, null when absent.</summary>
    public int? Choice(string name, int first, int second)
    {
        if (Once(name) is { } text)
        {
            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && (number == first || number == second))
            {
                return number;
            }
            Refuse(name, $"Input should be {first} or {second}");
        }
        return null;
    }

    /// <summary>A parameter that may come once, null when absent.</summary>
    public string? Once(string name)
    {
        if (query[name].Count > 1)
        {
            Refuse(name, "Input should be given once");
        }
        return query[name] is [var text] ? text : null;
    }

    /// <summary>Notes what is wrong with a parameter, unless something was before.</summary>
    public Denial Refuse(string name, string problem) => Problem ??= new Denial(DenialReason.RequestInvalid, $"query {name}: {problem}");

    private DateTimeOffset? Day(string name)
    {
        if (Once(name) is not { } text)
        {
            return null;
        }
        // ISO 8601 with a time names its day; the last day of the calendar has no end.
        if (DateOnly.TryParseExact(text.Length > 10 && text[10] == 'T' ? text[..10] : text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day) && day < DateOnly.MaxValue)
        {
            return new DateTimeOffset(day, TimeOnly.MinValue, TimeSpan.Zero);
        }
        Refuse(name, "Input should be a date such as 2026-11-21");
        return null;
    }
}
