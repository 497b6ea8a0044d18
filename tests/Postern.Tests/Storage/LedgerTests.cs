using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Credentials;
using Postern.Core.Sessions;
using Postern.Server.Storage;
using Postern.Tests.Credentials;

namespace Postern.Tests.Storage;

/// <summary>What every ledger promises, on both databases.</summary>
public sealed class LedgerTests
{
    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "B4")]
    public async Task Open_SingleUse_SecondTimeIsRefusedOnEveryNode(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var one = await Node.StartAsync(database, "node-1");
        await using var two = new Node(database.OpenMigrated(), "node-2");

        Assert.True(await one.OpenAsync(Node.Session("c1", 1)));
        Assert.False(await one.OpenAsync(Node.Session("c1", 1)));
        Assert.False(await two.OpenAsync(Node.Session("c1", 1)));
        Assert.True(await two.OpenAsync(Node.Session("c2", 1)));

        // Refused: nothing was written, no session, no event.
        Assert.Equal(2, one.Scalar<long>("select count(*) from session"));
        Assert.Equal(2, one.Scalar<long>("select count(*) from audit where name = $1", AuditNames.SessionStarted));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Issue_FixedValues_AreTheSameOnEveryNode(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var one = await Node.StartAsync(database, "node-1");
        await using var two = new Node(database.OpenMigrated(), "node-2");
        var said = new string[] { "gold", new('g', 5000) };
        foreach (var text in said)
        {
            var credential = Forge.Issue();
            var values = new FixedValues(new Dictionary<string, JsonElement> { ["plan"] = JsonSerializer.SerializeToElement(text) }, FixedValues.None.Fields);
            await one.Ledger.IssueAsync(credential, "key_1", null, values, new AuditEvent(one.Clock.GetUtcNow(), AuditNames.CredentialMinted) { Credential = credential.Id.Value });

            Assert.Equal(text, (await one.Ledger.ReadFixedAsync(credential.Id)).Variables["plan"].GetString());
            Assert.Equal(text, (await two.Ledger.ReadFixedAsync(credential.Id)).Variables["plan"].GetString());
            Assert.True((await one.Ledger.ReadFixedAsync(Forge.Issue().Id)).IsEmpty);
        }
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "B5")]
    public async Task Open_Race_HasExactlyOneWinnerForEachCredential(Engine engine)
    {
        const int Credentials = 100, Racers = 16;
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var one = await Node.StartAsync(database, "node-1");
        await using var two = new Node(database.OpenMigrated(), "node-2");

        var wins = await Task.WhenAll(Enumerable.Range(0, Credentials * Racers).Select(i => Task.Run(async () =>
            await (i % 2 == 0 ? one : two).OpenAsync(Node.Session($"c{i * 37 % Credentials}", 1)) ? $"c{i * 37 % Credentials}" : null)));

        var winners = wins.OfType<string>().ToList();
        Assert.Equal(Credentials, winners.Count);
        Assert.Equal(Credentials, winners.Distinct().Count());
        Assert.Equal(Credentials, one.Scalar<long>("select count(*) from session"));
        Assert.Equal(Credentials, one.Scalar<long>("select count(distinct credential_id) from session"));
        Assert.Equal(Credentials, one.Scalar<long>("select count(*) from audit where name = $1", AuditNames.SessionStarted));
        Assert.Equal(Credentials, one.Scalar<long>("select sum(uses) from redemption"));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "B5")]
    public async Task Open_UsesOfThree_OpensExactlyThree(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var one = await Node.StartAsync(database, "node-1");
        await using var two = new Node(database.OpenMigrated(), "node-2");

        var opened = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => Task.Run(() => (i % 2 == 0 ? one : two).OpenAsync(Node.Session("c", 3)))));

        Assert.Equal(3, opened.Count(won => won));
        Assert.Equal(3, one.Scalar<long>("select uses from redemption where credential_id = 'c'"));
        Assert.Equal(3, one.Scalar<long>("select count(*) from session"));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "E5")]
    public async Task Open_AgentWithLimits_NeverMoreOnAnyNode(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var one = await Node.StartAsync(database, "node-1");
        await using var two = new Node(database.OpenMigrated(), "node-2");
        var limits = new AgentLimits(TimeSpan.FromMinutes(10), AtOnce: 4, Daily: 7);
        async Task<List<Session>> RaceAsync(TimeSpan after) => [.. (await Task.WhenAll(Enumerable.Range(0, 60).Select(i => Task.Run(async () =>
        {
            var session = Node.Session(i % 3 == 0 ? null : $"c{i}", i % 3 == 1 ? 1 : null, Forge.Now + after);
            session = session with { Agent = session.Agent with { Limits = limits } };
            return await (i % 2 == 0 ? one : two).OpenAsync(session) ? session : null;
        })))).OfType<Session>()];

        var first = await RaceAsync(default);
        Assert.Equal(4, first.Count);
        Assert.Equal(first.Count(session => session.Terms.Uses is not null), one.Scalar<long>("select count(*) from redemption"));
        foreach (var session in first)
        {
            await two.Ledger.CloseAsync(session, new SessionEnd(SessionEndReason.ClientClosed, 1000), new AuditEvent(Forge.Now, AuditNames.SessionEnded));
        }
        Assert.Equal(3, (await RaceAsync(default)).Count);
        Assert.Equal(DenialReason.TooManySessions, await one.Ledger.OpenAsync(
            Node.Session(null, null) with { Agent = Node.Agent() with { Limits = limits with { AtOnce = 3 } } }, new AuditEvent(Forge.Now, AuditNames.SessionStarted)));

        // The next day: what nobody ended is over by its time.
        Assert.Equal(4, (await RaceAsync(TimeSpan.FromDays(1))).Count);
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "E6")]
    public async Task Open_AgentWithLimits_CountsTheSessionsOfNodesThatBeat(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var one = await Node.StartAsync(database, "node-1");
        await using var two = new Node(database.OpenMigrated(), "node-2");
        await using var first = new Heartbeat(one.Writer, "node-1", one.Clock);
        await using var second = new Heartbeat(two.Writer, "node-2", two.Clock);
        async Task<bool> OpensAsync(Node node)
        {
            var session = Node.Session(null, null);
            return await node.OpenAsync(session with { Agent = session.Agent with { Limits = new AgentLimits(TimeSpan.FromMinutes(10), AtOnce: 1) } });
        }
        async Task BeatAsync(Heartbeat heartbeat, int times)
        {
            for (var i = 0; i < times; i++) await heartbeat.BeatAsync();
        }

        Assert.True(await OpensAsync(one));
        await BeatAsync(second, 5);
        Assert.False(await OpensAsync(two)); // a node of an older version does not beat: its sessions count until their end
        await BeatAsync(first, 1);
        await BeatAsync(second, 2);
        await BeatAsync(first, 1); // slow, not dead
        await BeatAsync(second, 2);
        Assert.False(await OpensAsync(two));
        await BeatAsync(second, 1);
        Assert.False(await OpensAsync(one)); // dead to others: its own sessions count with itself
        Assert.True(await OpensAsync(two));
        await BeatAsync(first, 1); // it was slower still: now both count
        Assert.Equal(0, one.Scalar<long>("select sum(dead) from node"));
        Assert.False(await OpensAsync(two));
        Assert.False(await OpensAsync(one));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "E6")]
    public async Task Heartbeat_WhileTheDatabaseIsAway_FindsNobodyDead(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var one = await Node.StartAsync(database, "node-1");
        await using var two = new Node(database.OpenMigrated(), "node-2");
        await using var first = new Heartbeat(one.Writer, "node-1", one.Clock);
        await using var second = new Heartbeat(two.Writer, "node-2", two.Clock);
        await first.BeatAsync();
        await second.BeatAsync();
        await one.Writer.WriteAsync(transaction => transaction.Execute("alter table node rename to away"));
        for (var i = 0; i < 5; i++)
        {
            await Assert.ThrowsAsync<StorageException>(second.BeatAsync);
        }
        await one.Writer.WriteAsync(transaction => transaction.Execute("alter table away rename to node"));
        await second.BeatAsync();
        Assert.Equal(0, one.Scalar<long>("select sum(dead) from node"));
        await second.BeatAsync();
        Assert.Equal(1, one.Scalar<long>("select dead from node where name = 'node-1'"));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Open_Unlimited_SpendsNothing(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);

        Assert.True(await node.OpenAsync(Node.Session("c", null)));
        Assert.True(await node.OpenAsync(Node.Session("c", null)));
        Assert.True(await node.OpenAsync(Node.Session(null, null)));

        Assert.Equal(0, node.Scalar<long>("select count(*) from redemption"));
        Assert.Equal(3, node.Scalar<long>("select count(*) from session"));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "G1")]
    public async Task Open_ThatCannotWriteItsSession_SpendsNothingAndRecordsNothing(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        var first = Node.Session("c1", 1);
        Assert.True(await node.OpenAsync(first));

        // The same session id again: its row cannot be inserted, so the use of the other credential must come back.
        await Assert.ThrowsAsync<Server.Storage.StorageException>(() => node.OpenAsync(first with { Credential = Node.Session("c2", 1).Credential }));

        Assert.Equal(0, node.Scalar<long>("select count(*) from redemption where credential_id = 'c2'"));
        Assert.Equal(1, node.Scalar<long>("select count(*) from audit where name = $1", AuditNames.SessionStarted));
        Assert.True(await node.OpenAsync(Node.Session("c2", 1)));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Close_Session_WritesHowItEnded(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        var session = Node.Session("c1", 1);
        await node.OpenAsync(session);

        await node.Ledger.CloseAsync(session, new SessionEnd(SessionEndReason.Idle, 1002, "quiet"), Event(AuditNames.SessionEnded) with { Session = session.Id, Reason = nameof(SessionEndReason.Idle) });

        Assert.Equal(["Idle 1002 quiet"], node.Rows("select end_reason, close_code, detail from session where id = $1", r => $"{r.GetString(0)} {r.GetInt64(1)} {r.GetString(2)}", session.Id));
        Assert.Equal(1, node.Scalar<long>("select count(*) from audit where name = $1 and session_id = $2", AuditNames.SessionEnded, session.Id));
    }

    // What a client names goes into details. A character that one database cannot store must not cost the row.
    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "D6")]
    public async Task Detail_HostileText_IsStoredReadably(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        var session = Node.Session("c1", 1);
        await node.OpenAsync(session);
        var hostile = "a\0b\r\nc\ud800d" + new string('x', 100_000);

        await node.Ledger.CloseAsync(session, new SessionEnd(SessionEndReason.FirstMessageRefused, 1008, hostile), Event(AuditNames.SessionEnded) with { Session = session.Id, Detail = hostile });
        await node.Ledger.RecordAsync(Event(AuditNames.SessionRefused) with { Reason = "OriginRefused", Detail = hostile, Subject = "a\0", Address = "\0", Agent = new Core.Agents.AgentId("\0") });

        var details = node.Rows("select detail from session union all select detail from audit where detail like 'a%'", r => r.GetString(0));
        Assert.Equal(3, details.Count);
        Assert.All(details, detail =>
        {
            Assert.StartsWith("a\uFFFDb\uFFFD\uFFFDc\uFFFDdxxx", detail, StringComparison.Ordinal);
            Assert.True(detail.Length <= Server.Storage.StoredText.Longest);
        });
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Record_ManyAtOnce_AllAreThereOnce(Engine engine)
    {
        const int Events = 3000;
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);

        await Task.WhenAll(Enumerable.Range(0, Events).Select(i => Task.Run(() => node.Ledger.RecordAsync(Event(AuditNames.CredentialMinted) with { Credential = $"m{i}" }))));

        Assert.Equal(Events, node.Scalar<long>("select count(distinct credential_id) from audit where name = $1", AuditNames.CredentialMinted));
        Assert.Equal(Events, node.Scalar<long>("select sum(occurrences) from audit where name = $1", AuditNames.CredentialMinted));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Record_EveryMember_ReadsBack(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        var entry = Event(AuditNames.CredentialMinted) with
        {
            Project = new("p"),
            Agent = new("a"),
            Key = "k",
            Credential = "c",
            Session = "s",
            Subject = "ü😀",
            Detail = "d",
            Address = "::1",
        };

        await node.Ledger.RecordAsync(entry);

        Assert.Equal([$"{Forge.Now.ToUnixTimeMilliseconds()} p a k c s ü😀 d ::1 1"], node.Rows(
            "select at, project_id, agent_id, key_id, credential_id, session_id, subject, detail, address, occurrences from audit where name = $1",
            r => string.Join(' ', Enumerable.Range(0, 10).Select(i => Convert.ToString(r.GetValue(i), System.Globalization.CultureInfo.InvariantCulture))), AuditNames.CredentialMinted));
    }

    private static AuditEvent Event(string name) => new(Forge.Now, name);
}
