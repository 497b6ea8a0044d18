using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace Postern.Tests.Flow;

public class MintTests
{
    [Fact]
    public async Task SignedUrl_ForTheDemoAgent_NamesListenerAgentAndSignature()
    {
        await using var postern = await TestPostern.StartAsync();
        var url = await postern.SignedUrlAsync();
        Assert.StartsWith(postern.Http.Replace("http", "ws", StringComparison.Ordinal) + "/v1/convai/conversation?agent_id=agent_echo&conversation_signature=psu_", url, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("203.0.113.9")]
    [InlineData("203.0.113.9:443")]
    [InlineData("localhost:1")]
    [InlineData("pages.example")]
    public async Task SignedUrl_WithoutAPublicAddress_NamesTheListenerWhateverTheHostHeaderSays(string host)
    {
        await using var postern = await TestPostern.StartAsync(static (folder, _) => new()
        {
            Http = new IPEndPoint(IPAddress.Loopback, 0), Https = null, Data = folder, Log = { Level = "warning" }, AllowedHosts = ["pages.example"],
        });
        foreach (var forwarded in new[] { false, true })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"{postern.Http}/v1/convai/conversation/get-signed-url?agent_id=agent_echo");
            request.Headers.Host = host;
            if (forwarded)
            {
                request.Headers.Add("X-Forwarded-Host", "evil.example");
                request.Headers.Add("Forwarded", "host=evil.example;proto=https");
            }
            using var answer = await postern.Client.SendAsync(request, TestContext.Current.CancellationToken);
            var url = (await answer.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken)).GetProperty("signed_url").GetString();
            Assert.StartsWith($"ws{postern.Http[4..]}/v1/convai/conversation?", url, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("", null, 422, "Field required")]
    [InlineData("agent_id=agent_echo", null, 401, "needs_authorization")]
    [InlineData("agent_id=agent_echo", "pst_wrong", 401, "invalid_api_key")]
    [InlineData("agent_id=agent_other", TestPostern.Key, 404, "document_not_found")]
    [InlineData("agent_id=agent_echo&agent_id=agent_other", TestPostern.Key, 422, "Must be given once")]
    [InlineData("agent_id=agent_echo&include_conversation_id=perhaps", TestPostern.Key, 422, "valid boolean")]
    [InlineData("agent_id=agent_echo&user_id=ann", TestPostern.Key, 422, "GET binds and fixes nothing: send it as a member of a POST")]
    [InlineData("agent_id=agent_echo&dynamic_variables=%7B%7D", TestPostern.Key, 422, "dynamic_variables")]
    [InlineData("agent_id=agent_echo&conversation_config_override=", TestPostern.Key, 422, "conversation_config_override")]
    public async Task Mint_WrongRequest_IsRefusedInTheVendorsShape(string query, string? key, int status, string word)
    {
        await using var postern = await TestPostern.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{postern.Http}/v1/convai/conversation/get-signed-url?{query}");
        if (key is not null)
        {
            request.Headers.Add("xi-api-key", key);
        }
        using var client = new HttpClient();
        using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode)status, answer.StatusCode);
        Assert.Contains(word, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task SignedUrl_WithParametersThatHaveNoEffect_NotesThemInTheAudit()
    {
        await using var postern = await TestPostern.StartAsync();
        await postern.SignedUrlAsync(more: "&branch_id=b%22%C3%A9&version_id=v1&environment=staging&debug_events_request=true&source=js_sdk&version_id2=x");
        await postern.SignedUrlAsync(more: $"&branch_id={string.Concat(Enumerable.Repeat("%F0%9F%98%80", 100))}");
        using var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={Path.Combine(postern.Folder, "postern.db")}");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "select credential_id, detail from audit where name = 'credential.minted' order by seq";
        using var reader = command.ExecuteReader();
        Assert.True(reader.Read());
        var detail = JsonElement.Parse(reader.GetString(1));
        Assert.Equal(["branch_id=b\"é", "version_id=v1", "environment=staging", "debug_events_request=true"],
            detail.EnumerateObject().Where(member => member.Name.StartsWith("unheeded_", StringComparison.Ordinal)).Select(member => $"{member.Name[9..]}={member.Value}"));
        var inspected = await postern.Client.GetFromJsonAsync<JsonElement>($"/v1/credentials/{reader.GetString(0)}", TestContext.Current.CancellationToken);
        Assert.Equal("signed_url", inspected.GetProperty("kind").GetString());
        Assert.True(reader.Read());
        Assert.Equal(64, JsonElement.Parse(reader.GetString(1)).GetProperty("unheeded_branch_id").GetString()!.EnumerateRunes().Count());
    }

    [Fact]
    public async Task SignedUrl_WithConversationId_CarriesItInTheUrl()
    {
        await using var postern = await TestPostern.StartAsync();
        var answer = await postern.Client.GetFromJsonAsync<JsonElement>(
            "/v1/convai/conversation/get-signed-url?agent_id=agent_echo&include_conversation_id=true", TestContext.Current.CancellationToken);
        Assert.EndsWith("&conversation_id=" + answer.GetProperty("conversation_id").GetString(), answer.GetProperty("signed_url").GetString(), StringComparison.Ordinal);
    }
}
