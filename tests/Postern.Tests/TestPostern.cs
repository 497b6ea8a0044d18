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

    /// <summary>Creates an agent; <paramref name="body"/> is the members beside its name.</summary>
    public async Task<string> AgentAsync(string body = "", string? upstream = null, string? dialect = null)
    {
        using var created = await Client.PostAsync("/v1/convai/agents/create", Json($$"""{"name":"test","conversation_config":{}{{(body.Length > 0 ? "," + body : "")}}}"""), TestContext.Current.CancellationToken);
        var text = await created.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(created.IsSuccessStatusCode, text);
        var id = JsonElement.Parse(text).GetProperty("agent_id").GetString()!;
        if (upstream is not null)
        {
            await PutAsync($"/api/agents/{id}/upstream", $$"""{"kind":"relay","url":"{{upstream}}"}""");
        }
        if (dialect is not null)
        {
            await PutAsync($"/api/agents/{id}/dialect", $$"""{"dialect":"{{dialect}}"}""");
        }
        return id;
    }

    /// <summary>A JSON body.</summary>
    public static StringContent Json(string text) => new(text, System.Text.Encoding.UTF8, "application/json");

    /// <summary>Rows of the audit trail, oldest first.</summary>
    public List<(string Name, string? Reason, string? Session, string? Credential)> Audit()
    {
        using var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={Path.Combine(folder, "postern.db")}");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "select name, reason, session_id, credential_id from audit order by seq";
        using var reader = command.ExecuteReader();
        var rows = new List<(string, string?, string?, string?)>();
        while (reader.Read())
        {
            rows.Add((reader.GetString(0), reader.IsDBNull(1) ? null : reader.GetString(1), reader.IsDBNull(2) ? null : reader.GetString(2), reader.IsDBNull(3) ? null : reader.GetString(3)));
        }
        return rows;
    }

    private async Task PutAsync(string path, string body)
    {
        using var answer = await Client.PutAsync(path, Json(body), TestContext.Current.CancellationToken);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
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

    /// <summary>To the beginning of a minute, for what is counted by the minute.</summary>
    public void ToNextMinute() => Advance(TimeSpan.FromSeconds(60 - GetUtcNow().Second));

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddTicks(Interlocked.Read(ref offsetTicks));

    public override long GetTimestamp() => base.GetTimestamp() + Interlocked.Read(ref offsetTicks) * (TimestampFrequency / TimeSpan.TicksPerSecond);
}
