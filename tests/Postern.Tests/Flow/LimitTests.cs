using System.Net.WebSockets;

namespace Postern.Tests.Flow;

/// <summary>How many sessions an agent, and an address with public agents, may have.</summary>
public class LimitTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("attack", "E5")]
    public async Task Agent_WithSessionsAtOnce_RefusesOneMoreAndSpendsNothing()
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await postern.AgentAsync(""" "platform_settings":{"call_limits":{"agent_concurrency_limit":2,"daily_limit":-1}} """);
        var once = await postern.SignedUrlAsync(agent, "&include_conversation_id=true");
        using var first = await ConnectTests.Open(await postern.SignedUrlAsync(agent));
        using var second = await ConnectTests.Open(await postern.SignedUrlAsync(agent));
        Assert.Equal((3008, "too many concurrent connections"), await ConnectTests.Refusal(once));
        await SessionTests.Eventually(() => postern.Audit().Any(row => row is { Name: "session.refused", Reason: "TooManySessions" }));

        await first.CloseAsync(WebSocketCloseStatus.NormalClosure, "", Cancel);
        await SessionTests.Eventually(() => postern.Audit().Any(row => row.Name == "session.ended"));
        using var third = await ConnectTests.Open(once);
        await SessionTests.Send(third, SessionTests.Hello);
        Assert.Contains("conversation_initiation_metadata", await ConnectTests.Text(third), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Agent_WithADailyLimit_RefusesTheNextUntilTomorrow()
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await postern.AgentAsync(""" "platform_settings":{"auth":{"enable_auth":false},"call_limits":{"daily_limit":2}} """);
        for (var i = 0; i < 2; i++)
        {
            using var open = await ConnectTests.Open(postern.Address($"agent_id={agent}"));
            await SessionTests.Send(open, SessionTests.Hello);
            Assert.Contains("conversation_initiation_metadata", await ConnectTests.Text(open), StringComparison.Ordinal);
        }
        Assert.Equal((4300, "Agent has exceeded its daily call limit of 2."), await ConnectTests.Refusal(postern.Address($"agent_id={agent}")));
        postern.Clock.Advance(TimeSpan.FromDays(1));
        using var tomorrow = await ConnectTests.Open(postern.Address($"agent_id={agent}"));
        await SessionTests.Send(tomorrow, SessionTests.Hello);
        Assert.Contains("conversation_initiation_metadata", await ConnectTests.Text(tomorrow), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Address_WithSessionsOfPublicAgents_RefusesOneMoreButNoCredential()
    {
        await using var postern = await TestPostern.StartAsync((folder, https) =>
        {
            var options = TestPostern.Options(folder, https);
            options.Limits.PublicSessionsPerAddress = 2;
            return options;
        });
        const string Public = """ "platform_settings":{"auth":{"enable_auth":false}} """;
        string[] agents = [await postern.AgentAsync(Public), await postern.AgentAsync(Public)];
        using var first = await ConnectTests.Open(postern.Address($"agent_id={agents[0]}"));
        using var second = await ConnectTests.Open(postern.Address($"agent_id={agents[1]}"));
        Assert.Equal((3008, "too many concurrent connections"), await ConnectTests.Refusal(postern.Address($"agent_id={agents[0]}")));
        using var third = await ConnectTests.Open(await postern.SignedUrlAsync(agents[0]));
        await SessionTests.Send(third, SessionTests.Hello);
        Assert.Contains("conversation_initiation_metadata", await ConnectTests.Text(third), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"agent_concurrency_limit":"2"}""")]
    [InlineData("""{"daily_limit":1.5}""")]
    [InlineData("""{"daily_limit":-2}""")]
    [InlineData("[]")]
    public async Task Limits_ThatAreNone_AreRefusedByName(string limits)
    {
        await using var postern = await TestPostern.StartAsync();
        using var created = await postern.Client.PostAsync("/v1/convai/agents/create", TestPostern.Json($$$"""{"conversation_config":{},"platform_settings":{"call_limits":{{{limits}}}}}"""), Cancel);
        Assert.Equal(422, (int)created.StatusCode);
        Assert.Contains("call_limits", await created.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }
}
