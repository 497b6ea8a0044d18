using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Postern.Server;
using Postern.Server.Hosting;

namespace Postern.Tests;

/// <summary>A real server on free ports, with its own folder and database, and a clock that can be moved.</summary>
internal sealed class TestPostern : IAsyncDisposable
{
    public const string Key = "test-key-of-more-than-thirty-two-characters";

    private readonly string folder;
    private readonly PosternHost host;

    private TestPostern(string folder, PosternHost host, MovableClock clock)
    {
        (this.folder, this.host, Clock) = (folder, host, clock);
        Http = host.Addresses.First(address => address.StartsWith("http:", StringComparison.Ordinal));
        Https = host.Addresses.FirstOrDefault(address => address.StartsWith("https:", StringComparison.Ordinal)) ?? "";
        Client = new HttpClient { BaseAddress = new Uri(Http) };
        Client.DefaultRequestHeaders.Add("xi-api-key", Key);
    }

    /// <summary>Such as <c>http://127.0.0.1:40123</c>.</summary>
    public string Http { get; }

    /// <summary>Such as <c>https://127.0.0.1:40124</c>; empty unless asked for.</summary>
    public string Https { get; }

    public MovableClock Clock { get; }

    /// <summary>Speaks to <see cref="Http"/> with the API key.</summary>
    public HttpClient Client { get; }

    public PosternHost Host => host;

    public string Folder => folder;

    public static async Task<TestPostern> StartAsync(Func<string, bool, PosternOptions>? options = null, bool https = false)
    {
        var folder = System.IO.Directory.CreateTempSubdirectory("postern-test-").FullName;
        var clock = new MovableClock();
        var chosen = options?.Invoke(folder, https) ?? Options(folder, https);
        return new TestPostern(folder, await PosternHost.StartAsync(chosen, clock, Key), clock);
    }

    /// <summary>Free ports, warnings only.</summary>
    public static PosternOptions Options(string folder, bool https = false) => new()
    {
        Http = new IPEndPoint(IPAddress.Loopback, 0), Https = https ? new IPEndPoint(IPAddress.Loopback, 0) : null, Data = folder,
        Log = { Level = "warning" }, Agents = { AllowPrivateUpstreams = true }, Limits = { RefusalsPerAddressPerMinute = 1_000_000 },
    };

    /// <summary>Mints a signed URL for an agent.</summary>
    public async Task<string> SignedUrlAsync(string agent = "agent_echo", string more = "")
    {
        var answer = await Client.GetFromJsonAsync<JsonElement>($"/v1/convai/conversation/get-signed-url?agent_id={agent}{more}", TestContext.Current.CancellationToken);
        return answer.GetProperty("signed_url").GetString()!;
    }

    /// <summary>The conversation's address with this query.</summary>
    public string Address(string query) => $"ws{Http[4..]}/v1/convai/conversation?{query}";

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await host.DisposeAsync();
        System.IO.Directory.Delete(folder, recursive: true);
    }
}

/// <summary>The system's clock, moved by hand.</summary>
internal sealed class MovableClock : TimeProvider
{
    private long offsetTicks;

    public void Advance(TimeSpan by) => Interlocked.Add(ref offsetTicks, by.Ticks);

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddTicks(Interlocked.Read(ref offsetTicks));

    public override long GetTimestamp() => base.GetTimestamp() + Interlocked.Read(ref offsetTicks) * TimestampFrequency / TimeSpan.TicksPerSecond;
}
