using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Postern.Core.Sessions;

namespace Postern.Tests.Dialects.Convai;

/// <summary>Whatever ends a session in a room puts its participant out of the room at the media server.</summary>
public class RoomEndTests
{
    private const string Secret = "a-secret-of-the-media-server-of-32";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("operator")]
    [InlineData("client")]
    [InlineData("duration")]
    [InlineData("agent deleted")]
    [InlineData("server stops")]
    public async Task Room_Ended_IsClosedAtItsMediaServer(string how)
    {
        await using var media = await FakeMediaServer.StartAsync(failures: 1);
        var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        var agent = await postern.AgentAsync();
        var (token, id) = await OpenAsync(postern, client, media, agent);

        switch (how)
        {
            case "operator":
                using (var ended = await postern.Client.PostAsync($"/api/sessions/{id}/end", null, Cancel))
                {
                    Assert.True(ended.IsSuccessStatusCode);
                }
                break;
            case "client":
                Assert.Equal(200, (await client.PostAsync($"/disconnect?session_id={id}", null, token)).Status);
                break;
            case "duration":
                postern.Clock.Advance(TimeSpan.FromMinutes(10.1));
                break;
            case "agent deleted":
                using (var deleted = await postern.Client.DeleteAsync($"/v1/convai/agents/{agent}", Cancel))
                {
                    Assert.True(deleted.IsSuccessStatusCode);
                }
                break;
            default:
                await postern.DisposeAsync();
                break;
        }

        await media.UntilAsync(2);
        Assert.All(media.Calls, call => Assert.Equal(("/media/twirp/livekit.RoomService/DeleteRoom", id), (call.Path, call.Room)));
        AssertMayDelete(media.Calls.Last().Bearer);
        if (how != "server stops")
        {
            await postern.DisposeAsync();
        }
    }

    [Fact]
    [Trait("attack", "D5")]
    public async Task MediaServer_AtAPrivateAddress_IsNotDialledUnlessAllowed()
    {
        await using var media = await FakeMediaServer.StartAsync();
        await using var postern = await TestPostern.StartAsync((folder, https) =>
        {
            var options = TestPostern.Options(folder, https);
            options.Agents.AllowPrivateUpstreams = false;
            return options;
        });
        using var client = new ConvaiClient(postern);
        var (token, id) = await OpenAsync(postern, client, media, "agent_echo");

        Assert.Equal(200, (await client.PostAsync($"/disconnect?session_id={id}", null, token)).Status);

        for (var i = 0; i < 250 && await CountAsync(postern) > 0; i++)
        {
            await Task.Delay(20, Cancel);
        }
        Assert.Equal(0, await CountAsync(postern));
        Assert.Empty(media.Calls);
    }

    [Fact]
    [Trait("attack", "B16")]
    public async Task Agent_DeletedBetweenAdmissionAndTheLeash_SessionIsOverAtOnce()
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = new Core.Agents.Agent(Core.Agents.AgentId.Create(), Core.Projects.ProjectId.Default, "gone", "elevenlabs",
            new Core.Agents.AgentAccess(false, false, [], false, System.Collections.Frozen.FrozenSet<string>.Empty), new Core.Agents.AgentLimits(TimeSpan.FromMinutes(1)),
            new Core.Agents.CredentialDefaults(TimeSpan.FromMinutes(1), false), new Core.Agents.Upstream.Echo(), default);
        var session = new Session(Session.CreateId(postern.Clock.GetUtcNow()), agent, null, new SessionTerms(postern.Clock.GetUtcNow().AddMinutes(1), null, null), postern.Clock.GetUtcNow());
        var leash = new Server.Flow.Leash();

        new Server.Flow.LiveSessions(new Core.Directory(Credentials.Forge.Ring)).Add(session, leash);

        Assert.True(leash.TryGet(out var reason, out _));
        Assert.Equal(SessionEndReason.Revoked, reason);
    }

    private static async Task<(string Token, string Id)> OpenAsync(TestPostern postern, ConvaiClient client, FakeMediaServer media, string agent)
    {
        using var answer = await postern.Client.PutAsJsonAsync($"/api/agents/{agent}/media", new { url = media.Url, key = "devkey", secret = Secret }, Cancel);
        answer.EnsureSuccessStatusCode();
        var token = await client.TokenAsync();
        var (status, room) = await client.PostAsync("/connect", new { character_id = agent }, token, "X-API-Key");
        Assert.Equal(200, status);
        Assert.Equal(media.Url, room.GetProperty("room_url").GetString());
        return (token, room.GetProperty("session_id").GetString()!);
    }

    private static async Task<int> CountAsync(TestPostern postern) =>
        (await postern.Client.GetFromJsonAsync<JsonElement>("/api/sessions", Cancel)).GetProperty("sessions").GetArrayLength();

    // LiveKit asks for roomCreate where a room is deleted; the token must let nobody into a room.
    private static void AssertMayDelete(string bearer)
    {
        Assert.StartsWith("Bearer ", bearer, StringComparison.Ordinal);
        var parts = bearer["Bearer ".Length..].Split('.');
        Assert.Equal(parts[2], System.Buffers.Text.Base64Url.EncodeToString(HMACSHA256.HashData(Encoding.UTF8.GetBytes(Secret), Encoding.UTF8.GetBytes($"{parts[0]}.{parts[1]}"))));
        var claims = JsonElement.Parse(Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(parts[1])));
        Assert.Equal("devkey", claims.GetProperty("iss").GetString());
        Assert.Equal(60, claims.GetProperty("exp").GetInt64() - claims.GetProperty("nbf").GetInt64());
        Assert.Equal("roomCreate", Assert.Single(claims.GetProperty("video").EnumerateObject()).Name);
    }
}
