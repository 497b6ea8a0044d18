using Postern.Core.Agents;
using Postern.Core.Conversations;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Dialects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Tests.Storage;

/// <summary>What every database keeps of conversations; one suite, run on each.</summary>
public abstract class ConversationStoreTests(Engine engine) : IAsyncLifetime
{
    private static readonly DateTimeOffset Start = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);
    private static readonly SessionEnd Orderly = new(SessionEndReason.ClientClosed, 1000);

    private TestDatabase files = null!;
    private Database database = null!;
    private GroupedWriter writer = null!;

    internal ConversationStore Store { get; private set; } = null!;

    private static ProjectId Project => ProjectId.Default;

    public async ValueTask InitializeAsync()
    {
        files = await TestDatabase.CreateAsync(engine);
        database = files.OpenMigrated();
        writer = new GroupedWriter(database);
        Store = new ConversationStore(database, writer, new SecretBox(Node.SecretsKey));
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (files is not null)
        {
            await writer.DisposeAsync();
            await files.DisposeAsync();
        }
    }

    [Fact]
    public async Task Conversation_ThatEnded_ReadsAsItWas()
    {
        var session = Session("agent_a", Start, subject: "ann");
        var recorder = new ConversationRecorder(Store, session, TimeProvider.System);
        recorder.Begin(Opening.None with { Raw = """{"type":"x","user_id":"bob"}""", ClaimedSubject = "bob" }, textOnly: true);
        await recorder.AddAsync(TurnRole.Agent, "Hello");
        await recorder.AddAsync(TurnRole.User, "nul \0 and ☃ 𝄞");
        recorder.Feedback(1, true);
        recorder.Feedback(2, false);
        recorder.Feedback(2, null);
        recorder.Feedback(3, false);
        await recorder.EndAsync(new SessionEnd(SessionEndReason.MaxDuration, 1000, "it was long"));

        var row = Store.Read(Sight.All, session.Id)!;
        Assert.Equal((Project, "agent_a", "ann", "bob", "ann", "signed_url"), (row.Owner.Project, row.Owner.Agent.Value, row.Subject, row.ClaimedSubject, row.User, row.AuthorizationMethod));
        Assert.Equal(("MaxDuration", 1000, "it was long", true, 2), (row.EndReason, row.CloseCode, row.Detail, row.TextOnly, row.MessageCount));
        Assert.Equal((1, 1), (row.Likes, row.Dislikes));
        Assert.Equal("""{"type":"x","user_id":"bob"}""", row.Initiation);
        Assert.Equal((Start, true), (row.StartedAt, row.EndedAt is not null));
        Assert.Equal(["0 Agent Hello", "1 User nul \ufffd and ☃ 𝄞"], Turns(session.Id).Select(t => $"{t.Position} {t.Role} {t.Message}"));
    }

    [Theory]
    [InlineData(CredentialKind.SignedUrl, "key-1", "signed_url")]
    [InlineData(CredentialKind.ConversationToken, "key-1", "livekit_token")]
    [InlineData(CredentialKind.ClientSecret, "key-1", "authorization_header")]
    [InlineData(CredentialKind.SignedUrl, "key_1", "authorization_header")]
    public async Task Method_IsTheVendorsWordForWhatOpenedIt(CredentialKind kind, string key, string word)
    {
        var session = Session("agent_w", Start);
        session = session with { Credential = session.Credential! with { Kind = kind, KeyId = key } };
        var recorder = new ConversationRecorder(Store, session, TimeProvider.System);
        recorder.Begin(Opening.None, textOnly: true);
        await recorder.EndAsync(Orderly);
        Assert.Equal(word, Store.Read(Sight.All, session.Id)!.AuthorizationMethod);
    }

    [Fact]
    public async Task Turns_OfManyAtOnce_AreAllThereInOrder()
    {
        var ids = await Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
        {
            var session = Session("agent_many", Start.AddSeconds(i));
            var recorder = new ConversationRecorder(Store, session, TimeProvider.System);
            recorder.Begin(Opening.None, textOnly: false);
            for (var turn = 0; turn < 100; turn++)
            {
                await recorder.AddAsync(turn % 2 == 0 ? TurnRole.User : TurnRole.Agent, $"{turn}");
                if (turn % 10 == 0)
                {
                    await Task.Yield();
                }
            }
            await recorder.EndAsync(Orderly);
            return session.Id;
        }));
        Assert.All(ids, id => Assert.Equal(Enumerable.Range(0, 100).Select(n => $"{n}"), Turns(id).Select(t => t.Message)));
        Assert.All(ids, id => Assert.Equal(100, Store.Read(Sight.All, id)!.MessageCount));
    }

    [Fact]
    public async Task Change_WrittenTwice_IsThereOnce()
    {
        var session = Session("agent_twice", Start);
        var change = Change(session, new ConversationStart(session, "public", null, "", false), [new Turn(0, TurnRole.User, "a", Start)]) with { End = (Orderly, Start, 0, 0) };
        await Store.WriteAsync(change);
        await Store.WriteAsync(change);
        Assert.Single(Turns(session.Id));
        Assert.Equal(1, Store.Read(Sight.All, session.Id)!.MessageCount);
    }

    [Fact]
    public async Task Deleted_IsGoneWithItsTurns_AndStaysGone()
    {
        var session = Session("agent_deleted", Start);
        var recorder = new ConversationRecorder(Store, session, TimeProvider.System);
        recorder.Begin(Opening.None, textOnly: false);
        await recorder.AddAsync(TurnRole.User, "canary");
        await UntilAsync(() => Turns(session.Id).Count == 1);
        var row = Store.Read(Sight.All, session.Id)!;
        Assert.True(await Store.DeleteAsync(row, "key_1", Start));
        Assert.False(await Store.DeleteAsync(row, "key_1", Start));
        await recorder.AddAsync(TurnRole.User, "more");
        await recorder.EndAsync(Orderly);
        Assert.Null(Store.Read(Sight.All, session.Id));
        Assert.Empty(Turns(session.Id));
        Assert.Equal(1L, Count("select count(*) from audit where name = 'conversation.deleted' and session_id = $1 and key_id = 'key_1' and agent_id = 'agent_deleted'", session.Id));
    }

    [Fact]
    public async Task List_Filters_NarrowTogether()
    {
        var ann = await HeldAsync("agent_l", Start, "ann", seconds: 10, said: "about 100% apples");
        var bob = await HeldAsync("agent_l", Start.AddMinutes(1), "bob", seconds: 100, said: "about pears_");
        var other = await HeldAsync("agent_m", Start.AddMinutes(2), "ann", seconds: 30, said: "Nothing", end: new SessionEnd(SessionEndReason.RateExceeded, 1008));
        var open = Session("agent_l", Start.AddMinutes(3));
        await Store.WriteAsync(Change(open, new ConversationStart(open, "public", null, "", true), []));

        var all = new ConversationQuery(Project, Start.AddMinutes(4), 50);
        AssertList([open.Id, other, bob, ann], all);
        AssertList([ann, bob, other, open.Id], all with { Ascending = true });
        AssertList([open.Id, bob, ann], all with { Agent = "agent_l" });
        AssertList([other, ann], all with { User = "ann" });
        AssertList([ann], all with { User = "ann", Agent = "agent_l" });
        AssertList([bob, ann], all with { StartedBeforeSeconds = Start.AddMinutes(2).ToUnixTimeSeconds() });
        AssertList([open.Id, other], all with { StartedAfterSeconds = Start.AddMinutes(1).ToUnixTimeSeconds() });
        AssertList([open.Id, bob], all with { ShortestSeconds = 60 });
        AssertList([other, ann], all with { LongestSeconds = 30 });
        AssertList([open.Id], all with { TextOnly = true });
        AssertList([open.Id], all with { States = [ConversationState.InProgress] });
        AssertList([other], all with { States = [ConversationState.Failed] });
        AssertList([bob, ann], all with { States = [ConversationState.Done] });
        AssertList([], all with { States = [] });
        AssertList([ann], all with { Search = "100% APPLES" });
        AssertList([bob], all with { Search = "pears_" });
        AssertList([], all with { Search = "about_pears" });
        AssertList([], all with { Search = "'; drop table turn; --" });
        AssertList([], all with { StartedBeforeSeconds = long.MinValue, LongestSeconds = long.MaxValue });
        AssertList([], all with { Project = new ProjectId("another") });
        Assert.True(await Store.RateAsync(ann, new ConversationFeedback(null, 4, "fine")));
        Assert.True(await Store.RateAsync(ann, new ConversationFeedback("like", null, null)));
        Assert.False(await Store.RateAsync("conv_none", new ConversationFeedback("like", null, null)));
        AssertList([ann], all with { LeastRating = 3, BestRating = 4, HasComment = true });
        AssertList([open.Id, other, bob], all with { HasComment = false });
        Assert.Equal(("like", 4, "fine"), (Store.Read(Sight.All, ann)!.Feedback, Store.Read(Sight.All, ann)!.Rating, Store.Read(Sight.All, ann)!.Comment));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task List_PageByPage_LeavesNothingOutAndRepeatsNothing(bool ascending)
    {
        var ids = new List<string>();
        for (var i = 0; i < 25; i++)
        {
            ids.Add(await HeldAsync("agent_p", Start.AddSeconds(i / 4), "ann", 1, "x")); // several share their time
        }
        var seen = new List<string>();
        (long, string)? after = null;
        while (true)
        {
            (var page, after) = Store.List(new ConversationQuery(Project, Start, 4) { Ascending = ascending, After = after });
            seen.AddRange(page.Select(row => row.Id));
            if (after is null)
            {
                break;
            }
        }
        Assert.Equal(ids.Order(StringComparer.Ordinal), seen.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Users_AreCountedByWhomTheCredentialNamed()
    {
        await HeldAsync("agent_u", Start, "ann", 1, "x");
        await HeldAsync("agent_v", Start.AddMinutes(1), "ann", 1, "x");
        var last = await HeldAsync("agent_u", Start.AddMinutes(2), "ann", 1, "x");
        await HeldAsync("agent_u", Start, "bob", 1, "x");
        await HeldAsync("agent_u", Start, null, 1, "x");
        await HeldAsync("agent_u", Start.AddMinutes(3), null, 1, "x", claimed: "ann");
        Assert.Equal(["ann 3 True", "ann 1 False", "bob 1 True"], Store.ListUsers(Project, "", ("", true), 10).Select(user => $"{user.Id} {user.Conversations} {user.IsBound}"));
        Assert.Equal(["ann False"], Store.ListUsers(Project, "", ("ann", true), 1).Select(user => $"{user.Id} {user.IsBound}"));
        var users = Store.ListUsers(Project, "", ("", true), 10);
        Assert.Equal((Start, Start.AddMinutes(2), last, "agent_u"), (users[0].First, users[0].Last, users[0].LastConversation, users[0].LastAgent.Value));
        Assert.Equal(["bob"], Store.ListUsers(Project, "", ("ann", false), 10).Select(user => user.Id));
        Assert.Equal(["bob"], Store.ListUsers(Project, "OB", ("", true), 10).Select(user => user.Id));
        Assert.Empty(Store.ListUsers(new ProjectId("another"), "", ("", true), 10));
    }

    [Fact]
    public async Task LostConversation_IsEnded()
    {
        var session = Session("agent_lost", Start);
        await Store.WriteAsync(Change(session, new ConversationStart(session, "public", null, "", false), []));
        await writer.WriteAsync(transaction => ConversationStore.EndLost(transaction, session.Id, Start.AddMinutes(1)));
        Assert.Equal(("Lost", 1006), (Store.Read(Sight.All, session.Id)!.EndReason, Store.Read(Sight.All, session.Id)!.CloseCode));
    }

    private List<Turn> Turns(string id) => Store.Read(Sight.All, id) is { } row ? Store.ReadTurns(row) : [];

    private static ConversationChange Change(Session session, ConversationStart? start, IReadOnlyList<Turn> turns) =>
        new(new Owner(session.Agent.Project, session.Agent.Id, session.Terms.Subject ?? ""), session.Id, start, turns);

    private void AssertList(string[] ids, ConversationQuery query) => Assert.Equal(ids, Store.List(query).Rows.Select(row => row.Id));

    private async Task<string> HeldAsync(string agent, DateTimeOffset at, string? user, int seconds, string said, SessionEnd? end = null, string? claimed = null)
    {
        var session = Session(agent, at, user);
        await Store.WriteAsync(Change(session, new ConversationStart(session, "signed_url", claimed, "", false), [new Turn(0, TurnRole.User, said, at)]) with
        {
            End = (end ?? Orderly, at.AddSeconds(seconds), 0, 0),
        });
        return session.Id;
    }

    private static Session Session(string agent, DateTimeOffset at, string? subject = null)
    {
        var row = new AgentRow(new AgentId(agent), Project, "t", "elevenlabs", "{}", false, new Core.Agents.Upstream.Echo(), at, at);
        var credential = new VerifiedCredential(CredentialId.Create(at), CredentialKind.SignedUrl, new Grant(Project, row.Id, subject, at, null, null, [], null), "k");
        return new Session(Postern.Core.Sessions.Session.CreateId(at), AgentDocument.Read(row, new Postern.Server.PosternOptions()), credential, new SessionTerms(at.AddMinutes(1), subject, null), at);
    }

    private long Count(string sql, string value)
    {
        using var connection = database.Open();
        using var command = Database.Command(connection, sql, value);
        return Convert.ToInt64(command.ExecuteScalar(), System.Globalization.CultureInfo.InvariantCulture);
    }

    private static async Task UntilAsync(Func<bool> happened)
    {
        for (var attempt = 0; !happened(); attempt++)
        {
            Assert.True(attempt < 200, "it has not happened");
            await Task.Delay(25, TestContext.Current.CancellationToken);
        }
    }
}

public sealed class SqliteConversationStoreTests() : ConversationStoreTests(Engine.Sqlite);

public sealed class PostgresConversationStoreTests() : ConversationStoreTests(Engine.Postgres);
