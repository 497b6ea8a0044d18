using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Postern.Tests.Hosting;

/// <summary>Every setting that the web server must have, read from a server that runs.</summary>
public sealed class KestrelSettingsTests(GuardedServer server) : IClassFixture<GuardedServer>
{
    private KestrelServerOptions Kestrel => server.Kestrel;

    [Fact]
    [Trait("attack", "D10")]
    public void Server_Name_IsNotTold() => Assert.False(Kestrel.AddServerHeader);

    [Fact]
    public void Server_SynchronousReads_AreOff() => Assert.False(Kestrel.AllowSynchronousIO);

    [Fact]
    [Trait("attack", "D4")]
    public void Server_HostAndScheme_AreTheRequestsOwn()
    {
        Assert.False(Kestrel.AllowHostHeaderOverride);
        Assert.False(Kestrel.AllowAlternateSchemes);
    }

    [Fact]
    [Trait("attack", "D1")]
    public void Parser_Switches_AreStrict()
    {
        Assert.True(AppContext.TryGetSwitch("Microsoft.AspNetCore.Server.Kestrel.DisableHttp1LineFeedTerminators", out var strict) && strict);
        Assert.False(AppContext.TryGetSwitch("Microsoft.AspNetCore.Server.Kestrel.EnableInsecureChunkedRequestParsing", out var insecure) && insecure);
    }

    [Fact]
    [Trait("attack", "C15")]
    public async Task Connections_PeersThatAreGone_AreAskedAfterByTheKernel() =>
        Assert.Equal("1 20", (await server.SendAsync("GET /watched HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).Body);

    [Fact]
    [Trait("attack", "E1")]
    public void Limits_AreThoseOfThePage()
    {
        var limits = Kestrel.Limits;

        Assert.Equal(64 * 1024, limits.MaxRequestBodySize);
        Assert.Equal(8 * 1024, limits.MaxRequestLineSize);
        Assert.Equal(16 * 1024, limits.MaxRequestHeadersTotalSize);
        Assert.Equal(50, limits.MaxRequestHeaderCount);
        Assert.Equal(TimeSpan.FromSeconds(10), limits.RequestHeadersTimeout);
        Assert.Equal(TimeSpan.FromSeconds(60), limits.KeepAliveTimeout);
        Assert.Equal(240, limits.MinRequestBodyDataRate!.BytesPerSecond);
        Assert.Equal(TimeSpan.FromSeconds(5), limits.MinRequestBodyDataRate.GracePeriod);
    }

    [Fact]
    [Trait("attack", "E2")]
    public void Limits_OfConnections_AreSet()
    {
        Assert.Equal(9000, Kestrel.Limits.MaxConcurrentConnections);
        Assert.Equal(9000, Kestrel.Limits.MaxConcurrentUpgradedConnections);
    }

    [Fact]
    [Trait("attack", "E10")]
    public void Limits_OfHttp2_AreSet()
    {
        Assert.Equal(50, Kestrel.Limits.Http2.MaxStreamsPerConnection);
        Assert.Equal(TimeSpan.FromSeconds(30), Kestrel.Limits.Http2.KeepAlivePingDelay);
    }

    [Theory]
    [InlineData(8 * 1024 - 20, 200)]
    [InlineData(8 * 1024 + 1, 414)]
    [Trait("attack", "A18")]
    public async Task RequestLine_BeyondItsLimit_Is414(int length, int status) =>
        Assert.Equal([status], (await server.SendAsync($"GET /?{new string('a', length)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).Statuses);

    [Theory]
    [InlineData(1, 17_000)]
    [InlineData(51, 1)]
    [Trait("attack", "A18")]
    public async Task Headers_BeyondTheirLimits_Are431(int count, int length)
    {
        var headers = string.Concat(Enumerable.Range(0, count).Select(i => $"X-{i}: {new string('a', length)}\r\n"));

        Assert.Equal([431], (await server.SendAsync($"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")).Statuses);
    }

    [Theory]
    [InlineData(64 * 1024, 200)]
    [InlineData(64 * 1024 + 1, 413)]
    public async Task Body_BeyondItsLimit_Is413(int length, int status) =>
        Assert.Equal([status], (await server.SendAsync($"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{new string('a', length)}")).Statuses);

    [Fact]
    public async Task Body_ChunkedBeyondItsLimit_Is413()
    {
        var chunks = string.Concat(Enumerable.Repeat($"1000\r\n{new string('a', 4096)}\r\n", 17)) + "0\r\n\r\n";

        Assert.Equal([413], (await server.SendAsync($"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")).Statuses);
    }
}
