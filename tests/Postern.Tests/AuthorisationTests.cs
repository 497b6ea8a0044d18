using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Postern.Tests;

/// <summary>Every route against every kind of credential, in every header that a credential can stand in.</summary>
public partial class AuthorisationTests
{
    [GeneratedRegex(@"\{[^}]+\}")]
    private static partial Regex Placeholder { get; }

    private static readonly string[] Kinds = ["none", "API key", "signed URL", "client secret", "conversation token", "user token", "personal access token"];
    private static readonly string[] Slots = ["xi-api-key", "Authorization", "CONVAI-API-KEY", "X-API-Key", "API-AUTH-TOKEN", "x-algolia-api-key"];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    // What a request needs before its credential is looked at.
    private static readonly Dictionary<string, object> Bodies = new(StringComparer.OrdinalIgnoreCase)
    {
        ["/v1/credentials"] = new { kind = "signed_url", agent_id = "agent_echo" },
        ["/v1/convai/conversation/get-signed-url"] = new { agent_id = "agent_echo" },
        ["/v1/convai/conversation/token"] = new { agent_id = "agent_echo" },
        ["/v1/convai/agents"] = new { name = "made", conversation_config = new { } },
        ["/v1/convai/agents/create"] = new { name = "made", conversation_config = new { } },
        ["/v1/realtime/client_secrets"] = new { agent_id = "agent_echo" },
        ["/v1/realtime/sessions"] = new { agent_id = "agent_echo" },
        ["/user/extend-token"] = new { apiAuthToken = "unknown" },
        ["/user/revoke-token"] = new { apiAuthToken = "unknown" },
        ["/connect"] = new { character_id = "agent_echo" },
        ["/connect/stream"] = new { character_id = "agent_echo", text_input = "hello" },
        ["/character/getResponse"] = new { charID = "agent_echo", userText = "hello" },
        ["/character/initConversation"] = new { charID = "agent_echo" },
        ["/user/speaker/new"] = new { deviceId = "ann" },
    };

    // What anybody may call: the page and its files, what pages of a public agent ask for, and the end of a session by its random id.
    private static bool IsOpen(string method, string path) =>
        (method == "GET" && path == "/agent-studio/1/agents/{id}/completions") ||
        path is "/agent-studio/status" or "/agent-studio/1/agents/{id}/completions/{conversation}/stream" or "/health/live" or "/health/ready" or "/openapi.json" or "/disconnect" or "/v1/realtime/calls" or "/v1/realtime/calls/{id}/{verb}" or "/try" or "/try/session"
            or "/v1/convai/agents/{id}/widget" or "/v1/convai/conversations/{id}/feedback" or "/v1/convai/conversations/{id}/files"
        || (path.StartsWith("/try/", StringComparison.Ordinal) && path.Contains('.', StringComparison.Ordinal));

    [Fact]
    [Trait("attack", "B13")]
    [Trait("attack", "A19")]
    public async Task Routes_KindsOfCredentials_OpenAsDocumented()
    {
        await using var postern = await TestPostern.StartAsync();
        var credentials = await CredentialsAsync(postern);
        using var client = new HttpClient { BaseAddress = new Uri(postern.Http), Timeout = TimeSpan.FromSeconds(20) };
        var rows = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (method, path, sessions) in Routes(postern))
        {
            var cells = new List<string>();
            var keySlots = new HashSet<string>();
            foreach (var kind in Kinds)
            {
                var found = "–";
                var tokenSlots = new HashSet<string>();
                foreach (var slot in kind == "none" ? Slots[..1] : Slots)
                {
                    var status = await AskAsync(client, method, path, credentials[kind], slot);
                    found = status is not (401 or 403) ? "yes" : found;
                    if (kind == "API key" && status is not (401 or 403))
                    {
                        keySlots.Add(slot);
                    }
                    if (kind == "personal access token" && status is not (401 or 403))
                    {
                        tokenSlots.Add(slot);
                    }
                    // Where a key is taken, a credential of any other kind is told that it is of the wrong kind.
                    Assert.True(IsOpen(method, path) || sessions || kind is "none" or "API key" or "user token" || !keySlots.Contains(slot) || status == 403, $"{method} {path}: {status} to a {kind} as {slot}");
                }
                cells.Add(found);
                // In whichever header it stands: where a session is opened it takes the key's place, everywhere else it opens nothing.
                Assert.True(kind != "personal access token" || tokenSlots.SetEquals(sessions ? keySlots : []), $"{method} {path} takes a personal access token as {string.Join(", ", tokenSlots)}");
            }
            rows[$"{path} {method}"] = $"| `{method} {path}` | {string.Join(" | ", cells)} |";
            if (!IsOpen(method, path))
            {
                Assert.True(cells[0] == "–" && cells[2..6].All(cell => cell == "–"), $"{method} {path}: {string.Join(", ", cells)}");
            }
        }

        foreach (var path in Sockets(postern))
        {
            var cells = new List<string>();
            foreach (var kind in Kinds)
            {
                cells.Add(await OpensAsync(postern, path, credentials[kind]) ? "yes" : "–");
            }
            rows[$"{path} WS"] = $"| `WebSocket {path}` | {string.Join(" | ", cells)} |";
            Assert.Equal(2, cells.Count(cell => cell == "yes")); // the API key's and one kind's
        }

        foreach (var path in Methodless(postern).Append("/nothing/here"))
        {
            foreach (var slot in Slots)
            {
                Assert.Equal(403, await AskAsync(client, "GET", path, credentials["personal access token"], slot));
            }
        }

        AuthorisationDocument.Check("Every route", Introduction, ["route", .. Kinds], rows.Values);
    }

    // In every header, parameter and subprotocol that a credential can stand in.
    private static async Task<bool> OpensAsync(TestPostern postern, string path, string credential)
    {
        var opens = false;
        foreach (var slot in (string[])[.. Slots, "?token", "?conversation_signature", "bearer.", "openai-insecure-api-key.", "xai-client-secret."])
        {
            using var socket = new ClientWebSocket();
            var query = "?agent_id=agent_echo";
            if (slot.EndsWith('.'))
            {
                socket.Options.AddSubProtocol(path.Contains("convai", StringComparison.Ordinal) ? "convai" : "realtime");
                socket.Options.AddSubProtocol(slot + (credential.Length > 0 ? credential : "x"));
            }
            else if (slot[0] == '?')
            {
                query += $"&{slot[1..]}={credential}";
            }
            else if (credential.Length > 0)
            {
                socket.Options.SetRequestHeader(slot, slot == "Authorization" ? "Bearer " + credential : credential);
            }
            opens |= await TalksAsync(socket, new Uri($"ws{postern.Http[4..]}{path}{query}"));
        }
        return opens;
    }

    private static async Task<bool> TalksAsync(ClientWebSocket socket, Uri address)
    {
        try
        {
            await socket.ConnectAsync(address, Cancel);
            await socket.SendAsync("""{"type":"conversation_initiation_client_data"}"""u8.ToArray(), WebSocketMessageType.Text, true, Cancel);
        }
        catch (WebSocketException)
        {
            return false; // the guard's 403, or closed before it could say anything
        }
        var buffer = new byte[64 * 1024];
        var first = await socket.ReceiveAsync(buffer, Cancel);
        return first.MessageType == WebSocketMessageType.Text && Encoding.UTF8.GetString(buffer, 0, first.Count) is var text
            && (text.Contains("session.created", StringComparison.Ordinal) || text.Contains("conversation_initiation_metadata", StringComparison.Ordinal));
    }

    // 401 and 403 are refusals of the credential; whatever else comes has let it pass.
    private static async Task<int> AskAsync(HttpClient client, string method, string path, string credential, string slot)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), Placeholder.Replace(path, "unknown") + "?agent_id=agent_echo&agent_ids=agent_echo");
        request.Headers.Add("x-algolia-application-id", "default");
        if (method is "POST" or "PUT" or "PATCH")
        {
            request.Content = JsonContent.Create(Bodies.GetValueOrDefault(path) ?? new { });
        }
        if (credential.Length > 0)
        {
            request.Headers.TryAddWithoutValidation(slot, slot == "Authorization" ? "Bearer " + credential : credential);
        }
        using var answer = await client.SendAsync(request, Cancel);
        return (int)answer.StatusCode;
    }

    // Where a WebSocket is opened a plain request learns nothing; preflights carry no credential.
    private static IEnumerable<(string Method, string Path, bool Sessions)> Routes(TestPostern postern) =>
        from endpoint in postern.Host.Endpoints.OfType<RouteEndpoint>()
        let methods = endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods
        where methods is not null
        from method in methods
        where !HttpMethods.IsOptions(method)
        select (method, endpoint.RoutePattern.RawText!, endpoint.Metadata.GetMetadata<Server.Flow.TakesPersonalAccessToken>() is not null);

    // A route of no method is one on which a WebSocket is opened, by GET or by CONNECT, or stands for all the paths that are not served.
    private static IEnumerable<string> Sockets(TestPostern postern) => Methodless(postern).Where(path => !path.Contains("{**", StringComparison.Ordinal));

    private static IEnumerable<string> Methodless(TestPostern postern) =>
        from endpoint in postern.Host.Endpoints.OfType<RouteEndpoint>()
        where endpoint.Metadata.GetMetadata<HttpMethodMetadata>() is null
        select endpoint.RoutePattern.RawText!;

    private static async Task<Dictionary<string, string>> CredentialsAsync(TestPostern postern)
    {
        using var media = await postern.Client.PutAsJsonAsync("/api/agents/agent_echo/media", new { url = "ws://127.0.0.1:7880", key = "devkey", secret = "secret" }, Cancel);
        media.EnsureSuccessStatusCode();
        return new Dictionary<string, string>
        {
            ["none"] = "", ["API key"] = TestPostern.Key,
            ["signed URL"] = await MintAsync(postern, "signed_url"), ["client secret"] = await MintAsync(postern, "client_secret"),
            ["user token"] = await UserTokenAsync(postern),
            ["conversation token"] = await MintAsync(postern, "conversation_token"), ["personal access token"] = await MintAsync(postern, "personal_access_token"),
        };
    }

    private static async Task<string> UserTokenAsync(TestPostern postern)
    {
        using var client = new Dialects.Algolia.AlgoliaClient(postern);
        return client.Token(await client.CreateKeyAsync());
    }

    private static async Task<string> MintAsync(TestPostern postern, string kind)
    {
        using var answer = await postern.Client.PostAsJsonAsync("/v1/credentials", new { kind, agent_id = "agent_echo" }, Cancel);
        return (await answer.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("credential").GetString()!;
    }

    private const string Introduction =
        """
        Every route, and what opens it in any of the headers xi-api-key, Authorization, CONVAI-API-KEY, X-API-Key, API-AUTH-TOKEN and
        x-algolia-api-key, of a WebSocket also in the parameters and subprotocols that carry credentials. The API key has every scope. A
        dash is 401 or 403, or a WebSocket that is closed at once. The page `/try` has a session of its own.
        """;
}
