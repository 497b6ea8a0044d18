using System.Net.Http.Json;
using System.Text.Json;
using Postern.Server.Cli;

namespace Postern.Tests.Cli;

/// <summary>What the commands set on an agent holds at the running server, at once.</summary>
public sealed class AgentCommandsTests(SharedPostern shared) : IClassFixture<SharedPostern>
{
    private TestPostern Server => shared.Server;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task SetMedia_SecretFromTheEnvironment_RoomsAreHandedOutAndNoneAfterwards()
    {
        var agent = await Server.AgentAsync();
        Environment.SetEnvironmentVariable("POSTERN_MEDIA_SECRET", "canary-of-the-media-server-32-long");
        try
        {
            var (code, output, errors) = await RunAsync("agents", "set-media", agent, "wss://livekit.example.com", "--key", "devkey");
            Assert.Equal((0, ""), (code, errors));
            Assert.DoesNotContain("canary", output, StringComparison.Ordinal);
        }
        finally
        {
            Environment.SetEnvironmentVariable("POSTERN_MEDIA_SECRET", null);
        }

        await UntilAsync(async () => (await TokenAsync(agent)).Status == 200);
        var claims = (await TokenAsync(agent)).Body.GetProperty("token").GetString()!.Split('.')[1];
        Assert.Contains("\"iss\":\"devkey\"", System.Text.Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(claims)), StringComparison.Ordinal);

        Assert.Equal(0, (await RunAsync("agents", "set-media", agent, "none")).ExitCode);
        await UntilAsync(async () => (await TokenAsync(agent)).Status == 400);
    }

    [Fact]
    public async Task SetAliases_NewNames_ReachTheAgentAndNoOtherCanHaveThem()
    {
        var (agent, other) = (await Server.AgentAsync(), await Server.AgentAsync());

        Assert.Equal(0, (await RunAsync("agents", "set-aliases", agent, "0b1c9c9e-1d7a-4a57-9a8e-5e2f6f0f7a01,helper")).ExitCode);
        await UntilAsync(async () => await MintsAsync("helper") == 200);
        Assert.Equal(200, await MintsAsync("0b1c9c9e-1d7a-4a57-9a8e-5e2f6f0f7a01"));

        var (code, _, errors) = await RunAsync("agents", "set-aliases", other, "helper");
        Assert.Equal(1, code);
        Assert.Contains("Another agent has the name helper", errors, StringComparison.Ordinal);

        Assert.Equal(0, (await RunAsync("agents", "set-aliases", agent, "none")).ExitCode);
        await UntilAsync(async () => await MintsAsync("helper") == 404);
    }

    [Fact]
    public async Task SetDialects_OneOfThem_ReachesTheAgentAndTheOthersDoNot()
    {
        var agent = await Server.AgentAsync();

        Assert.Equal(0, (await RunAsync("agents", "set-dialects", agent, "realtime,convai")).ExitCode);
        await UntilAsync(async () => await MintsAsync(agent) == 404);
        using var realtime = new HttpRequestMessage(HttpMethod.Post, "/v1/realtime/client_secrets") { Content = TestPostern.Json($$"""{"agent_id":"{{agent}}"}""") };
        realtime.Headers.Add("Authorization", "Bearer " + TestPostern.Key);
        using var minted = await Server.Client.SendAsync(realtime, Cancel);
        Assert.Equal(200, (int)minted.StatusCode);

        Assert.Equal(0, (await RunAsync("agents", "set-dialects", agent, "all")).ExitCode);
        await UntilAsync(async () => await MintsAsync(agent) == 200);
    }

    [Theory]
    [InlineData("agents set-media {0} http://livekit.example.com --key k", 2, "wss://livekit.example.com")]
    [InlineData("agents set-media {0} wss://livekit.example.com --key k", 2, "key and secret")]
    [InlineData("agents set-media agent_nobody none", 1, "There is no agent 'agent_nobody'")]
    [InlineData("agents set-aliases {0} a,a", 2, "named twice")]
    [InlineData("agents set-aliases {0} a/b", 2, "letters, digits")]
    [InlineData("agents set-aliases {0} agent_echo", 1, "Another agent has the name agent_echo")]
    [InlineData("agents set-aliases agent_nobody none", 1, "There is no agent 'agent_nobody'")]
    [InlineData("agents set-dialects {0} xai", 2, "An agent is reached by")]
    [InlineData("agents set-dialects {0} realtime,", 2, "An agent is reached by")]
    [InlineData("agents set-dialects agent_nobody all", 1, "There is no agent 'agent_nobody'")]
    public async Task Setting_ThatCannotBe_SaysWhy(string words, int expected, string sentence)
    {
        var agent = await Server.AgentAsync();

        var (code, output, errors) = await RunAsync(words.Replace("{0}", agent, StringComparison.Ordinal).Split(' '));

        Assert.Equal((expected, ""), (code, output));
        Assert.Contains(sentence, errors, StringComparison.Ordinal);
    }

    private async Task<int> MintsAsync(string agent)
    {
        using var answer = await Server.Client.GetAsync($"/v1/convai/conversation/get-signed-url?agent_id={agent}", Cancel);
        return (int)answer.StatusCode;
    }

    private async Task<(int Status, JsonElement Body)> TokenAsync(string agent)
    {
        using var answer = await Server.Client.GetAsync($"/v1/convai/conversation/token?agent_id={agent}", Cancel);
        return ((int)answer.StatusCode, await answer.Content.ReadFromJsonAsync<JsonElement>(Cancel));
    }

    // Another process has written it: the server looks several times a second.
    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        for (var tries = 0; tries < 50; tries++)
        {
            if (await holds())
            {
                return;
            }
            await Task.Delay(100, Cancel);
        }
        Assert.Fail("It does not hold after 5 seconds.");
    }

    private async Task<(int ExitCode, string Output, string Errors)> RunAsync(params string[] words)
    {
        var (output, errors) = (new StringWriter(), new StringWriter());
        return (await Commands.RunAsync([.. words, "--data", Server.Folder], output, errors), output.ToString(), errors.ToString());
    }
}
