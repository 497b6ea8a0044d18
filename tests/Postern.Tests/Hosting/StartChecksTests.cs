using System.Collections;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Postern.Server;
using Postern.Server.Hosting;
using Postern.Server.Settings;

namespace Postern.Tests.Hosting;

/// <summary>What keeps Postern from starting, as a table.</summary>
public sealed class StartChecksTests
{
    [Theory]
    [InlineData("10.0.9", false)]
    [InlineData("9.0.15", false)]
    [InlineData("10.0.10", true)]
    [InlineData("10.1.0", true)]
    [InlineData("11.0.0", true)]
    public void Runtime_BelowThePatchFloor_IsRefused(string version, bool starts) =>
        Assert.Equal(starts, StartChecks.OfRuntime(Version.Parse(version)) is null);

    [Theory]
    [InlineData("true")]
    [InlineData("false")]
    [InlineData("1")]
    [Trait("attack", "D3")]
    public void ForwardedHeaders_SwitchedByTheEnvironment_IsRefused(string value) =>
        Assert.Contains("remove", StartChecks.OfForwardedHeaders(new Hashtable { ["ASPNETCORE_FORWARDEDHEADERS_ENABLED"] = value }), StringComparison.Ordinal);

    [Theory]
    [InlineData("127.0.0.1:1", "[::1]:1", null, true)]
    [InlineData("127.9.9.9:1", null, null, true)]
    [InlineData("0.0.0.0:1", null, null, false)]
    [InlineData("[::]:1", null, null, false)]
    [InlineData(null, "192.0.2.7:1", null, false)]
    [InlineData("0.0.0.0:1", "0.0.0.0:2", "https://agents.example.com", true)]
    [Trait("attack", "D4")]
    public void Addresses_BeyondLoopback_NeedThePublicAddress(string? http, string? https, string? publicAddress, bool starts)
    {
        var problem = StartChecks.OfAddresses(new PosternOptions
        {
            Http = http is null ? null : IPEndPoint.Parse(http),
            Https = https is null ? null : IPEndPoint.Parse(https),
            PublicAddress = publicAddress is null ? null : PublicAddress.Parse(publicAddress),
        });

        Assert.Equal(starts, problem is null);
        if (!starts) Assert.Contains("--public-address", problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(31, 'a', "31 characters")]
    [InlineData(32, 'a', null)]
    [InlineData(256, 'a', null)]
    [InlineData(257, 'a', "longer")]
    [InlineData(40, ' ', "space")]
    [InlineData(40, '\n', "space")]
    [InlineData(40, 'ä', "character that no header")]
    public void ApiKey_TooShortOrUnfit_IsRefused(int length, char of, string? problem)
    {
        var said = StartChecks.OfApiKey(new Hashtable { ["POSTERN_API_KEY"] = new string(of, length) });

        if (problem is null) Assert.Null(said);
        else Assert.Contains(problem, said, StringComparison.Ordinal);
    }

    [Fact]
    public void ApiKey_OfOursWithAWrongChecksum_IsRefused() =>
        Assert.Contains("mistyped", StartChecks.OfApiKey(new Hashtable { ["POSTERN_API_KEY"] = "pst_" + new string('a', 49) }), StringComparison.Ordinal);

    [Fact]
    public void ApiKey_AbsentOrEmpty_IsMade()
    {
        Assert.Null(StartChecks.OfApiKey(new Hashtable()));
        Assert.Null(StartChecks.OfApiKey(new Hashtable { ["POSTERN_API_KEY"] = "" }));
    }

    public static TheoryData<Exception, string> Failures => new()
    {
        { new IOException("Failed to bind to address https://127.0.0.1:8443: address already in use.", new AddressInUseException("x")), "https://127.0.0.1:8443 is in use by another program: stop that, or choose another port with --https." },
        { new IOException("Failed to bind to address http://[::1]:8080: address already in use.", new AddressInUseException("x")), "http://[::1]:8080 is in use by another program: stop that, or choose another port with --http." },
        { new SocketException((int)SocketError.AccessDenied), "choose one above 1023" },
        { new SocketException((int)SocketError.AddressNotAvailable), "not one of this machine's" },
        { new UnauthorizedAccessException("Access to the path '/x' is denied."), "A file cannot be used: Access to the path '/x' is denied." },
    };

    [Theory]
    [MemberData(nameof(Failures))]
    public void Failure_OfTheSystem_IsOneSentence(Exception failure, string sentence) =>
        Assert.Contains(sentence, StartChecks.OfFailure(failure), StringComparison.Ordinal);

    [Fact]
    public void Failure_ThatNobodyForesaw_IsADefect() => Assert.Null(StartChecks.OfFailure(new InvalidOperationException("x")));
}
