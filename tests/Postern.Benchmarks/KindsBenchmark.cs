using System.Text.Json;
using Postern.Benchmarks.Figures;
using Postern.Benchmarks.Load;
using Postern.Benchmarks.Processes;

namespace Postern.Benchmarks;

/// <summary>
/// Every other kind of credential against the signed URL, in the same rounds: its mint, durable in SQLite, and a session opened by a
/// fresh one. WebSockets are relayed to the echo server; a personal access token opens a room of a media server.
/// </summary>
internal static class KindsBenchmark
{
    private const int Connections = 64;
    private const int Opened = 500;
    private const string Agent = "agent_echo";
    private const string SignedUrl = "signed URL";

    private static byte[] ClientSecret { get; } = PosternProcess.Post(
        "/v1/realtime/client_secrets", "Authorization: Bearer ", $$$"""{"expires_after":{"seconds":600},"agent_id":"{{{Agent}}}"}""");

    private static byte[] AccessToken { get; } = PosternProcess.Post("/user/connect", "CONVAI-API-KEY: ", $$"""{"character_id":"{{Agent}}"}""");

    private static readonly (string Name, byte[] Request)[] Mints =
    [
        (SignedUrl, PosternProcess.MintRequest),
        ("signed URL, POST with fixed values", PosternProcess.Post("/v1/convai/conversation/get-signed-url", "xi-api-key: ", $$$"""{"agent_id":"{{{Agent}}}","dynamic_variables":{"name":"Ada"}}""")),
        ("conversation token", PosternProcess.Post("/v1/credentials", "xi-api-key: ", $$"""{"kind":"conversation_token","agent_id":"{{Agent}}"}""")),
        ("signed URL by /v1/credentials", PosternProcess.Post("/v1/credentials", "xi-api-key: ", $$"""{"kind":"signed_url","agent_id":"{{Agent}}"}""")),
        ("client secret", ClientSecret),
        ("personal access token", AccessToken),
    ];

    public static async Task RunAsync(Run run)
    {
        await using var peer = await Peer.StartAsync();
        await using var postern = await PosternProcess.StartAsync();
        await postern.RelayToAsync(peer.Address);
        await postern.UseMediaAsync();
        var duration = TimeSpan.FromSeconds(run.Quick ? 1 : 2);
        var batches = run.Quick ? 1 : 2;

        await run.RoundsAsync(async round =>
        {
            await CompareAsync(round, "mint", "requests/s", Mints.Select(mint => (mint.Name, Work: (Func<Task<double>>)(() => MintAsync(round, postern.Server, mint, duration)))), atLeast: 0.9);
            await CompareAsync(round, "connect", "CPU",
            [
                (SignedUrl, () => OpenAsync(postern, batches, () => postern.MintAsync(Opened))),
                ("client secret by header", () => OpenAsync(postern, batches, () => SecretsAsync(postern, "\r\nAuthorization: Bearer "))),
                ("client secret by subprotocol", () => OpenAsync(postern, batches, () => SecretsAsync(postern, "\r\nSec-WebSocket-Protocol: realtime, openai-insecure-api-key."))),
                ("personal access token", () => OpenRoomsAsync(postern, batches)),
            ], atMost: 1.1);
        });
    }

    // Of each kind a figure of its own, then its ratio to the signed URL's in this round.
    private static async Task CompareAsync(Round round, string verb, string unit, IEnumerable<(string Name, Func<Task<double>> Work)> kinds, double? atLeast = null, double? atMost = null)
    {
        var values = new Dictionary<string, double>(StringComparer.Ordinal);
        await round.InTurnAsync([.. kinds.Select(kind => (Func<Task>)(async () => values[kind.Name] = await kind.Work()))]);
        foreach (var (name, value) in values.Where(one => one.Key != SignedUrl).OrderBy(one => one.Key, StringComparer.Ordinal))
        {
            round.Add(new Figure($"{verb}, {name}: {unit} against the signed URL's", "", atLeast, atMost), value / values[SignedUrl]);
        }
    }

    private static async Task<double> MintAsync(Round round, ServerProcess server, (string Name, byte[] Request) mint, TimeSpan duration)
    {
        LoadResult? result = null;
        var cpu = await server.CpuOfAsync(() => Task.Run(() => result = HttpLoad.Run(server.Address, mint.Request, Connections, duration)));
        round.Add(new Figure($"mint, {mint.Name}: CPU per request", "µs"), cpu.TotalMicroseconds / result!.Count);
        return result.PerSecond;
    }

    private static async Task<double> OpenAsync(PosternProcess postern, int batches, Func<Task<string[]>> targets)
    {
        var cpu = TimeSpan.Zero;
        for (var i = 0; i < batches; i++)
        {
            var batch = await targets();
            SocketClient[] clients = [];
            cpu += await postern.Server.CpuOfAsync(async () => clients = await SocketLoad.OpenAsync(postern.Server.Address, batch));
            await SocketLoad.CloseAsync(clients);
            await Task.Delay(200); // rows of the last ends are still being written
        }
        return cpu.TotalMicroseconds;
    }

    private static async Task<double> OpenRoomsAsync(PosternProcess postern, int batches)
    {
        var cpu = TimeSpan.Zero;
        for (var i = 0; i < batches; i++)
        {
            var tokens = await Task.Run(() => HttpLoad.Collect(postern.Server.Address, AccessToken, Opened, body => Member(body, "apiAuthToken")));
            var requests = tokens.Select(token => PosternProcess.PostAs($"API-AUTH-TOKEN: {token}", "/connect", $$"""{"character_id":"{{Agent}}"}""")).ToList();
            string[] sessions = [];
            cpu += await postern.Server.CpuOfAsync(() => Task.Run(() => sessions = HttpLoad.Collect(postern.Server.Address, requests, body => Member(body, "session_id"))));
            var ends = sessions.Select(session => PosternProcess.PostAs("Accept: */*", $"/disconnect?session_id={session}", ""));
            await Task.Run(() => HttpLoad.Collect(postern.Server.Address, ends, body => body.Length));
            await Task.Delay(200);
        }
        return cpu.TotalMicroseconds;
    }

    private static async Task<string[]> SecretsAsync(PosternProcess postern, string header) =>
        [.. (await Task.Run(() => HttpLoad.Collect(postern.Server.Address, ClientSecret, Opened, body => Member(body, "value"))))
            .Select(secret => $"/v1/realtime?agent_id={Agent}{header}{secret}")];

    private static string Member(ReadOnlySpan<byte> body, string name)
    {
        using var document = JsonDocument.Parse(body.ToArray());
        return document.RootElement.GetProperty(name).GetString()!;
    }
}
