using System.Net;
using System.Text.Json;
using Postern.Server.Cli;

namespace Postern.Tests.Cli;

/// <summary>The subcommands, beside a server that runs on the same folder.</summary>
public sealed class CommandsTests(SharedPostern shared) : IClassFixture<SharedPostern>
{
    private TestPostern Server => shared.Server;

    [Fact]
    public async Task KeysCreate_WithScopes_WorksAtOnceUntilItIsRevoked()
    {
        var made = await JsonAsync("keys", "create", "--name", "web", "--scopes", "mint");
        var (id, key) = (made.GetProperty("id").GetString()!, made.GetProperty("key").GetString()!);
        Assert.Equal(["mint"], made.GetProperty("scopes").EnumerateArray().Select(scope => scope.GetString()));

        await UntilAsync(HttpStatusCode.OK, key);
        Assert.Contains(id, await TextAsync("keys", "list"), StringComparison.Ordinal);
        Assert.DoesNotContain(key, await TextAsync("keys", "list", "--json"), StringComparison.Ordinal);

        Assert.Equal(id, (await JsonAsync("keys", "revoke", id)).GetProperty("id").GetString());
        await UntilAsync(HttpStatusCode.Unauthorized, key);
        Assert.Equal(1, (await RunAsync("keys", "revoke", id)).ExitCode);
    }

    [Fact]
    public async Task UserTokenKeys_MadeListedAndDeleted_AndAUserLoggedOut()
    {
        var made = await JsonAsync("user-token-keys", "create", "--name", "shop", "--agents", "agent_echo");
        var (id, value) = (made.GetProperty("id").GetString()!, made.GetProperty("value").GetString()!);
        Assert.StartsWith("sk-alg-", value, StringComparison.Ordinal);
        Assert.Contains("becomes any other user", await TextAsync("user-token-keys", "create", "--signer-encodes-json", "yes"), StringComparison.Ordinal);
        Assert.Contains(id, await TextAsync("user-token-keys", "list"), StringComparison.Ordinal);
        Assert.DoesNotContain(value, await TextAsync("user-token-keys", "list", "--json"), StringComparison.Ordinal);
        Assert.Equal("ann", (await JsonAsync("users", "log-out", "ann")).GetProperty("subject").GetString());
        Assert.True((await JsonAsync("user-token-keys", "delete", id)).GetProperty("deleted").GetBoolean());
        Assert.Equal(1, (await RunAsync("user-token-keys", "delete", id)).ExitCode);
    }

    [Theory]
    [InlineData("user-token-keys create --signer-encodes-json true", "yes or no")]
    [InlineData("keys create --scopes mnt", "Did you mean mint?")]
    [InlineData("keys create --scopes ,", "leave --scopes out")]
    [InlineData("projects create a/b", "1 to 64 letters")]
    [InlineData("serve --json", "leave --json out")]
    [InlineData("keys rotate-signing --keep soon", "a duration such as 24h")]
    [InlineData("agents set-dialect agent_echo eleven", "The dialects are")]
    [InlineData("agents set-upstream agent_echo ftp://a", "ws:// or wss://")]
    [InlineData("agents set-upstream agent_echo https://a/v1", "name of its model")]
    [InlineData("agents set-upstream agent_echo https://a/v1 --model m --max-tokens many", "takes a number")]
    [InlineData("agents set-upstream agent_echo http://a/v1 --model m", "https://")]
    [InlineData("agents set-upstream agent_echo ws://a --header nonsense", "'Name: value'")]
    [InlineData("projects set-defaults default --dialect convai", "--dialect is one of: elevenlabs, xuna")]
    [InlineData("projects set-defaults default --lock-session maybe", "--lock-session is yes or no")]
    [InlineData("help nothing", "There is no command 'nothing'")]
    public async Task Command_ThatCannotBeUnderstood_Is2(string words, string sentence)
    {
        var (code, output, errors) = await RunAsync(words.Split(' '));

        Assert.Equal((2, ""), (code, output));
        Assert.Contains(sentence, errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("keys revoke key_nobody", "postern keys list")]
    [InlineData("user-token-keys create --agents agent_nobody", "There is no agent 'agent_nobody'")]
    [InlineData("user-token-keys create --project other", "There is no project 'other'")]
    [InlineData("keys create --project other", "There is no project 'other': 'postern projects list'")]
    [InlineData("agents list --project other", "There is no project 'other'")]
    [InlineData("conversations keep 30 --project other", "There is no project 'other'")]
    [InlineData("projects create default", "There is a project 'default' already")]
    [InlineData("projects set-defaults other --access public", "There is no project 'other'")]
    [InlineData("agents set-upstream agent_nobody echo", "There is no agent 'agent_nobody'")]
    public async Task Command_ForWhatIsNotThere_Is1(string words, string sentence)
    {
        var (code, output, errors) = await RunAsync(words.Split(' '));

        Assert.Equal((1, ""), (code, output));
        Assert.Contains(sentence, errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ProjectDefaults_Set_HoldForNewAgentsAlone()
    {
        await using var server = await TestPostern.StartAsync();
        var before = await server.AgentAsync();
        await SetAsync("--dialect", "xuna");
        var xuna = await server.AgentAsync();
        await SetAsync("--dialect", "settings", "--access", "public");
        var open = await server.AgentAsync();

        Assert.Contains("&token=", await server.SignedUrlAsync(xuna), StringComparison.Ordinal);
        Assert.Contains("&conversation_signature=", await server.SignedUrlAsync(before), StringComparison.Ordinal);
        Assert.Equal(3000, (await Flow.ConnectTests.Refusal(server.Address($"agent_id={before}"))).Code);
        using var socket = await Flow.ConnectTests.Open(server.Address($"agent_id={open}"));
        await Flow.SessionTests.Send(socket, Flow.SessionTests.Hello);
        Assert.Contains("conversation_initiation_metadata", await Flow.ConnectTests.Text(socket), StringComparison.Ordinal);
        Assert.Contains(server.Audit(), row => row.Name == "project.changed");

        async Task SetAsync(params string[] what)
        {
            await using var run = PosternProcess.Start(server.Folder, ["projects", "set-defaults", "default", .. what, "--data", server.Folder]);
            Assert.Equal(0, (await run.EndAsync()).ExitCode);
        }
    }

    [Fact]
    public async Task SetDefaults_OfOneThing_LeavesTheOthersAsTheyWere()
    {
        await using var server = await TestPostern.StartAsync();
        Assert.True((await SetAsync("--lock-session", "yes", "--dialect", "xuna")).GetProperty("lock_session").GetBoolean());
        var next = await SetAsync("--access", "public");
        Assert.Equal((true, "xuna", "public"), (next.GetProperty("lock_session").GetBoolean(), next.GetProperty("dialect").GetString(), next.GetProperty("access").GetString()));
        var last = await SetAsync("--lock-session", "settings", "--dialect", "settings");
        Assert.Equal((JsonValueKind.Null, JsonValueKind.Null, "public"), (last.GetProperty("lock_session").ValueKind, last.GetProperty("dialect").ValueKind, last.GetProperty("access").GetString()));

        async Task<JsonElement> SetAsync(params string[] what)
        {
            var (exit, output, errors) = await PosternProcess.RunAsync(server.Folder, ["projects", "set-defaults", "default", .. what, "--json", "--data", server.Folder]);
            Assert.Equal((0, ""), (exit, errors));
            return JsonDocument.Parse(output).RootElement;
        }
    }

    [Fact]
    public async Task RotateSigning_OldUrls_AreStillGoodForTheirTime()
    {
        await using var server = await TestPostern.StartAsync(); // of its own: what the others have signed must stay good
        var old = await server.SignedUrlAsync();
        var second = await RotateAsync("1h");
        Assert.NotEqual(Signer(old), second);
        var former = await SignedByAsync(second);
        using (var socket = await Flow.ConnectTests.Open(old))
        {
            await Flow.SessionTests.Send(socket, Flow.SessionTests.Hello);
            Assert.Contains("conversation_initiation_metadata", await Flow.ConnectTests.Text(socket), StringComparison.Ordinal);
        }

        await SignedByAsync(await RotateAsync("0s"));
        Assert.Equal(3000, (await Flow.ConnectTests.Refusal(old)).Code);
        Assert.Equal(3000, (await Flow.ConnectTests.Refusal(former)).Code);

        async Task<string> RotateAsync(string keep)
        {
            var (code, output, errors) = await RunBareAsync("keys", "rotate-signing", "--keep", keep, "--json", "--data", server.Folder);
            Assert.Equal((0, ""), (code, errors));
            var said = JsonDocument.Parse(output).RootElement;
            Assert.Equal(keep, said.GetProperty("former_verifies_for").GetString());
            return said.GetProperty("id").GetString()!;
        }

        async Task<string> SignedByAsync(string key)
        {
            for (var tries = 0; ; tries++)
            {
                var url = await server.SignedUrlAsync();
                if (Signer(url) == key) return url;
                Assert.True(tries < 100, "The server signs with the former key after 10 seconds.");
                await Task.Delay(100, TestContext.Current.CancellationToken);
            }
        }

        static string? Signer(string url) => JsonElement.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(url[(url.IndexOf("psu_", StringComparison.Ordinal) + 4)..].Split('.')[0])).GetProperty("kid").GetString();
    }

    [Fact]
    public async Task Projects_MadeAndListed_HaveKeysAndAgentsOfTheirOwn()
    {
        await using var server = await TestPostern.StartAsync((folder, https) =>
        {
            var options = TestPostern.Options(folder, https);
            options.Realtime.LockSession = true;
            return options;
        });
        Assert.Equal("shop", (await SayAsync("projects", "create", "shop")).GetProperty("project").GetString());
        Assert.Equal(["default", "shop"], (await SayAsync("projects", "list")).EnumerateArray().Select(row => row.GetProperty("project").GetString()));
        Assert.Contains(server.Audit(), row => row.Name == "project.created");
        var key = (await SayAsync("keys", "create", "--project", "shop")).GetProperty("key").GetString()!;
        using var client = new HttpClient { BaseAddress = new Uri(server.Http), DefaultRequestHeaders = { { "xi-api-key", key } } };

        Assert.True(await Flow.SessionTests.Eventually(() => client.GetAsync("/v1/convai/agents", TestContext.Current.CancellationToken).Result.IsSuccessStatusCode)); // the server has heard of the key
        using var made = await client.PostAsync("/v1/convai/agents/create", TestPostern.Json("""{"name":"shop's","conversation_config":{}}"""), TestContext.Current.CancellationToken);
        Assert.True(made.IsSuccessStatusCode);
        Assert.Equal("shop's", Assert.Single((await SayAsync("agents", "list", "--project", "shop")).EnumerateArray()).GetProperty("name").GetString());
        var agent = JsonElement.Parse(await made.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).GetProperty("agent_id").GetString();
        var (_, secret) = await Dialects.Realtime.RealtimeClient.AnswerAsync(server, $$$"""{"agent_id":"{{{agent}}}","session":{"instructions":"x"}}""", key: key);
        await using (var talk = await Dialects.Realtime.RealtimeClient.ConnectAsync(server, secret.GetProperty("value").GetString()))
        {
            await talk.SendAsync("""{"type":"session.update","session":{"instructions":"y"}}""");
            Assert.Contains(await talk.UntilAsync("session.updated"), one => one.GetProperty("type").GetString() == "error"); // the settings lock it from its first mint on
        }
        using var another = await client.GetAsync("/v1/convai/conversation/get-signed-url?agent_id=agent_echo", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, another.StatusCode);

        async Task<JsonElement> SayAsync(params string[] words)
        {
            var (code, output, errors) = await RunBareAsync([.. words, "--json", "--data", server.Folder]);
            Assert.Equal((0, ""), (code, errors));
            return JsonDocument.Parse(output).RootElement;
        }
    }

    [Fact]
    public async Task Try_BesideARunningServer_LinksToWhereItListens()
    {
        var server = await TestPostern.StartAsync();
        var link = await LinkAsync(server.Folder);
        Assert.StartsWith($"Works once, within 24 hours: {server.Http}/try#", link, StringComparison.Ordinal);

        var copy = Directory.CreateTempSubdirectory("postern-try-");
        try
        {
            foreach (var name in new[] { "postern.db", "postern.db-wal", "secrets.key", "addresses" }.Where(name => File.Exists(Path.Combine(server.Folder, name))))
            {
                await using var from = new FileStream(Path.Combine(server.Folder, name), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
                await using var to = File.Create(Path.Combine(copy.FullName, name));
                await from.CopyToAsync(to, TestContext.Current.CancellationToken);
            }
            await File.WriteAllTextAsync(Path.Combine(copy.FullName, "node"), "node_of_before", TestContext.Current.CancellationToken);
            // As a killed process leaves it: what it listened on is nowhere now.
            Assert.StartsWith($"No server runs on {copy.FullName} now; ", await LinkAsync(copy.FullName), StringComparison.Ordinal);
            Assert.Contains("http://127.0.0.1:18080/try#", await LinkAsync(copy.FullName, "--http", "127.0.0.1:18080"), StringComparison.Ordinal);
        }
        finally
        {
            await server.DisposeAsync();
            copy.Delete(recursive: true);
        }

        static async Task<string> LinkAsync(string folder, params string[] more)
        {
            var (code, output, errors) = await RunBareAsync(["try", "--data", folder, .. more]);
            Assert.Equal((0, ""), (code, errors));
            return output;
        }
    }

    [Fact]
    public async Task SetUpstream_WithHeaders_IsListedWithoutThem()
    {
        var (code, output, errors) = await RunAsync("agents", "set-upstream", "agent_echo", "wss://agent.example.com/talk", "--header", "Authorization: Bearer canary", "--header", "X-Tenant: one");
        Assert.Equal((0, ""), (code, errors));
        var listed = (await JsonAsync("agents", "list")).EnumerateArray().Single(agent => agent.GetProperty("id").GetString() == "agent_echo");
        Assert.Equal("wss://agent.example.com/talk", listed.GetProperty("upstream").GetString());
        Assert.Equal("private", listed.GetProperty("access").GetString());
        Assert.DoesNotContain("canary", output + listed, StringComparison.Ordinal);

        Assert.Equal(0, (await RunAsync("agents", "set-upstream", "agent_echo", "echo")).ExitCode);
        Assert.Contains("echo", await TextAsync("agents", "list"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task CheckConfig_GivenSettings_SaysWhatHoldsAndWhereItComesFrom()
    {
        var rows = (await JsonAsync("check-config", "--sessions:idle", "90s", "--database", "Host=a;Password=hunter2")).EnumerateArray()
            .ToDictionary(row => row.GetProperty("setting").GetString()!, row => (row.GetProperty("value").GetString(), row.GetProperty("from").GetString()));

        Assert.Equal(("90s", "--sessions:idle"), rows["Sessions:Idle"]);
        Assert.Equal(("10s", "default"), rows["Sessions:SlowReader"]);
        Assert.Equal(("(not shown)", "--database"), rows["Database"]);
        Assert.Contains("in order", await TextAsync("check-config"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Migrate_UpToDate_SaysSo()
    {
        Assert.Equal(0, (await JsonAsync("migrate")).GetProperty("applied").GetInt32());
        Assert.Contains("up to date", await TextAsync("migrate"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("version")]
    [InlineData("--version")]
    public async Task Version_AnyWay_IsPrinted(string word)
    {
        var (code, output, _) = await RunBareAsync(word);

        Assert.Equal(0, code);
        Assert.StartsWith($"postern {Commands.Version} ", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("help")]
    [InlineData("--help")]
    [InlineData("-h")]
    public async Task Help_AnyWay_ListsEveryCommand(string word)
    {
        var (code, output, _) = await RunBareAsync(word);

        Assert.Equal(0, code);
        Assert.All(Commands.All, command => Assert.Contains($"postern {command.Name}", output, StringComparison.Ordinal));
        var (_, list, _) = await RunBareAsync(word, "--json");
        Assert.Equal(Commands.All.Select(command => command.Name), JsonDocument.Parse(list).RootElement.EnumerateArray().Select(row => row.GetProperty("command").GetString()));
    }

    [Theory]
    [InlineData("keys create --help")]
    [InlineData("help keys create")]
    public async Task Help_OfOneCommand_ShowsItsOptions(string words)
    {
        var (code, output, _) = await RunBareAsync(words.Split(' '));

        Assert.Equal(0, code);
        Assert.Contains("--scopes", output, StringComparison.Ordinal);
        Assert.DoesNotContain("postern serve", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Names_ThatSpeakToTheTerminal_ArePlainInAnswers()
    {
        await RunAsync("keys", "create", "--name", "a\u001b[2Jb\nc");

        Assert.DoesNotContain('\u001b', await TextAsync("keys", "list"));
    }

    private async Task UntilAsync(HttpStatusCode expected, string key)
    {
        using var client = new HttpClient { DefaultRequestHeaders = { { "xi-api-key", key } } };
        for (var tries = 0; ; tries++)
        {
            using var answer = await client.GetAsync($"{Server.Http}/v1/convai/conversation/get-signed-url?agent_id=agent_echo", TestContext.Current.CancellationToken);
            if (answer.StatusCode == expected) return;
            Assert.True(tries < 50, $"Still {answer.StatusCode} after 5 seconds.");
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
    }

    private async Task<JsonElement> JsonAsync(params string[] words)
    {
        var (code, output, errors) = await RunAsync([.. words, "--json"]);
        Assert.Equal((0, ""), (code, errors));
        return JsonDocument.Parse(output).RootElement;
    }

    private async Task<string> TextAsync(params string[] words)
    {
        var (code, output, errors) = await RunAsync(words);
        Assert.Equal((0, ""), (code, errors));
        return output;
    }

    private Task<(int ExitCode, string Output, string Errors)> RunAsync(params string[] words) => RunBareAsync([.. words, "--data", Server.Folder]);

    private static async Task<(int ExitCode, string Output, string Errors)> RunBareAsync(params string[] words)
    {
        var (output, errors) = (new StringWriter(), new StringWriter());
        var code = await Commands.RunAsync(words, output, errors);
        return (code, output.ToString(), errors.ToString());
    }
}
