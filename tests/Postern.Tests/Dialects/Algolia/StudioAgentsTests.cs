using System.Net;
using System.Text.Json;

namespace Postern.Tests.Dialects.Algolia;

/// <summary>The agents of the contract, section 1, and their domains.</summary>
public sealed class StudioAgentsTests
{
    private const string Agents = "/agent-studio/1/agents";

    [Fact]
    public async Task List_OfAProvider_HoldsItsAgentsAloneByPages()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        foreach (var (name, provider) in new[] { ("a", "\"one\""), ("b", "\"two\""), ("c", "null"), ("d", "\"one\""), ("e", "\"one\"") })
        {
            Assert.Equal(HttpStatusCode.Created, (await client.SendAsync(HttpMethod.Post, Agents, $$"""{"name":"{{name}}","instructions":"x","providerId":{{provider}}}""")).Status);
            postern.Clock.Advance(TimeSpan.FromSeconds(1)); // oldest first; of one millisecond, in any order
        }

        Assert.Equal(("a d e", """{"page":1,"limit":10,"totalCount":3,"totalPages":1}"""), await ListAsync("providerId=one"));
        Assert.Equal(("e", """{"page":2,"limit":2,"totalCount":3,"totalPages":2}"""), await ListAsync("providerId=one&page=2&limit=2"));
        Assert.Equal(("", """{"page":9,"limit":10,"totalCount":3,"totalPages":1}"""), await ListAsync("providerId=one&page=9"));
        Assert.Equal(("b", """{"page":1,"limit":10,"totalCount":1,"totalPages":1}"""), await ListAsync("providerId=two"));
        Assert.Equal(("", """{"page":1,"limit":10,"totalCount":0,"totalPages":0}"""), await ListAsync("providerId=three"));
        Assert.Equal(422, (int)(await client.SendAsync(HttpMethod.Get, Agents + "?providerId=one&providerId=two")).Status);

        async Task<(string Names, string Pagination)> ListAsync(string query)
        {
            var body = (await client.SendAsync(HttpMethod.Get, $"{Agents}?{query}")).Body;
            return (string.Join(' ', body.GetProperty("data").EnumerateArray().Select(agent => agent.GetProperty("name").GetString())), body.GetProperty("pagination").GetRawText());
        }
    }

    [Theory]
    [InlineData("*.com")]
    [InlineData("javascript:1")]
    [InlineData("not a host")]
    public async Task Domain_ThatIsNoneOrEverybodys_IsRefusedByName(string domain)
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new AlgoliaClient(postern);
        var path = $"{Agents}/agent_echo/allowed-domains";

        var one = await client.SendAsync(HttpMethod.Post, path, $$"""{"domain":{{JsonSerializer.Serialize(domain)}}}""");
        var some = await client.SendAsync(HttpMethod.Post, path + "/bulk", $$"""{"domains":["example.com",{{JsonSerializer.Serialize(domain)}}]}""");

        Assert.Equal((422, """["body","domain"]"""), ((int)one.Status, one.Body.GetProperty("detail")[0].GetProperty("loc").GetRawText()));
        Assert.Equal((422, """["body","domains"]"""), ((int)some.Status, some.Body.GetProperty("detail")[0].GetProperty("loc").GetRawText()));
        Assert.Equal(0, (await client.SendAsync(HttpMethod.Get, path)).Body.GetProperty("domains").GetArrayLength());
    }
}
