using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text.Json;
using static Postern.Tests.Dialects.Realtime.RealtimeClient;

namespace Postern.Tests.Dialects.Realtime;

/// <summary>The longest duration of a client secret that opens more than one session, and the end user of a trusted connect.</summary>
public class RealtimeTimeTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    [Trait("attack", "B15")]
    public async Task LongestDuration_OverSeveralSessions_IsCountedTogether()
    {
        await using var postern = await TestPostern.StartAsync();
        var secret = await MintAsync(postern, """{"agent_id":"agent_echo","max_session_duration_seconds":60}""");

        await using (var first = await ConnectAsync(postern, secret))
        {
            await first.OneAsync("session.created");
            Assert.InRange(await LeftAsync(postern), 50, 60);
            postern.Clock.Advance(TimeSpan.FromSeconds(25));
        }
        await UntilNoneAsync(postern);
        await using (var second = await ConnectAsync(postern, secret))
        {
            await second.OneAsync("session.created");
            Assert.InRange(await LeftAsync(postern), 20, 36);
            postern.Clock.Advance(TimeSpan.FromSeconds(40));
            Assert.Equal("session_expired", (await second.OneAsync("error")).GetProperty("error").GetProperty("code").GetString());
        }

        // insufficient_quota: a client that connects again by itself stops at it.
        await RealtimeConnectTests.AssertRefusedAsync(await ConnectAsync(postern, secret), "session_time_spent", "insufficient_quota");
        await using var fresh = await ConnectAsync(postern, await MintAsync(postern, """{"agent_id":"agent_echo","max_session_duration_seconds":60}"""));
        await fresh.OneAsync("session.created");
    }

    [Fact]
    public async Task SafetyIdentifier_OnAConnectWithTheKey_IsTheSessionsUser()
    {
        await using var postern = await TestPostern.StartAsync();
        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", $"Bearer {TestPostern.Key}");
        socket.Options.SetRequestHeader("OpenAI-Safety-Identifier", "ann");
        await socket.ConnectAsync(new Uri($"ws{postern.Http[4..]}/v1/realtime?model=agent_echo"), Cancel);
        await using var client = new RealtimeClient(socket);
        await client.OneAsync("session.created");

        Assert.Equal("ann", (await SessionsAsync(postern))[0].GetProperty("subject").GetString());
    }

    [Fact]
    public async Task SafetyIdentifier_ThatIsNoUser_IsRefused()
    {
        await using var postern = await TestPostern.StartAsync();
        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", $"Bearer {TestPostern.Key}");
        socket.Options.SetRequestHeader("OpenAI-Safety-Identifier", new string('a', 300));
        await socket.ConnectAsync(new Uri($"ws{postern.Http[4..]}/v1/realtime?model=agent_echo"), Cancel);

        await RealtimeConnectTests.AssertRefusedAsync(new RealtimeClient(socket), "invalid_request", "invalid_api_key");
    }

    private static async Task<double> LeftAsync(TestPostern postern) =>
        ((await SessionsAsync(postern))[0].GetProperty("end_by").GetDateTimeOffset() - postern.Clock.GetUtcNow()).TotalSeconds;

    private static async Task UntilNoneAsync(TestPostern postern)
    {
        for (var i = 0; i < 250 && (await SessionsAsync(postern)).Count > 0; i++)
        {
            await Task.Delay(20, Cancel);
        }
    }

    private static async Task<List<JsonElement>> SessionsAsync(TestPostern postern) =>
        [.. (await postern.Client.GetFromJsonAsync<JsonElement>("/api/sessions", Cancel)).GetProperty("sessions").EnumerateArray()];
}
