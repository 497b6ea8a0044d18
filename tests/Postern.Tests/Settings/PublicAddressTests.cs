using Postern.Server.Settings;

namespace Postern.Tests.Settings;

/// <summary>The address that signed URLs are built from: nothing that could be read two ways gets in.</summary>
public sealed class PublicAddressTests
{
    [Theory]
    [InlineData("https://agents.example.com", "https://agents.example.com", "wss://agents.example.com")]
    [InlineData("http://agents.example.com:8080/", "http://agents.example.com:8080", "ws://agents.example.com:8080")]
    [InlineData("http://a:80", "http://a", "ws://a")]
    [InlineData("https://a:80", "https://a:80", "wss://a:80")]
    [InlineData("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443", "wss://[2001:db8::1]:8443")]
    [InlineData("https://192.0.2.7", "https://192.0.2.7", "wss://192.0.2.7")]
    public void Parse_SchemeHostPort_IsTaken(string text, string http, string webSocket)
    {
        var address = PublicAddress.Parse(text)!;

        Assert.Equal((http, webSocket), (address.Http, address.WebSocket));
    }

    [Theory]
    [InlineData("")]
    [InlineData("https://")]
    [InlineData("agents.example.com")]
    [InlineData("wss://agents.example.com")]
    [InlineData("https://agents.example.com/path")]
    [InlineData("https://agents.example.com//")]
    [InlineData("https://agents.example.com?x")]
    [InlineData("https://agents.example.com#x")]
    [InlineData("https://user@agents.example.com")]
    [InlineData("https://user:password@agents.example.com")]
    [InlineData("https://agents.example.com:")]
    [InlineData("https://agents.example.com:0")]
    [InlineData("https://agents.example.com:65536")]
    [InlineData("https://agents.example.com:+1")]
    [InlineData("https://agents..example.com")]
    [InlineData("https://-agents.example.com")]
    [InlineData("https://agents.example.com\r\nX: y")]
    [InlineData("https://agents.exämple.com")]
    [InlineData("https://agents\\example.com")]
    [InlineData("https://[::1")]
    [InlineData("https://::1")]
    [InlineData("https://[fe80::1%25eth0]")]
    [InlineData("https://[127.0.0.1]")]
    [Trait("attack", "D6")]
    public void Parse_AnythingElse_IsRefused(string text) => Assert.Null(PublicAddress.Parse(text));
}
