using System.Text.Json;
using Postern.Server.Flow;
using Upstream = Postern.Core.Agents.Upstream;

namespace Postern.Server.Agents;

/// <summary>Where an agent is, as an operator writes it and sees it again.</summary>
/// <param name="Kind"><c>echo</c>, <c>relay</c> or <c>chat</c>.</param>
/// <param name="Headers">Of a relay.</param>
/// <param name="Model">Of a chat endpoint, as the key and the rest.</param>
internal sealed record UpstreamSettings(
    string Kind, string? Url, IReadOnlyCollection<KeyValuePair<string, string>> Headers, string? Model = null, string? Key = null, int? MaxTokens = null, double? Temperature = null)
{
    private const int MostHeaders = 32;
    private const int LongestModel = 128;
    private const int LongestKey = 4096;
    private const int MostTokens = 1_000_000;

    private bool SaysChat => Model is not null || Key is not null || MaxTokens is not null || Temperature is not null;

    /// <summary>The upstream; null with a sentence that says what to write instead.</summary>
    public Upstream? Read(PosternOptions options, out string problem)
    {
        problem = Kind switch
        {
            "echo" => Url is null && Headers.Count == 0 && !SaysChat ? null : "An echo agent has neither url nor headers, and nothing of a chat endpoint.",
            "relay" => Url is null ? "A relay needs a url, such as wss://agent.example.com/talk."
                : SaysChat ? "A relay has a url and headers, and nothing of a chat endpoint." : CheckAddress(Url, "ws", options) ?? CheckHeaders(),
            "chat" => Url is null ? "A chat endpoint needs a url, such as https://api.example.com/v1."
                : Headers.Count > 0 ? "A chat endpoint has a key and no headers." : CheckAddress(Url, "http", options) ?? CheckChat(Url, options),
            _ => "The kind of an upstream is echo or relay or chat.",
        } ?? "";
        return problem.Length > 0 ? null
            : Url is null ? new Upstream.Echo()
            : Kind == "relay" ? new Upstream.Relay(Url, [.. Headers])
            : new Upstream.Chat(Url.TrimEnd('/'), Model!, Key) { MaxTokens = MaxTokens, Temperature = Temperature };
    }

    /// <summary>An upstream's members: of headers the names alone and of a key that there is one, their values are never shown again.</summary>
    public static void Write(Utf8JsonWriter json, Upstream upstream)
    {
        switch (upstream)
        {
            case Upstream.Echo:
                json.WriteString("kind"u8, "echo");
                break;
            case Upstream.Relay relay:
                json.WriteString("kind"u8, "relay");
                json.WriteString("url"u8, relay.Url);
                json.WriteStartArray("headers"u8);
                foreach (var (name, _) in relay.Headers)
                {
                    json.WriteStringValue(name);
                }
                json.WriteEndArray();
                break;
            case Upstream.Chat chat:
                json.WriteString("kind"u8, "chat");
                json.WriteString("url"u8, chat.Url);
                json.WriteString("model"u8, chat.Model);
                json.WriteBoolean("has_key"u8, chat.Key is not null);
                if (chat.MaxTokens is { } most)
                {
                    json.WriteNumber("max_tokens"u8, most);
                }
                if (chat.Temperature is { } temperature)
                {
                    json.WriteNumber("temperature"u8, temperature);
                }
                break;
        }
    }

    /// <summary>An upstream in one line, without a query that may hold a secret.</summary>
    public static string Shown(Upstream upstream) => upstream switch
    {
        Upstream.Relay relay => "relay " + relay.Url.Split('?')[0],
        Upstream.Chat chat => $"chat {chat.Model} at {chat.Url}",
        _ => "echo",
    };

    private static string? CheckAddress(string url, string scheme, PosternOptions options)
    {
        if (UpstreamAddress.Parse(url, out var problem, scheme) is not { } address)
        {
            return problem;
        }
        // A name is checked by its addresses whenever it is dialled; an address can be told at once.
        return address.Literal is { } literal && !options.Agents.AllowPrivateUpstreams && !AddressRules.IsPublic(literal)
            ? "The address is private, local or reserved: the setting Agents:AllowPrivateUpstreams allows such upstreams." : null;
    }

    private string? CheckHeaders() =>
        Headers.Count > MostHeaders ? $"At most {MostHeaders} headers are added."
        : Headers.FirstOrDefault(header => header.Value is null).Key is { } empty ? $"The header {empty} has no value."
        : Headers.Select(header => header.Key).Distinct(StringComparer.OrdinalIgnoreCase).Count() < Headers.Count ? "A header is named twice."
        : Headers.Select(header => UpstreamHandshake.CheckHeader(header.Key, header.Value)).FirstOrDefault(found => found is not null);

    private string? CheckChat(string url, PosternOptions options) =>
        url.StartsWith("http:", StringComparison.OrdinalIgnoreCase) && !options.Agents.AllowPrivateUpstreams ? "The address must begin with https://: http:// is for private networks, which the setting Agents:AllowPrivateUpstreams allows."
        : url.Contains('?', StringComparison.Ordinal) ? "The address of a chat endpoint has no query."
        : url.TrimEnd('/').EndsWith("/chat/completions", StringComparison.Ordinal) ? "Leave /chat/completions out: it is added."
        : Model is not { Length: > 0 and <= LongestModel } || Model.Any(char.IsControl) ? $"A chat endpoint needs the name of its model, of at most {LongestModel} characters."
        : Key is not null && (Key.Length is 0 or > LongestKey || Key.Any(c => c is <= ' ' or > '~')) ? $"The key is visible ASCII, of at most {LongestKey} characters."
        : MaxTokens is < 1 or > MostTokens ? $"max_tokens lies between 1 and {MostTokens}."
        : Temperature is not null and not (>= 0 and <= 2) ? "The temperature lies between 0 and 2." : null;
}
