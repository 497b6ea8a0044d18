using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Postern.Benchmarks.Load;

namespace Postern.Benchmarks.Processes;

/// <summary>Postern as it is shipped: `postern serve` of this build, durable, in a folder that is deleted at the end.</summary>
internal sealed class PosternProcess : IAsyncDisposable
{
    private const string Key = "a-key-for-benchmarks-of-more-than-32-characters";
    private const string Agent = "agent_echo";

    private readonly string folder;

    private PosternProcess(ServerProcess server, string folder) => (Server, this.folder) = (server, folder);

    public ServerProcess Server { get; }

    /// <summary>A request for a signed URL, on a connection that is kept.</summary>
    public static byte[] MintRequest { get; } = Get(Peer.MintPath);

    /// <summary>A request for what is minted for the agent by GET.</summary>
    public static byte[] Get(string path) => Encoding.ASCII.GetBytes(
        $"GET {path}?agent_id={Agent} HTTP/1.1\r\nHost: 127.0.0.1\r\nxi-api-key: {Key}\r\nAccept: application/json\r\n\r\n");

    /// <param name="refusals">Refused credentials a minute from one address before it is answered 429.</param>
    /// <param name="database">A PostgreSQL connection string; null is SQLite in the folder.</param>
    /// <param name="assembly">Another build than this one.</param>
    public static async Task<PosternProcess> StartAsync(string? database = null, int refusals = 1_000_000, string assembly = "postern.dll")
    {
        var folder = Directory.CreateTempSubdirectory("postern-benchmark-").FullName;
        List<string> arguments =
        [
            "serve", "--http", "127.0.0.1:0", "--https", "off", "--data", folder, "--log:level", "warning", "--agents:allow-private-upstreams", "true",
            "--sessions:max-frames-per-second", "100000", "--limits:refusals-per-address-per-minute", refusals.ToString(CultureInfo.InvariantCulture),
        ];
        if (database is not null)
        {
            arguments.AddRange(["--database", database]);
        }
        try
        {
            return new PosternProcess(await ServerProcess.StartAsync(assembly, arguments, new Dictionary<string, string> { ["POSTERN_API_KEY"] = Key }), folder);
        }
        catch
        {
            Directory.Delete(folder, recursive: true);
            throw;
        }
    }

    /// <summary>A POST with the API key in this header, on a connection that is kept.</summary>
    public static byte[] Post(string path, string header, string body) => PostAs(header + Key, path, body);

    /// <summary>A POST with this header, on a connection that is kept.</summary>
    public static byte[] PostAs(string header, string path, string body) => Encoding.ASCII.GetBytes(
        $"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");

    /// <summary>Gives the agent a media server: one that knows no rooms will do.</summary>
    public Task UseMediaAsync(IPEndPoint server) => SetAsync("media", new { url = $"ws://{server}", key = "APIbenchmark", secret = "a-secret-of-at-least-thirty-two-characters" });

    /// <summary>Makes the agent one that is relayed to this address.</summary>
    public Task RelayToAsync(IPEndPoint upstream) => SetAsync("upstream", new { kind = "relay", url = $"ws://{upstream}{Peer.EchoPath}" });

    /// <summary>Makes the agent one whose words come from the chat endpoint at this address.</summary>
    public Task AskAsync(IPEndPoint endpoint) => SetAsync("upstream", new { kind = "chat", url = $"http://{endpoint}{Peer.ChatPath}", model = "m", key = "k" });

    /// <summary>A text to the agent; it is answered by a stream of events.</summary>
    public HttpRequestMessage Say(string text) => new(HttpMethod.Post, $"http://{Server.Address}/connect/stream")
    {
        Content = new MultipartFormDataContent { { new StringContent(Agent), "character_id" }, { new StringContent(text), "text_input" } },
        Headers = { { "X-API-Key", Key } },
    };

    private async Task SetAsync(string what, object value)
    {
        using var client = new HttpClient { BaseAddress = new Uri($"http://{Server.Address}") };
        client.DefaultRequestHeaders.Add("xi-api-key", Key);
        using var answer = await client.PutAsJsonAsync($"/api/agents/{Agent}/{what}", value);
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>Mints fresh signed URLs and returns what a client puts into its request line.</summary>
    public Task<string[]> MintAsync(int count) => MintAsync(count, MintRequest);

    /// <summary>The same by another request.</summary>
    public Task<string[]> MintAsync(int count, byte[] request) => Task.Run(() => HttpLoad.Collect(Server.Address, request, count, Target));

    /// <summary>The same with one character of each signature changed.</summary>
    public async Task<string[]> ForgeAsync(int count) => [.. (await MintAsync(count)).Select((target, i) =>
    {
        var at = target.Length - 2 - (i % 40);
        return $"{target[..at]}{(target[at] == 'A' ? 'B' : 'A')}{target[(at + 1)..]}";
    })];

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private static string Target(ReadOnlySpan<byte> body)
    {
        using var document = JsonDocument.Parse(body.ToArray());
        return new Uri(document.RootElement.GetProperty("signed_url").GetString()!).PathAndQuery;
    }
}
