using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Conversations;
using Postern.Core.Projects;
using Postern.Server.Storage;

namespace Postern.Tests.Dialects.Algolia;

/// <summary>Every route of the vendor's × every key, with and without a user token × whose object is named.</summary>
public class ObjectAuthorisationTests
{
    private const string User = "ann";
    private static readonly string[] Owners = ["own", "user", "agent", "project"];

    private static readonly (string Name, Scopes? Scopes, bool Token)[] Callers =
    [
        ("none", null, false), ("search", Scopes.Converse, false), ("search + token", Scopes.Converse, true), ("logs", Scopes.ConversationsRead, false),
        ("logs + token", Scopes.ConversationsRead, true), ("settings", Scopes.AgentsRead, false), ("settings + token", Scopes.AgentsRead, true),
        ("editSettings", Scopes.AgentsWrite, false), ("editSettings + token", Scopes.AgentsWrite, true), ("mint", Scopes.Mint, false),
        ("admin", Scopes.All, false), ("admin + token", Scopes.All, true),
    ];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    // How each route names the things that somebody owns; a route without an entry fails the test.
    private static readonly Dictionary<string, Func<Things, (string Path, string? Body)>> Requests = new(StringComparer.Ordinal)
    {
        ["GET /agent-studio/status"] = _ => ("/agent-studio/status", null),
        ["GET /agent-studio/1/agents"] = _ => ("/agents", null),
        ["POST /agent-studio/1/agents"] = _ => ("/agents", """{"name":"n","instructions":"i"}"""),
        ["GET /agent-studio/1/agents/{id}"] = own => ($"/agents/{own.Agent}", null),
        ["PATCH /agent-studio/1/agents/{id}"] = own => ($"/agents/{own.Spare}", """{"description":"d"}"""),
        ["DELETE /agent-studio/1/agents/{id}"] = own => ($"/agents/{own.Spare}", null),
        ["POST /agent-studio/1/agents/{id}/publish"] = own => ($"/agents/{own.Spare}/publish", null),
        ["POST /agent-studio/1/agents/{id}/unpublish"] = own => ($"/agents/{own.Spare}/unpublish", null),
        ["POST /agent-studio/1/agents/{id}/duplicate"] = own => ($"/agents/{own.Spare}/duplicate", null),
        ["DELETE /agent-studio/1/agents/{id}/cache"] = own => ($"/agents/{own.Agent}/cache", null),
        ["GET /agent-studio/1/agents/{id}/completions"] = own => ($"/agents/{own.Agent}/completions", null),
        ["GET /agent-studio/1/agents/{id}/completions/{conversation}/stream"] = own => ($"/agents/{own.Agent}/completions/{own.Conversation}/stream", null),
        ["POST /agent-studio/1/agents/{id}/completions"] = own => ($"/agents/{own.Agent}/completions?compatibilityMode=ai-sdk-5", $$"""{"id":"{{own.Conversation}}","messages":[{"id":"m","role":"user","content":"hello"}]}"""),
        ["GET /agent-studio/1/agents/{id}/allowed-domains"] = own => ($"/agents/{own.Held}/allowed-domains", null),
        ["POST /agent-studio/1/agents/{id}/allowed-domains"] = own => ($"/agents/{own.Held}/allowed-domains", """{"domain":"a.example"}"""),
        ["POST /agent-studio/1/agents/{id}/allowed-domains/bulk"] = own => ($"/agents/{own.Held}/allowed-domains/bulk", """{"domains":["a.example"]}"""),
        ["DELETE /agent-studio/1/agents/{id}/allowed-domains/bulk"] = own => ($"/agents/{own.Held}/allowed-domains/bulk", $$"""{"domainIds":["{{own.Domain}}"]}"""),
        ["GET /agent-studio/1/agents/{id}/allowed-domains/{domain}"] = own => ($"/agents/{own.Held}/allowed-domains/{own.Domain}", null),
        ["DELETE /agent-studio/1/agents/{id}/allowed-domains/{domain}"] = own => ($"/agents/{own.Held}/allowed-domains/{own.Domain}", null),
        ["GET /agent-studio/1/agents/{agent}/conversations"] = own => ($"/agents/{own.Agent}/conversations", null),
        ["DELETE /agent-studio/1/agents/{agent}/conversations"] = own => ($"/agents/{own.Agent}/conversations?startDate=2001-01-01&endDate=2001-01-02", null),
        ["GET /agent-studio/1/agents/{agent}/conversations/export"] = own => ($"/agents/{own.Agent}/conversations/export", null),
        ["GET /agent-studio/1/agents/{agent}/conversations/{id}"] = own => ($"/agents/{own.Agent}/conversations/{own.Conversation}", null),
        ["DELETE /agent-studio/1/agents/{agent}/conversations/{id}"] = own => ($"/agents/{own.Agent}/conversations/{own.Conversation}", null),
        ["POST /agent-studio/1/feedback"] = own => ("/feedback", $$"""{"messageId":"{{own.Answer}}","agentId":"{{own.Agent}}","vote":1}"""),
        ["GET /agent-studio/1/memory"] = own => ($"/memory?agentIds={own.Agent}", null),
        ["POST /agent-studio/1/memory/semantic"] = own => ("/memory/semantic", $$"""{"text":"t","rawExtract":"r","agentIds":["{{own.Agent}}"]}"""),
        ["POST /agent-studio/1/memory/episodic"] = own => ("/memory/episodic", $$"""{"text":"t","rawExtract":"r","observation":"o","thoughts":"t","action":"a","result":"r","agentIds":["{{own.Agent}}"]}"""),
        ["POST /agent-studio/1/memory/search"] = own => ("/memory/search", $$"""{"queries":["canary"],"agentIds":["{{own.Agent}}"]}"""),
        ["GET /agent-studio/1/memory/{id}"] = own => ($"/memory/{own.Memory}?agentIds={own.Agent}", null),
        ["PATCH /agent-studio/1/memory/{id}"] = own => ($"/memory/{own.Memory}?agentIds={own.Agent}", """{"text":"changed"}"""),
        ["DELETE /agent-studio/1/memory/{id}"] = own => ($"/memory/{own.Memory}?agentIds={own.Agent}", null),
        ["GET /agent-studio/1/user-data/{id}"] = own => ($"/user-data/{own.Subject}", null),
        ["DELETE /agent-studio/1/user-data/{id}"] = own => ($"/user-data/{own.Subject}", null),
        ["GET /agent-studio/1/configuration"] = _ => ("/configuration", null),
        ["PATCH /agent-studio/1/configuration"] = _ => ("/configuration", """{"maxRetentionDays":90}"""),
        ["GET /agent-studio/1/secret-keys"] = _ => ("/secret-keys", null),
        ["POST /agent-studio/1/secret-keys"] = _ => ("/secret-keys", """{"name":"n"}"""),
        ["GET /agent-studio/1/secret-keys/{id}"] = own => ($"/secret-keys/{own.SecretKey}", null),
        ["PATCH /agent-studio/1/secret-keys/{id}"] = own => ($"/secret-keys/{own.SecretKey}", """{"name":"n"}"""),
        ["DELETE /agent-studio/1/secret-keys/{id}"] = own => ($"/secret-keys/{own.SecretKey}", null),
    };

    private const string Introduction =
        """
        What each key of a project gets, alone and beside the user token of ann, whose secret key is for one agent. Four statuses, when they
        differ: for ann's own with that agent, for another user's with it, for ann's own with another agent, for another project's. Where a
        route names no agent the second and third are the project's; where it names nothing there is one. Keys bear the vendor's names of
        what they may; `mint` may open other vendors' sessions alone, `admin` has everything.
        """;

    [Fact]
    [Trait("attack", "F1")]
    [Trait("attack", "F2")]
    [Trait("attack", "F3")]
    public async Task Routes_KeysAndOwners_OpenAsDocumented()
    {
        await using var scene = await Scene.StartAsync();
        var routes = Routes(scene.Postern).ToList();
        Assert.Equal(Requests.Keys.Order(StringComparer.Ordinal), routes.Order(StringComparer.Ordinal));
        var rows = new List<string>();
        foreach (var route in Requests.Keys)
        {
            var method = route[..route.IndexOf(' ', StringComparison.Ordinal)];
            var cells = new List<string>();
            var kept = await scene.ThingsAsync();
            foreach (var caller in Callers)
            {
                var statuses = new List<string>();
                foreach (var owner in Owners)
                {
                    // What a request before may have taken away is made anew.
                    var things = method == "DELETE" || IsOfAgent(route) ? await scene.ThingsAsync(owner, spare: IsOfAgent(route)) : kept[owner];
                    var (path, body) = Requests[route](things);
                    var (status, text) = await scene.SendAsync(method, path, body, caller.Name, caller.Token);
                    Check(route, caller, owner, status, text);
                    statuses.Add($"{status}");
                }
                cells.Add(statuses.Distinct().Count() == 1 ? statuses[0] : string.Join(' ', statuses));
            }
            rows.Add($"| `{route}` | {string.Join(" | ", cells)} |");
        }
        AuthorisationDocument.Check("Whose object, on Algolia's routes", Introduction, ["route", .. Callers.Select(caller => caller.Name)], rows);
    }

    private static bool IsOfAgent(string route) => Requests[route](Probe).Path.Contains(Probe.Spare, StringComparison.Ordinal);

    private static readonly Things Probe = new("a", "h", "spare", "s", "c", "m", "r", "k", "d");

    // What no table needs to say.
    private static void Check(string route, (string Name, Scopes? Scopes, bool Token) caller, string owner, int status, string text)
    {
        var what = $"{route}, {caller.Name}, {owner}: {status} {text}";
        Assert.True(status < 500, what);
        Assert.False(text.Contains("canary of project", StringComparison.Ordinal), what);
        var isOpen = route.Contains("/status", StringComparison.Ordinal) || (route.StartsWith("GET", StringComparison.Ordinal) && route.Contains("/completions", StringComparison.Ordinal));
        Assert.True(isOpen || caller.Scopes is not null || status == 401, what);
        if (caller.Token)
        {
            Assert.False(text.Contains("canary of user", StringComparison.Ordinal), what);
            Assert.False(text.Contains("canary of agent", StringComparison.Ordinal) && !route.Contains("user-data", StringComparison.Ordinal), what);
        }
        else if (caller.Scopes is not { } scopes || !scopes.HasFlag(Scopes.ConversationsRead))
        {
            Assert.False(text.Contains("canary", StringComparison.Ordinal), what);
        }
    }

    private static IEnumerable<string> Routes(TestPostern postern) =>
        from endpoint in postern.Host.Endpoints.OfType<RouteEndpoint>()
        let methods = endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods
        where methods is not null && endpoint.RoutePattern.RawText!.StartsWith("/agent-studio", StringComparison.Ordinal)
        from method in methods
        where !HttpMethods.IsOptions(method)
        select $"{method} {endpoint.RoutePattern.RawText}";

    /// <summary>What one owner has: canaries in all that can hold a text.</summary>
    private sealed record Things(string Agent, string Held, string Spare, string Subject, string Conversation, string Answer, string Memory, string SecretKey, string Domain);

    private sealed class Scene : IAsyncDisposable
    {
        private readonly HttpClient http;
        private readonly Store store;
        private readonly Dictionary<string, string> keys = [];
        private readonly Dictionary<string, (ProjectId Project, AgentId Agent, AgentId Held, string Subject)> owners = [];
        private string token = "";
        private string otherKey = "";

        private Scene(TestPostern postern)
        {
            Postern = postern;
            http = new HttpClient { BaseAddress = new Uri(postern.Http), Timeout = TimeSpan.FromSeconds(20) };
            store = Store.Open(TestPostern.Options(postern.Folder), postern.Clock);
        }

        public TestPostern Postern { get; }

        public static async Task<Scene> StartAsync()
        {
            var scene = new Scene(await TestPostern.StartAsync());
            var (store, other) = (scene.store, new ProjectId("other"));
            await store.Writer.WriteAsync(transaction => transaction.Execute("insert into project (id, name, created_at) values ('other', 'other', 0)"));
            foreach (var (name, scopes, _) in Callers.Where(caller => caller.Scopes is not null && !caller.Token))
            {
                scene.keys[name] = ApiKeyText.Create();
                await store.Keys.CreateApiKeyAsync(ProjectId.Default, name, scene.keys[name], scopes!.Value);
            }
            scene.otherKey = ApiKeyText.Create();
            await store.Keys.CreateApiKeyAsync(other, "other", scene.otherKey, Scopes.All);
            await Task.Delay(DirectoryFeed.Interval * 3, Cancel); // other processes' changes are seen within the interval
            var (a, b, c) = (await scene.AgentAsync(TestPostern.Key), await scene.AgentAsync(TestPostern.Key), await scene.AgentAsync(scene.otherKey));
            var (held, elsewhere, foreign) = (await scene.AgentAsync(TestPostern.Key), await scene.AgentAsync(TestPostern.Key), await scene.AgentAsync(scene.otherKey));
            scene.owners["own"] = (ProjectId.Default, a, held, User);
            scene.owners["user"] = (ProjectId.Default, a, held, "bob");
            scene.owners["agent"] = (ProjectId.Default, b, elsewhere, User);
            scene.owners["project"] = (other, c, foreign, "zoe");
            var secret = await store.UserTokenKeys.CreateAsync(ProjectId.Default, "ann's", Core.Keys.UserTokenSecret.Create("sk-alg-"), [a], false, null);
            await Task.Delay(DirectoryFeed.Interval * 3, Cancel);
            using var client = new AlgoliaClient(scene.Postern);
            scene.token = client.Token((secret.Id, secret.Value), User);
            return scene;
        }

        /// <summary>New ones of every owner.</summary>
        public async Task<Dictionary<string, Things>> ThingsAsync()
        {
            var made = await Task.WhenAll(owners.Select(async pair => (pair.Key, Things: await ThingsAsync(pair.Key, spare: false))));
            return made.ToDictionary(one => one.Key, one => one.Things);
        }

        public async Task<(int Status, string Text)> SendAsync(string method, string path, string? body, string caller, bool withToken)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path.StartsWith("/agent-studio", StringComparison.Ordinal) ? path : "/agent-studio/1" + path);
            if (body is not null)
            {
                request.Content = new StringContent(body, Encoding.UTF8, "text/plain");
            }
            if (caller != "none")
            {
                request.Headers.Add("x-algolia-application-id", "default");
                request.Headers.Add("x-algolia-api-key", keys[caller.Replace(" + token", "", StringComparison.Ordinal)]);
            }
            if (withToken)
            {
                request.Headers.Add(AlgoliaClient.TokenHeader, token);
            }
            using var answer = await http.SendAsync(request, Cancel);
            return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(Cancel));
        }

        /// <summary>New ones of one owner.</summary>
        public async Task<Things> ThingsAsync(string owner, bool spare)
        {
            var (project, agent, held, subject) = owners[owner];
            var (canary, now, answer) = ($"canary of {owner}", Postern.Clock.GetUtcNow(), "alg_msg_" + RandomText.Base62(RandomText.IdLength));
            var conversation = "c" + RandomText.Base62(RandomText.IdLength);
            var holder = new Owner(project, agent, subject);
            var said = store.Conversations.AppendAsync(holder, conversation,
                [Message.Of("q" + answer, TurnRole.User, canary, now), Message.Of(answer, TurnRole.Agent, canary, now) with { FromAgent = true }], now);
            var remembered = store.Memory.AddAsync(holder, MemoryDraft.Of(canary), now);
            var key = store.UserTokenKeys.CreateAsync(project, "a key", Core.Keys.UserTokenSecret.Create("sk-alg-"), [], false, null);
            var domains = store.Domains.AddAsync(project, held, null, [RandomText.Base62(12).ToLowerInvariant() + ".example"], int.MaxValue);
            await said;
            Assert.False((await remembered).IsDenied(out _, out var memory));
            return new Things(agent.Uuid, held.Uuid, spare ? (await AgentAsync(project == ProjectId.Default ? TestPostern.Key : otherKey)).Uuid : "", subject,
                conversation, answer, memory.Id, (await key).Id, (await domains)![0].Id);
        }

        private async Task<AgentId> AgentAsync(string key)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/convai/agents/create") { Content = JsonContent.Create(new { name = "agent", conversation_config = new { } }) };
            request.Headers.Add("xi-api-key", key);
            using var answer = await http.SendAsync(request, Cancel);
            return new AgentId((await answer.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("agent_id").GetString()!);
        }

        public async ValueTask DisposeAsync()
        {
            http.Dispose();
            await store.DisposeAsync();
            await Postern.DisposeAsync();
        }
    }
}
