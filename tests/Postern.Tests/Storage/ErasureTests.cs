using System.Text;
using System.Text.Json;
using Postern.Core.Audit;
using Postern.Core.Conversations;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Server;
using Postern.Server.Storage;
using Postern.Tests.Credentials;

namespace Postern.Tests.Storage;

/// <summary>What can be found in the files of the database themselves: nothing that was said, and after it was erased not even its cipher text.</summary>
public sealed class ErasureTests
{
    private const string Canary = "canary-of-a-text-that-nobody-else-writes";
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);

    private static Owner Owner(string subject) => new(ProjectId.Default, Store.DemoAgent, subject);

    [Theory]
    [Trait("attack", "F13")]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Texts_AreInNoFileOfTheDatabase_NeitherBeforeNorAfterTheyAreErased(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        var folder = System.IO.Directory.CreateTempSubdirectory("postern-erase-").FullName;
        try
        {
            await using var store = Store.Open(new PosternOptions { Data = folder, Database = database.ConnectionString }, TimeProvider.System);
            await store.FirstStartAsync(new PosternOptions { Data = folder }, null);
            var files = engine == Engine.Sqlite
                ? Path.GetDirectoryName(store.Database.Query("pragma database_list", static reader => reader.GetString(2))[0])!
                : (string)(await database.AdminAsync("show data_directory"))!;
            Assert.SkipUnless(System.IO.Directory.Exists(files), "The database's files are on another machine.");

            await SayAsync(store, "ann", Canary);
            await SayAsync(store, "bob", "Bob's words stay");
            var credential = Forge.Issue();
            var ledger = new SqlLedger(store.Writer, store.Credentials, store.Refusals, "node");
            var kept = new FixedValues(new Dictionary<string, JsonElement> { ["said"] = JsonSerializer.SerializeToElement(Canary) }, FixedValues.None.Fields);
            await ledger.IssueAsync(credential, "key_1", null, kept, new AuditEvent(Now, AuditNames.CredentialMinted) { Credential = credential.Id.Value });
            Assert.Equal(Canary, (await ledger.ReadFixedAsync(credential.Id)).Variables["said"].GetString());
            if (engine == Engine.Postgres)
            {
                await database.AdminAsync("checkpoint"); // its log may cut a text in two, its tables do not
            }
            // The search itself must work: what is not sealed is found.
            Assert.True(Found(files, "conversation-of-ann"));
            Assert.False(Found(files, Canary));
            Assert.False(Found(files, Convert.ToBase64String(Encoding.UTF8.GetBytes(Canary))[..40]));
            var cipher = Ciphers(store);
            Assert.All(cipher, text => Assert.True(Found(files, text)));

            await store.UserData.EraseAsync(ProjectId.Default, "ann", [], "key_1", Now);

            Assert.False(Found(files, Canary));
            if (engine == Engine.Sqlite)
            {
                Assert.All(cipher, text => Assert.False(Found(files, text)));
            }
            Assert.All(store.Conversations.ReadAll(ProjectId.Default, "ann"), row => Assert.Empty(store.Conversations.ReadMessages(row)));
            Assert.Empty(store.Memory.ReadAll(ProjectId.Default, "ann"));
            Assert.Equal("Bob's words stay", store.Memory.ReadAll(ProjectId.Default, "bob")[0].Content.Text);
            Assert.Equal("1 messages, 1 memories", store.Database.Query("select detail from audit where name = 'user_data.erased' and subject = 'ann'", static reader => reader.GetString(0))[0]);
        }
        finally
        {
            System.IO.Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Text_PutIntoAnotherRow_DoesNotOpen()
    {
        await using var database = await TestDatabase.CreateAsync(Engine.Sqlite);
        var folder = System.IO.Directory.CreateTempSubdirectory("postern-erase-").FullName;
        try
        {
            await using var store = Store.Open(new PosternOptions { Data = folder, Database = database.ConnectionString }, TimeProvider.System);
            await SayAsync(store, "ann", Canary);
            await SayAsync(store, "bob", "Bob's");
            await store.Writer.WriteAsync(transaction => transaction.Execute(
                "update message set sealed = (select m.sealed from message m join conversation c on c.seq = m.conversation where c.subject = 'ann') where conversation = (select seq from conversation where subject = 'bob')"));
            var row = store.Conversations.ReadAll(ProjectId.Default, "bob")[0];
            var refused = Assert.Throws<StorageException>(() => store.Conversations.ReadMessages(row));
            Assert.DoesNotContain(Canary, refused.ToString(), StringComparison.Ordinal);
        }
        finally
        {
            System.IO.Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task SayAsync(Store store, string subject, string text)
    {
        await store.Conversations.AppendAsync(Owner(subject), $"conversation-of-{subject}", [Message.Of("alg_msg_1", TurnRole.User, text, Now) with { FromAgent = true }], Now);
        await store.Votes.PutAsync(ProjectId.Default, Store.DemoAgent, subject, "alg_msg_1", 1, new VoteText([text], text), Now);
        await store.Memory.AddAsync(Owner(subject), MemoryDraft.Of(text), Now);
    }

    private static List<byte[]> Ciphers(Store store) =>
    [
        .. new[]
        {
            "select sealed from message where conversation = (select seq from conversation where subject = 'ann')", "select title from conversation where subject = 'ann'",
            "select sealed from vote where conversation = (select seq from conversation where subject = 'ann')", "select sealed from memory where subject = 'ann'",
        }.Select(sql => ((byte[])store.Database.Query(Sight.All, sql, static reader => reader.GetValue(0))[0])[..40]),
    ];

    private static bool Found(string folder, string text) => Found(folder, Encoding.UTF8.GetBytes(text));

    private static bool Found(string folder, byte[] text) => System.IO.Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Any(file =>
    {
        try
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var bytes = new byte[stream.Length];
            return stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) is var read && bytes.AsSpan(0, read).IndexOf(text) >= 0;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return false; // PostgreSQL has removed it meanwhile
        }
    });
}
