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
    private const int Opened = 1000;
    private const string Agent = "agent_echo";
    private const string SignedUrl = "signed URL";
    private static readonly TimeSpan Slice = TimeSpan.FromSeconds(0.25);

    private static byte[] ClientSecret { get; } = PosternProcess.Post(
        "/v1/realtime/client_secrets", "Authorization: Bearer ", $$$"""{"expires_after":{"seconds":600},"agent_id":"{{{Agent}}}"}""");

    private static byte[] AccessToken { get; } = PosternProcess.Post("/user/connect", "CONVAI-API-KEY: ", $$"""{"character_id":"{{Agent}}"}""");

    private static byte[] FixedValues { get; } = PosternProcess.Post(
        Peer.MintPath, "xi-api-key: ", $$$"""{"agent_id":"{{{Agent}}}","dynamic_variables":{"name":"Ada"}}""");

    private static readonly (string Name, byte[] Request)[] Mints =
    [
        (SignedUrl, PosternProcess.MintRequest),
        ("signed URL, POST with fixed values", FixedValues),
        ("conversation token", PosternProcess.Get("/v1/convai/conversation/token")),
        ("signed URL by /v1/credentials", PosternProcess.Post("/v1/credentials", "xi-api-key: ", $$"""{"kind":"signed_url","agent_id":"{{Agent}}"}""")),
        ("client secret", ClientSecret),
        ("personal access token", AccessToken),
    ];

    public static async Task RunAsync(Run run)
    {
        await using var peer = await Peer.StartAsync();
        await using var postern = await PosternProcess.StartAsync();
        await postern.RelayToAsync(peer.Address);
        await postern.UseMediaAsync(peer.Address);
        var (slices, batches) = run.Quick ? (2, 1) : (8, 6);

        await run.RoundsAsync(async round =>
        {
            await MintAsync(round, postern.Server, slices);
            await ConnectAsync(round, batches,
            [
                (SignedUrl, () => OpenAsync(postern, () => postern.MintAsync(Opened))),
                ("signed URL with fixed values", () => OpenAsync(postern, () => postern.MintAsync(Opened, FixedValues))),
                ("client secret by header", () => OpenAsync(postern, () => SecretsAsync(postern, "\r\nAuthorization: Bearer "))),
                ("client secret by subprotocol", () => OpenAsync(postern, () => SecretsAsync(postern, "\r\nSec-WebSocket-Protocol: realtime, openai-insecure-api-key."))),
                ("personal access token", () => OpenRoomsAsync(postern)),
            ]);
        }, warmUps: 5);
    }

    // In short slices by turns: a neighbour that wakes up slows all of them.
    private static async Task MintAsync(Round round, ServerProcess server, int slices)
    {
        var sums = Mints.ToDictionary(mint => mint.Name, _ => (Count: 0, Seconds: 0d, Cpu: TimeSpan.Zero), StringComparer.Ordinal);
        for (var i = 0; i < slices; i++)
        {
            await round.InTurnAsync([.. Mints.Select(mint => (Func<Task>)(async () =>
            {
                LoadResult? result = null;
                var cpu = await server.CpuOfAsync(() => Task.Run(() => result = HttpLoad.Run(server.Address, mint.Request, Connections, Slice)));
                var sum = sums[mint.Name];
                sums[mint.Name] = (sum.Count + result!.Count, sum.Seconds + result.Seconds, sum.Cpu + cpu);
            }))]);
        }
        var signed = sums[SignedUrl];
        foreach (var (name, _) in Mints)
        {
            var (count, seconds, cpu) = sums[name];
            if (name != SignedUrl)
            {
                round.Add(new Figure($"mint, {name}: requests/s against the signed URL's", "", AtLeast: 0.9), count / seconds / (signed.Count / signed.Seconds));
            }
            round.Add(new Figure($"mint, {name}: CPU per request", "µs"), cpu.TotalMicroseconds / count);
        }
    }

    private static async Task ConnectAsync(Round round, int batches, (string Name, Func<Task<TimeSpan>> Work)[] kinds)
    {
        var sums = kinds.ToDictionary(kind => kind.Name, _ => TimeSpan.Zero, StringComparer.Ordinal);
        for (var i = 0; i < batches; i++)
        {
            await round.InTurnAsync([.. kinds.Select(kind => (Func<Task>)(async () => sums[kind.Name] += await kind.Work()))]);
        }
        foreach (var (name, cpu) in sums)
        {
            if (name != SignedUrl)
            {
                round.Add(new Figure($"connect, {name}: CPU against the signed URL's", "", AtMost: 1.1), cpu / sums[SignedUrl]);
            }
            round.Add(new Figure($"connect, {name}: CPU per session", "µs"), cpu.TotalMicroseconds / batches / Opened);
        }
    }

    private static async Task<TimeSpan> OpenAsync(PosternProcess postern, Func<Task<string[]>> targets)
    {
        var batch = await targets();
        SocketClient[] clients = [];
        var cpu = await postern.Server.CpuOfAsync(async () => clients = await SocketLoad.OpenAsync(postern.Server.Address, batch));
        await SocketLoad.CloseAsync(clients);
        await Task.Delay(200); // rows of the last ends are still being written
        return cpu;
    }

    private static async Task<TimeSpan> OpenRoomsAsync(PosternProcess postern)
    {
        var tokens = await Task.Run(() => HttpLoad.Collect(postern.Server.Address, AccessToken, Opened, body => Member(body, "apiAuthToken")));
        var requests = tokens.Select(token => PosternProcess.PostAs($"API-AUTH-TOKEN: {token}", "/connect", $$"""{"character_id":"{{Agent}}"}""")).ToList();
        string[] sessions = [];
        var cpu = await postern.Server.CpuOfAsync(() => Task.Run(() => sessions = HttpLoad.Collect(postern.Server.Address, requests, body => Member(body, "session_id"))));
        var ends = sessions.Select(session => PosternProcess.PostAs("Accept: */*", $"/disconnect?session_id={session}", ""));
        await Task.Run(() => HttpLoad.Collect(postern.Server.Address, ends, body => body.Length));
        await Task.Delay(200);
        return cpu;
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
