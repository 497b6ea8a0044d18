using System.Net;
using System.Text;
using System.Text.Json;
using Npgsql;
using Postern.Core;
using Postern.Core.Conversations;
using Postern.Core.Projects;
using Postern.Server;
using Postern.Server.Storage;
using Postern.Tests.Credentials;
using Postern.Tests.Storage;

namespace Postern.Tests.Dialects.Algolia;

/// <summary>An answer as it came.</summary>
internal sealed record Answer(HttpStatusCode Status, string Text, string Headers)
{
    public JsonElement Body => JsonElement.Parse(Text);

    /// <summary>Everything but the time of day.</summary>
    public string Bytes => $"{(int)Status}\n{Headers}\n{Text}";

    public string? Message => Body.GetProperty("message").GetString();
}

/// <summary>
/// A server on either database with keys for every purpose and tokens for whatever user; a store of its own stands for what an
/// earlier process has written.
/// </summary>
internal sealed class UserScene : IAsyncDisposable
{
    public const string TokenHeader = "X-Algolia-Secure-User-Token";
    /// <summary>The demo agent as the vendor's clients call it.</summary>
    public static readonly string Agent = Server.Storage.Store.DemoAgent.Uuid;

    private readonly TestDatabase? database;
    private readonly HttpClient http;
    private UserTokenKeyRow userKey = null!;

    private UserScene(TestPostern postern, TestDatabase? database, Store store)
    {
        (Postern, this.database, Store) = (postern, database, store);
        http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 64 }) { BaseAddress = new Uri(postern.Http) };
    }

    public TestPostern Postern { get; }
    public Store Store { get; }

    /// <summary>Fit for a page.</summary>
    public string SearchKey { get; private set; } = "";
    /// <summary>Reads and deletes conversations.</summary>
    public string LogsKey { get; private set; } = "";

    public DateTimeOffset Now => Postern.Clock.GetUtcNow();

    public static async Task<UserScene> StartAsync(Engine engine = Engine.Sqlite, Action<PosternOptions>? more = null)
    {
        var database = engine == Engine.Postgres ? await TestDatabase.CreateAsync(engine) : null;
        PosternOptions? options = null;
        var postern = await TestPostern.StartAsync((folder, https) =>
        {
            var plain = TestPostern.Options(folder, https);
            options = new PosternOptions
            {
                Http = plain.Http, Https = null, Data = folder, Database = database is null ? "" : new NpgsqlConnectionStringBuilder(database.ConnectionString) { MaxPoolSize = 30, Timeout = 60 }.ToString(),
                Log = { Level = "warning" }, Limits = { RefusalsPerAddressPerMinute = 1_000_000 },
            };
            more?.Invoke(options);
            return options;
        });
        var scene = new UserScene(postern, database, Store.Open(options!, postern.Clock));
        scene.SearchKey = await scene.KeyAsync(Scopes.Converse);
        scene.LogsKey = await scene.KeyAsync(Scopes.ConversationsRead);
        scene.userKey = await scene.Store.UserTokenKeys.CreateAsync(ProjectId.Default, "test", Core.Keys.UserTokenSecret.Create("sk-alg-"), [], false, null);
        // A change of another process is seen within the feed's interval.
        await UntilAsync(async () => (await scene.SendAsync("GET", Conversations, scene.LogsKey, scene.Token("ann"))).Status == HttpStatusCode.OK);
        return scene;
    }

    public static readonly string Conversations = $"/agent-studio/1/agents/{Agent}/conversations";

    public static Owner Owner(string user) => new(ProjectId.Default, Server.Storage.Store.DemoAgent, user);

    public async Task<string> KeyAsync(Scopes scopes)
    {
        var text = ApiKeyText.Create();
        await Store.Keys.CreateApiKeyAsync(ProjectId.Default, "test", text, scopes);
        return text;
    }

    /// <summary>A genuine token of this user, whose name needs no escaping, for an hour.</summary>
    public string Token(string user) => UserTokenForge.Sign($$"""{"alg":"HS256","typ":"JWT","kid":"{{userKey.Id}}"}""",
        $$"""{"sub":"{{user}}","exp":{{Now.ToUnixTimeSeconds() + 3600}}}""", userKey.Value);

    /// <summary>Stores a question and its answer, as a completion does; returns the answer's id.</summary>
    public async Task<string> SayAsync(string user, string id, string question, string answer)
    {
        var answerId = "alg_msg_" + RandomText.Base62(RandomText.IdLength);
        await Store.Conversations.AppendAsync(Owner(user), id,
            [Message.Of("q" + answerId, TurnRole.User, question, Now), Message.Of(answerId, TurnRole.Agent, answer, Now) with { FromAgent = true, Model = "echo", InputTokens = 2, OutputTokens = 3 }], Now);
        return answerId;
    }

    public async Task<Answer> SendAsync(string method, string path, string key, string? token = null, string? body = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Headers.Add("x-algolia-application-id", "default");
        request.Headers.Add("x-algolia-api-key", key);
        if (token is not null)
        {
            request.Headers.Add(TokenHeader, token);
        }
        if (body is not null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, "text/plain");
        }
        using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
        var headers = string.Join('\n', answer.Headers.Concat(answer.Content.Headers).Where(header => header.Key != "Date").Select(header => $"{header.Key}: {string.Join(',', header.Value)}").Order(StringComparer.Ordinal));
        return new Answer(answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), headers);
    }

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        await Store.DisposeAsync();
        await Postern.DisposeAsync();
        if (database is not null)
        {
            await database.DisposeAsync();
        }
    }

    private static async Task UntilAsync(Func<Task<bool>> happened)
    {
        for (var attempt = 0; !await happened(); attempt++)
        {
            Assert.True(attempt < 200, "it has not happened");
            await Task.Delay(25, TestContext.Current.CancellationToken);
        }
    }
}
