namespace Postern.Tests.Hosting;

/// <summary>Generated framings: whatever Transfer-Encoding and Content-Length say together, nobody gets a second request through.</summary>
public sealed class SmugglingTests(GuardedServer server) : IClassFixture<GuardedServer>
{
    private const int Thrown = 1500;
    private static ParallelOptions Together => new() { MaxDegreeOfParallelism = 8, CancellationToken = TestContext.Current.CancellationToken };

    private const string Second = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

    private static readonly string[] Names =
        ["Transfer-Encoding", "transfer-encoding", "TRANSFER-ENCODING", "Transfer-Encoding ", " Transfer-Encoding", "\tTransfer-Encoding", "X: x\nTransfer-Encoding", "X: x\rTransfer-Encoding", "Transfer-Encoding\0"];

    private static readonly string[] Codings =
    [
        "chunked", "Chunked", "CHUNKED", " chunked ", "\tchunked", "xchunked", "chunkedx", "chunked, identity", "identity, chunked", "chunked, chunked",
        "chunked,", ",chunked", "\"chunked\"", "chunked;q=1", "chun\tked", "chunked\v", "chunked\0", "\nchunked", "\r\n chunked", "", "gzip", "gzip, chunked", "identity", "chunked\r\nTransfer-Encoding: identity",
        "identity\r\nTransfer-Encoding: chunked",
    ];

    private static readonly string[] Lengths =
    [
        "0", "1", "4", "5", "48", "500", "+5", "-0", "-5", "0x5", "5 ", "5 5", "5,5", "5;5", "5\r\nContent-Length: 5", "5\r\nContent-Length: 0", "0\r\nContent-Length: 5", "05", "005", "5.0", "5e0", "", "\t5", "５", "18446744073709551616",
        "5\0", "\n5", "5\n",
    ];

    private static readonly string[] Bodies =
        ["0\r\n\r\n", "0\n\n", "00\r\n\r\n", "0;x\r\n\r\n", "0;x=\"\r\n\"\r\n\r\n", "0;\n\r\n\r\n", "0\r\nX: y\r\n\r\n", "0\r\n\n", "0\r\r\n\r\n", "+0\r\n\r\n", "-0\r\n\r\n", " 0\r\n\r\n", "0 \r\n\r\n", "0x0\r\n\r\n", "1\r\na\r\n0\r\n\r\n", "1\r\na0\r\n\r\n", "1\na\n0\n\n", "FFFFFFFFFFFFFFFFF\r\n", "7fffffff\r\n", "", "\r\n", "aaaaa"];

    /// <summary>Every coding with every length, a second request behind.</summary>
    internal static IReadOnlyList<string> Pairs => [.. from coding in Codings from length in Lengths select Request(Names[0], coding, length, Bodies[0])];

    /// <summary>So many with any name, coding, length and body, a second request behind.</summary>
    internal static IReadOnlyList<string> ThrownTogether(int count)
    {
        var dice = new Dice(2027);
        return [.. Enumerable.Range(0, count).Select(_ => Request(dice.Of(Names), dice.Of(Codings), dice.Of(Lengths), dice.Of(Bodies)))];
    }

    [Fact]
    [Trait("attack", "D1")]
    public async Task BothFramings_EveryPair_GetOneRefusalAndNothingThrough()
    {
        await EveryOneAsync(Pairs);
    }

    [Fact]
    [Trait("attack", "D1")]
    public async Task BothFramings_ThrownTogether_GetOneRefusalAndNothingThrough()
    {
        await EveryOneAsync(ThrownTogether(Thrown));
    }

    [Fact]
    [Trait("attack", "D1")]
    public async Task ChunkedBody_EveryForm_IsReadOneWayOrRefused()
    {
        var requests = from coding in Codings
                       from body in Bodies
                       select $"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {coding}\r\nConnection: close\r\n\r\n{body}";
        await Parallel.ForEachAsync(requests, Together, async (request, _) =>
        {
            var answer = await server.SendAsync(request, patience: 300);
            Assert.True(answer.Statuses is [] or [200 or 400 or 413], $"{Shown(request)}: {Shown(answer.Text)}");
        });
    }

    private async Task EveryOneAsync(IReadOnlyList<string> requests)
    {
        await Parallel.ForEachAsync(requests, Together, async (request, _) =>
        {
            var answer = await server.SendAsync(request);
            Assert.True(answer.Statuses is [400], $"{Shown(request)}: {Shown(answer.Text)}");
        });
        Assert.Equal(0, server.Smuggled);
    }

    private static string Request(string name, string coding, string length, string body) =>
        $"POST / HTTP/1.1\r\nHost: localhost\r\n{name}: {coding}\r\nContent-Length: {length}\r\n\r\n{body}{Second}";

    internal static string Shown(string raw) => raw.Replace("\r", "\\r", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal).Replace("\0", "\\0", StringComparison.Ordinal);
}
