using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Postern.Server.Flow;

namespace Postern.Tests;

/// <summary>Requests as a dialect sees them, without a server.</summary>
internal static class Wires
{
    /// <summary>A request with this raw query, read as the server reads it.</summary>
    public static WireRequest Request(string query, IHeaderDictionary? headers = null, params IReadOnlyList<string> protocols) =>
        new(new QueryCollection(QueryHelpers.ParseQuery(query)), headers ?? new HeaderDictionary(), "127.0.0.1", protocols, default);

    public static IHeaderDictionary Headers(params ReadOnlySpan<(string Name, string Value)> headers)
    {
        var dictionary = new HeaderDictionary();
        foreach (var (name, value) in headers)
        {
            dictionary.Append(name, value);
        }
        return dictionary;
    }
}
