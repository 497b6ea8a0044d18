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
    public async Task SignedUrl_WithConversationId_CarriesItInTheUrl()
    {
        await using var postern = await TestPostern.StartAsync();
        var answer = await postern.Client.GetFromJsonAsync<JsonElement>(
            "/v1/convai/conversation/get-signed-url?agent_id=agent_echo&include_conversation_id=true", TestContext.Current.CancellationToken);
        Assert.EndsWith("&conversation_id=" + answer.GetProperty("conversation_id").GetString(), answer.GetProperty("signed_url").GetString(), StringComparison.Ordinal);
    }
}
