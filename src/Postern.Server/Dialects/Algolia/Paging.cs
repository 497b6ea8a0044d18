using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Primitives;
using Postern.Core;

namespace Postern.Server.Dialects.Algolia;

/// <summary>Which page of a list is asked for; pages begin at 1.</summary>
internal sealed record Paging(int Page, int Limit)
{
    private const int LargestPage = 1_000_000;

    /// <summary>How many rows stand before it.</summary>
    public long Offset => (long)(Page - 1) * Limit;

    /// <summary>Reads <c>page</c> and <c>limit</c>; RequestInvalid when one is out of range.</summary>
    public static Decision<Paging> Read(HttpContext context, int limit) =>
        !TryRead(context.Request.Query["page"], 1, LargestPage, out var page) ? Outside("page", LargestPage)
        : !TryRead(context.Request.Query["limit"], limit, 100, out limit) ? Outside("limit", 100)
        : new Paging(page, limit);

    /// <summary>This page of rows that were found elsewhere, and how many there are in all.</summary>
    public (IEnumerable<T> Rows, long Total) Of<T>(IReadOnlyCollection<T> all) => (all.Skip((int)Math.Min(Offset, all.Count)).Take(Limit), all.Count);

    /// <summary>The page, and how much there is.</summary>
    public HttpAnswer Answer<T>(IEnumerable<T> rows, long total, Action<Utf8JsonWriter, T> members) => Wire.Json(200, json =>
    {
        Wire.List(json, "data", rows, row => members(json, row));
        json.WriteStartObject("pagination"u8);
        json.WriteNumber("page"u8, Page);
        json.WriteNumber("limit"u8, Limit);
        json.WriteNumber("totalCount"u8, total);
        json.WriteNumber("totalPages"u8, (total + Limit - 1) / Limit);
        json.WriteEndObject();
    });

    private static Denial Outside(string name, int largest) => new(DenialReason.RequestInvalid, $"query {name}: Input should be an integer from 1 to {largest}");

    private static bool TryRead(StringValues values, int otherwise, int largest, out int number)
    {
        number = otherwise;
        return values.Count == 0 || (values.Count == 1 && int.TryParse(values[0], NumberStyles.None, CultureInfo.InvariantCulture, out number) && number >= 1 && number <= largest);
    }
}
