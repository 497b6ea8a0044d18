using System.Net;
using Microsoft.Data.Sqlite;
using Postern.Server;
using Postern.Server.Hosting;

namespace Postern.Tests.Hosting;

/// <summary>Whose X-Forwarded-For is believed, and how much of it. Every request of these tests comes from 127.0.0.1.</summary>
public sealed class TrustedProxiesTests
{
    private const string Peer = "127.0.0.1";

    // What a mint with a wrong key is recorded under.
    [Theory]
    [InlineData("", "9.9.9.9", Peer)]
    [InlineData("10.0.0.0/8", "9.9.9.9", Peer)]                          // from an address that is no proxy
    [InlineData("10.0.0.0/8", "9.9.9.9, 10.0.0.1", Peer)]
    [InlineData(Peer, "9.9.9.9", "9.9.9.9")]
    [InlineData("127.0.0.0/8", "6.6.6.6, 9.9.9.9", "9.9.9.9")]           // the client wrote the first, the proxy the last
    [InlineData("127.0.0.0/8,10.0.0.0/8", "6.6.6.6,9.9.9.9 , 10.1.2.3", "9.9.9.9")]
    [InlineData("127.0.0.0/8,10.0.0.0/8", "127.0.0.1, 9.9.9.9, 10.1.2.3", "9.9.9.9")]
    [InlineData("127.0.0.0/8,10.0.0.0/8", "10.4.4.4, 10.1.2.3", "10.4.4.4")]
    [InlineData(Peer, "nonsense, 9.9.9.9", "9.9.9.9")]
    [InlineData(Peer, "9.9.9.9, nonsense", Peer)]
    [InlineData("127.0.0.0/8,10.0.0.0/8", "9.9.9.9, nonsense, 10.1.2.3", Peer)]
    [InlineData(Peer, "9.9.9.9,", Peer)]
    [InlineData(Peer, ",", Peer)]
    [InlineData(Peer, "9.9.9.9 8.8.8.8", Peer)]
    [InlineData(Peer, "9.9.9.9:443", "9.9.9.9")]
    [InlineData(Peer, "9.9.9.9:443:1", Peer)]
    [InlineData(Peer, "9.257", Peer)]
    [InlineData(Peer, "0x9.9.9.9", Peer)]
    [InlineData(Peer, "011.9.9.9", Peer)]
    [InlineData(Peer, "151587081", Peer)]
    [InlineData(Peer, "unknown", Peer)]
    [InlineData(Peer, "for=9.9.9.9", Peer)]
    [InlineData(Peer, "2001:DB8::9", "2001:db8::9")]
    [InlineData(Peer, "[2001:db8::9]:443", "2001:db8::9")]
    [InlineData(Peer, "::ffff:9.9.9.9", "9.9.9.9")]
    [InlineData(Peer, "fe80::9%1", Peer)]
    [InlineData("::1,127.0.0.0/8,2001:db8::/32", "9.9.9.9, 2001:db8::1", "9.9.9.9")]
    [Trait("attack", "D3")]
    public async Task Address_OfTheClient_IsWhatATrustedProxySaysLast(string trusted, string header, string expected)
    {
        await using var postern = await StartAsync(trusted);
        await MintAsync(postern, "wrong", ("X-Forwarded-For", header));
        Assert.Equal([expected], Addresses(postern));
    }

    [Fact]
    [Trait("attack", "D3")]
    public async Task Header_OfAnotherNameOrAnotherRequest_SaysNothing()
    {
        await using var postern = await StartAsync(Peer);
        await MintAsync(postern, "wrong", ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "9.9.9.9"));
        await MintAsync(postern, "wrong"); // on the same connection
        await MintAsync(postern, "wrong", ("X-Real-IP", "9.9.9.9"), ("Forwarded", "for=9.9.9.9"), ("X-Client-IP", "9.9.9.9"));
        Assert.Equal(["9.9.9.9", Peer, Peer], Addresses(postern));
    }

    [Fact]
    [Trait("attack", "D3")]
    public async Task Limit_OfAnAddress_CannotBeEscapedByAHeader()
    {
        await using var direct = await StartAsync("", refusals: 3);
        await using var behind = await StartAsync(Peer, refusals: 3);
        direct.Clock.ToNextMinute();
        behind.Clock.ToNextMinute();
        for (var i = 1; i <= 4; i++)
        {
            // Each time another lie; behind the proxy it stands before the truth.
            Assert.Equal(i <= 3 ? HttpStatusCode.Unauthorized : HttpStatusCode.TooManyRequests, await MintAsync(direct, "wrong", ("X-Forwarded-For", $"6.6.6.{i}")));
            Assert.Equal(i <= 3 ? HttpStatusCode.Unauthorized : HttpStatusCode.TooManyRequests, await MintAsync(behind, "wrong", ("X-Forwarded-For", $"6.6.6.{i}, 9.9.9.9")));
        }
        Assert.Equal(HttpStatusCode.Unauthorized, await MintAsync(behind, "wrong", ("X-Forwarded-For", "8.8.8.8"))); // another client of the same proxy
    }

    [Theory]
    [InlineData("127.0.0.1,10.0.0.0/8,::1,2001:db8::/32", null)]
    [InlineData("10.0.0.0/8,proxy.example", "proxy.example")]
    [InlineData("0.0.0.0/0", "0.0.0.0/0")]
    [InlineData("::/0", "::/0")]
    [InlineData("127.1", "127.1")]
    [InlineData("10.0.0.0/33", "10.0.0.0/33")]
    [InlineData("127.0.0.1:80", "127.0.0.1:80")]
    [Trait("attack", "D3")]
    public void Setting_OfNobodyOrEverybody_IsRefused(string trusted, string? wrong)
    {
        var problem = StartChecks.OfSettings(new PosternOptions { TrustedProxies = trusted.Split(',') });
        Assert.Equal(wrong is null ? null : $"the entry {wrong}", problem?.Split("has ")[1].Split(": write")[0]);
    }

    private static Task<TestPostern> StartAsync(string trusted, int refusals = 1_000_000) => TestPostern.StartAsync((folder, _) => new PosternOptions
    {
        Http = new IPEndPoint(IPAddress.Loopback, 0), Https = null, Data = folder, Log = { Level = "warning" },
        TrustedProxies = trusted.Split(',', StringSplitOptions.RemoveEmptyEntries), Limits = { RefusalsPerAddressPerMinute = refusals },
    });

    private static async Task<HttpStatusCode> MintAsync(TestPostern postern, string key, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, postern.Http + "/v1/realtime/client_secrets") { Content = TestPostern.Json("""{"agent_id":"agent_echo"}""") };
        request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + key);
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        using var answer = await postern.Client.SendAsync(request, TestContext.Current.CancellationToken);
        return answer.StatusCode;
    }

    private static List<string> Addresses(TestPostern postern)
    {
        using var connection = new SqliteConnection($"Data Source={Path.Combine(postern.Folder, "postern.db")}");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "select address from audit where name = 'credential.refused' order by seq";
        using var reader = command.ExecuteReader();
        var addresses = new List<string>();
        while (reader.Read())
        {
            addresses.Add(reader.GetString(0));
        }
        return addresses;
    }
}
