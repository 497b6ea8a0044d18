using System.Diagnostics;
using System.Net.WebSockets;
using Postern.Server.Storage;
using Postern.Tests.Storage;

namespace Postern.Tests.Durability;

/// <summary>kill -9 of the real server at random moments under load: whatever it has answered is there when it is back.</summary>
[Collection(nameof(Alone))]
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
        ("changed agent", "select agent_id from audit where name = 'agent.changed'"),
        ("deleted agent", "select agent_id from audit where name = 'agent.deleted' and agent_id not in (select id from agent)"),
        ("asked end", "select session_id from audit where name = 'session.end_asked'"),
        ("refused mint", "select detail from audit where name = 'credential.refused'"),
        ("token", "select id from credential"),
        ("token", "select credential_id from fixed_values"),
        ("extended token", "select credential_id from audit where name = 'credential.extended'"),
        ("revoked token", "select credential_id from audit where name = 'credential.revoked' and credential_id in (select id from credential where revoked_at is not null)"),
        ("user-token key", "select id from user_token_key"),
        ("user-token key", "select substr(detail, 1, 36) from audit where name = 'user_token_key.created'"),
        ("deleted user-token key", "select detail from audit where name = 'user_token_key.deleted' and detail not in (select id from user_token_key)"),
    ];

    // Nothing stands there that the trail does not tell of: neither half of a transaction without the other.
    private static readonly string[] Untold =
    [
        "select id from session where id not in (select session_id from audit where name = 'session.started')",
        "select session_id from audit where name = 'session.started' and session_id not in (select id from session)",
        "select id from session where ended_at is not null and id not in (select session_id from audit where name = 'session.ended')",
        "select session_id from audit where name = 'session.ended' and session_id not in (select id from session where ended_at is not null)",
        "select credential_id from redemption where credential_id not in (select credential_id from audit where name = 'session.started' and credential_id is not null)",
        "select id from agent where id not in (select agent_id from audit where name = 'agent.created')",
        "select id from credential where id not in (select credential_id from audit where name = 'credential.minted')",
        "select credential_id from fixed_values where credential_id not in (select credential_id from audit where name = 'credential.minted')",
        "select credential_id from audit where name = 'credential.minted' and detail like '%\"fix\":1%' and credential_id not in (select credential_id from fixed_values)",
        "select id from credential where revoked_at is not null and id not in (select credential_id from audit where name = 'credential.revoked')",
        "select id from user_token_key where id not in (select substr(detail, 1, 36) from audit where name = 'user_token_key.created')",
        "select id from api_key where id not in (select key_id from audit where name = 'key.created')",
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
            + string.Join(", ", Rows.Select(row => row.Kind).Distinct().Select(kind => $"{journal.Of(kind).Count} {kind}s"))
            + $"; ready again after {readyAfter.Average(t => t.TotalSeconds):0.00} s, at most {readyAfter.Max().TotalSeconds:0.00} s");
        Assert.All(Rows, row => Assert.True(journal.Of(row.Kind).Count >= cycles / 4, $"only {journal.Of(row.Kind).Count} of {row.Kind}: no load"));
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
        using var connection = database.Open().Open(Sight.All);
        foreach (var sql in Untold)
        {
            Assert.True(Ids(sql) is [], $"{when}: what is there without the other half: {sql}");
        }
        foreach (var (kind, sql) in Rows)
        {
            var present = Ids(sql).ToHashSet(StringComparer.Ordinal);
            var missing = journal.Of(kind).Where(id => !present.Contains(id)).ToList();
            Assert.True(missing.Count == 0, $"{when}: {missing.Count} of {kind} are missing for: {sql}");
        }

        List<string> Ids(string sql)
        {
            using var command = Database.Command(connection, sql);
            using var reader = command.ExecuteReader();
            var ids = new List<string>();
            while (reader.Read())
            {
                ids.Add(reader.GetString(0));
            }
            return ids;
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
