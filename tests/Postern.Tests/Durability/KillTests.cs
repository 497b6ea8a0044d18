using System.Diagnostics;
using System.Net.WebSockets;
using Postern.Server.Storage;
using Postern.Tests.Storage;

namespace Postern.Tests.Durability;

/// <summary>kill -9 of the real server at random moments under load: whatever it has answered is there when it is back.</summary>
public sealed class KillTests(ITestOutputHelper output)
{
    private static readonly TimeSpan ReadyWithin = TimeSpan.FromSeconds(5);

    // kind of acknowledgement → where its row must be
    private static readonly (string Kind, string Sql)[] Rows =
    [
        ("mint", "select credential_id from audit where name = 'credential.minted'"),
        ("redemption", "select credential_id from redemption"),
        ("session", "select id from session"),
        ("session", "select session_id from audit where name = 'session.started'"),
        ("agent", "select id from agent"),
        ("agent", "select agent_id from audit where name = 'agent.created'"),
    ];

    [Theory]
    [InlineData(Engine.Sqlite, 40)]
    [InlineData(Engine.Postgres, 10)]
    [Trait("attack", "B6")]
    [Trait("attack", "G1")]
    public async Task Kill_UnderLoad_LosesNothingThatWasAnswered(Engine engine, int cycles)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        var folder = System.IO.Directory.CreateTempSubdirectory("postern-kill-").FullName;
        var dice = new Dice((ulong)Stopwatch.GetTimestamp()); // the moments are to differ from run to run
        var readyAfter = new List<TimeSpan>();
        var time = Stopwatch.StartNew();
        using var journal = new Journal(Path.Combine(folder, "journal"));
        var server = await ServerProcess.StartAsync(folder, database.ConnectionString);
        try
        {
            for (var cycle = 1; cycle <= cycles; cycle++)
            {
                await LoadAndKillAsync(server, journal, dice);
                server.Dispose();
                server = await ServerProcess.StartAsync(folder, database.ConnectionString);
                readyAfter.Add(server.ReadyAfter);
                Assert.True(server.ReadyAfter < ReadyWithin, $"cycle {cycle}: ready after {server.ReadyAfter.TotalSeconds:0.0} s");
                Check(database, journal, $"cycle {cycle}");
                await RefusesUsedAsync(journal, server, dice);
            }
        }
        finally
        {
            server.Dispose();
        }
        Check(database, journal, "at the end");
        output.WriteLine($"{engine}: {cycles} kills in {time.Elapsed.TotalSeconds:0} s; acknowledged and found: "
            + string.Join(", ", new[] { "mint", "redemption", "session", "agent" }.Select(kind => $"{journal.Of(kind).Count} {kind}s"))
            + $"; ready again after {readyAfter.Average(t => t.TotalSeconds):0.00} s, at most {readyAfter.Max().TotalSeconds:0.00} s");
        Assert.All(Rows, row => Assert.True(journal.Of(row.Kind).Count >= cycles, $"only {journal.Of(row.Kind).Count} of {row.Kind}: no load"));
        System.IO.Directory.Delete(folder, recursive: true);
    }

    private static async Task LoadAndKillAsync(ServerProcess server, Journal journal, Dice dice)
    {
        using var stop = new CancellationTokenSource();
        var before = journal.Count;
        var load = new Load(server.Address, journal, stop.Token).RunAsync();
        var patience = Stopwatch.StartNew();
        while (journal.Count < before + 20 && patience.Elapsed < TimeSpan.FromSeconds(10))
        {
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }
        await Task.Delay(dice.Next(400), TestContext.Current.CancellationToken);
        await server.KillAsync();
        stop.CancelAfter(TimeSpan.FromSeconds(2));
        Assert.Empty(await load);
    }

    // Everything that was ever acknowledged, each time: a later recovery must not lose what an earlier one kept.
    private static void Check(TestDatabase database, Journal journal, string when)
    {
        using var connection = database.Open().Open();
        foreach (var (kind, sql) in Rows)
        {
            var present = new HashSet<string>(StringComparer.Ordinal);
            using var command = Database.Command(connection, sql);
            using var reader = command.ExecuteReader();
            while (reader.Read())
            {
                present.Add(reader.GetString(0));
            }
            var missing = journal.Of(kind).Where(id => !present.Contains(id)).ToList();
            Assert.True(missing.Count == 0, $"{when}: {missing.Count} of {kind} are missing for: {sql}");
        }
    }

    // A use that was spent stays spent.
    private static async Task RefusesUsedAsync(Journal journal, ServerProcess server, Dice dice)
    {
        var used = journal.Of("used");
        for (var i = 0; i < Math.Min(3, used.Count); i++)
        {
            var former = new UriBuilder(new Uri(dice.Of(used))) { Port = new Uri(server.Address).Port };
            using var socket = new ClientWebSocket();
            await socket.ConnectAsync(former.Uri, TestContext.Current.CancellationToken);
            var received = await socket.ReceiveAsync(new byte[1024], TestContext.Current.CancellationToken);
            Assert.Equal(WebSocketMessageType.Close, received.MessageType);
            Assert.Equal("Could not authorize the conversation: the signed URL was already used.", socket.CloseStatusDescription);
        }
    }
}
