using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Postern.Tests.Dialects.Convai;

/// <summary>Sessions that plain HTTP requests open.</summary>
public class SessionTests
{
    private const string MediaSecret = "a-secret-of-the-media-server-of-32";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Stream_OfAText_IsTheVendorsEvents()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        using var form = new MultipartFormDataContent { { new StringContent("agent_echo"), "character_id" }, { new StringContent("good morning"), "text_input" } };

        var (status, body) = await client.PostAsync("/connect/stream", form, await client.TokenAsync());

        Assert.Equal(200, status);
        var text = body.GetString()!;
        Assert.EndsWith("\n\n", text, StringComparison.Ordinal);
        var events = text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(one => JsonElement.Parse(one["data: ".Length..])).ToList();
        Assert.Equal(["connection-started", "bot-llm-started", "bot-llm-text", "bot-transcription", "bot-llm-stopped", "connection-stoppped"],
            events.Select(one => one.GetProperty("type").GetString()!));
        Assert.Equal("sse", events[0].GetProperty("message").GetProperty("transport").GetString());
        Assert.All(events[1..5], one => Assert.Equal("rtvi-ai", one.GetProperty("label").GetString()));
        Assert.Equal("echo: good morning", events[2].GetProperty("data").GetProperty("text").GetString());
        var conversation = events[0].GetProperty("message").GetProperty("session_id").GetString();
        var kept = await postern.Client.GetFromJsonAsync<JsonElement>($"/v1/convai/conversations/{conversation}", Cancel);
        Assert.Equal("done", kept.GetProperty("status").GetString());
        Assert.Equal(["good morning", "echo: good morning"], kept.GetProperty("transcript").EnumerateArray().Select(turn => turn.GetProperty("message").GetString()!));
    }

    [Fact]
    public async Task Stream_FormThatIsNone_IsRefused()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        using var form = new StringContent("--x\r\nbroken");
        form.Headers.ContentType = System.Net.Http.Headers.MediaTypeHeaderValue.Parse("multipart/form-data; boundary=x");

        Assert.Equal(400, (await client.PostAsync("/connect/stream", form, await client.TokenAsync())).Status);
    }

    [Fact]
    public async Task Room_Opened_TokenIsForItAndItsUserAlone()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        await client.ConfigureMediaAsync(MediaSecret);

        var (status, room) = await client.PostAsync("/connect", new { end_user_id = "ann", end_user_metadata = new { name = "Ann" } }, await client.TokenAsync(new { end_user_id = "ann", character_id = "agent_echo" }));

        Assert.Equal(200, status);
        var parts = room.GetProperty("token").GetString()!.Split('.');
        Assert.Equal(parts[2], System.Buffers.Text.Base64Url.EncodeToString(HMACSHA256.HashData(Encoding.UTF8.GetBytes(MediaSecret), Encoding.UTF8.GetBytes($"{parts[0]}.{parts[1]}"))));
        var claims = JsonElement.Parse(Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(parts[1])));
        Assert.Equal(("devkey", "ann", "Ann"), (claims.GetProperty("iss").GetString(), claims.GetProperty("sub").GetString(), claims.GetProperty("name").GetString()));
        Assert.Equal(room.GetProperty("room_name").GetString(), claims.GetProperty("video").GetProperty("room").GetString());
        Assert.True(claims.GetProperty("video").GetProperty("roomJoin").GetBoolean());
        Assert.False(claims.GetProperty("video").TryGetProperty("roomAdmin", out _));
        Assert.Equal("agent_echo", JsonElement.Parse(claims.GetProperty("metadata").GetString()!).GetProperty("agent_id").GetString());
        Assert.InRange(claims.GetProperty("exp").GetInt64() - claims.GetProperty("nbf").GetInt64(), 599, 601);
    }

    [Fact]
    public async Task Room_LongestDurationOver_IsEnded()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        var (token, id) = await OpenAsync(client);
        Assert.Equal(id, Assert.Single(await LiveAsync(postern)));

        postern.Clock.Advance(TimeSpan.FromMinutes(10.1));

        await UntilNoneAsync(postern);
        Assert.Equal(404, (await client.PostAsync($"/disconnect?session_id={id}", null, token)).Status);
        Assert.Equal("done", (await postern.Client.GetFromJsonAsync<JsonElement>($"/v1/convai/conversations/{id}", Cancel)).GetProperty("status").GetString());
    }

    [Fact]
    public async Task Room_EndedByAnOperator_IsOver()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        var (_, id) = await OpenAsync(client);

        using var ended = await postern.Client.PostAsync($"/api/sessions/{id}/end", null, Cancel);

        Assert.True(ended.IsSuccessStatusCode);
        await UntilNoneAsync(postern);
    }

    [Fact]
    public async Task Room_TokenRevokedAndExpired_GoesOnAndItsOwnerHangsUp()
    {
        await using var postern = await TestPostern.StartAsync(ShortLived);
        using var client = new ConvaiClient(postern);
        var (token, id) = await OpenAsync(client);

        await client.ChangeAsync("revoke", token);
        postern.Clock.Advance(TimeSpan.FromMinutes(1));

        Assert.Equal(401, await client.SayAsync(token));
        Assert.Equal(id, Assert.Single(await LiveAsync(postern)));
        Assert.Equal(404, (await client.PostAsync($"/disconnect?session_id={id}", null, await client.TokenAsync())).Status);
        Assert.Equal(200, (await client.PostAsync($"/disconnect?session_id={id}", null, token)).Status);
        await UntilNoneAsync(postern);
    }

    [Fact]
    public async Task Room_ServerStops_EndIsWritten()
    {
        var folder = System.IO.Directory.CreateTempSubdirectory("postern-room-").FullName;
        try
        {
            string id;
            await using (var postern = await TestPostern.StartAsync((_, https) => TestPostern.Options(folder, https)))
            {
                using var client = new ConvaiClient(postern);
                (_, id) = await OpenAsync(client);
            }
            await using var again = await TestPostern.StartAsync((_, https) => TestPostern.Options(folder, https));
            var kept = await again.Client.GetFromJsonAsync<JsonElement>($"/v1/convai/conversations/{id}", Cancel);
            Assert.Equal("done", kept.GetProperty("status").GetString());
        }
        finally
        {
            System.IO.Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Key_Revoked_ItsTokensOpenNothing()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        var token = await client.TokenAsync();
        await using var store = Server.Storage.Store.Open(TestPostern.Options(postern.Folder), TimeProvider.System);

        await store.Keys.RevokeApiKeyAsync(store.Keys.ReadApiKeys().First(key => key.RevokedAt is null).Id);

        Assert.Equal(401, await client.SayAsync(token));
    }

    private static Server.PosternOptions ShortLived(string folder, bool https)
    {
        var options = TestPostern.Options(folder, https);
        options.PersonalAccessTokens.Lifetime = TimeSpan.FromSeconds(10);
        return options;
    }

    private static async Task<(string Token, string Id)> OpenAsync(ConvaiClient client)
    {
        await client.ConfigureMediaAsync();
        var token = await client.TokenAsync();
        var (status, room) = await client.PostAsync("/connect", new { character_id = "agent_echo" }, token, "X-API-Key");
        Assert.Equal(200, status);
        return (token, room.GetProperty("session_id").GetString()!);
    }

    private static async Task<IReadOnlyList<string>> LiveAsync(TestPostern postern) =>
        [.. (await postern.Client.GetFromJsonAsync<JsonElement>("/api/sessions", Cancel)).GetProperty("sessions").EnumerateArray().Select(one => one.GetProperty("id").GetString()!)];

    private static async Task UntilNoneAsync(TestPostern postern)
    {
        for (var i = 0; i < 250 && (await LiveAsync(postern)).Count > 0; i++)
        {
            await Task.Delay(20, Cancel);
        }
        Assert.Empty(await LiveAsync(postern));
    }
}
