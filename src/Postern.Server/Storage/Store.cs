using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>The storage of one process: database, writer and what stands on them. The server has one, and so has each command.</summary>
internal sealed class Store : IAsyncDisposable
{
    /// <summary>The demo agent of the first start.</summary>
    public static readonly AgentId DemoAgent = new("agent_echo");

    private const string DemoDocument =
        """{"name":"echo","tags":["demo"],"conversation_config":{"agent":{"first_message":"Hello! I am the echo agent: whatever you say, I say back.","language":"en"},"conversation":{"max_duration_seconds":600}},"platform_settings":{"auth":{"enable_auth":true}}}""";

    private readonly TimeProvider clock;

    private Store(PosternOptions options, TimeProvider clock)
    {
        this.clock = clock;
        Database = Open(options);
        Migrated = Database.Migrate(clock.GetUtcNow());
        var secrets = Secrets(options);
        Writer = new GroupedWriter(Database);
        Refusals = new RefusalCount(Writer, clock);
        Cursors = new Cursors(secrets.KeyFor("list cursors"));
        Agents = new AgentStore(Database, Writer, secrets, clock);
        Keys = new KeyStore(Database, Writer, secrets, clock);
        Credentials = new CredentialStore(Database, secrets);
        Rooms = new RoomStore(Database, Writer, clock);
        UserTokenKeys = new UserTokenKeyStore(Database, Writer, secrets, clock);
        UserTokenUse = new UserTokenUse(UserTokenKeys, clock);
        ConversationMove.Run(Database, secrets);
        Conversations = new ConversationStore(Database, Writer, secrets);
        Votes = new VoteStore(Database, Writer, secrets, Conversations);
        Memory = new MemoryStore(Database, Writer, secrets, options.Memory);
        UserData = new UserData(Database, Writer);
        Sweep = new ConversationSweep(Database, Writer);
        Domains = new DomainStore(Database, Writer, clock);
        Speakers = new SpeakerStore(Database, Writer, clock);
        TryCodes = new TryCodes(Database, Writer, clock);
        Feed = new DirectoryFeed(Database, Agents, Keys, Credentials, UserTokenKeys, options, clock);
    }

    public Database Database { get; }
    public GroupedWriter Writer { get; }
    public RefusalCount Refusals { get; }
    public Cursors Cursors { get; }
    public AgentStore Agents { get; }
    public KeyStore Keys { get; }
    public CredentialStore Credentials { get; }
    public UserTokenKeyStore UserTokenKeys { get; }
    public UserTokenUse UserTokenUse { get; }
    public RoomStore Rooms { get; }
    public ConversationStore Conversations { get; }
    public VoteStore Votes { get; }
    public MemoryStore Memory { get; }
    public UserData UserData { get; }
    public ConversationSweep Sweep { get; }
    public DomainStore Domains { get; }
    public SpeakerStore Speakers { get; }
    public TryCodes TryCodes { get; }
    public DirectoryFeed Feed { get; }

    /// <summary>How many migrations opening it applied.</summary>
    public int Migrated { get; }

    /// <summary>Opens the database that the options name and brings its schema up to date.</summary>
    /// <exception cref="StorageException">It cannot be opened, or a newer version wrote it.</exception>
    public static Store Open(PosternOptions options, TimeProvider clock) => new(options, clock);

    /// <summary>
    /// At the first start, creates the default project, a key with all scopes and the demo agent: then the key's text, which is not to
    /// be had again. Null at every later start.
    /// </summary>
    public async Task<string?> FirstStartAsync(PosternOptions options, string? wantedKey)
    {
        var text = wantedKey ?? ApiKeyText.Create();
        var now = clock.GetUtcNow();
        var demo = new AgentRow(DemoAgent, ProjectId.Default, "echo", options.Agents.DefaultDialect, DemoDocument, false, new Upstream.Echo(), now, now);
        return await Keys.FirstStartAsync(ProjectId.Default, text, (transaction, key) => Agents.Insert(transaction, demo, key.Id)) ? text : null;
    }

    /// <summary>Ends the sessions that a killed process of this node has left open; returns how many.</summary>
    public Task<int> EndLostSessionsAsync(string node) => Writer.WriteAsync(transaction => EndLostSessions(transaction, "node = $2", node));

    /// <summary>
    /// Ends the sessions of nodes that were found dead and have not come back, of those whose time is over: no process holds one longer.
    /// Forgets the nodes that have none left; returns how many sessions.
    /// </summary>
    public Task<int> EndAbandonedSessionsAsync() => Writer.WriteAsync(transaction =>
    {
        var lost = EndLostSessions(transaction, "node in (select name from node where dead = 1) and end_by < $2", clock.GetUtcNow().ToUnixTimeMilliseconds());
        transaction.Execute("delete from node where dead = 1 and name not in (select node from session where ended_at is null)");
        return lost;
    });

    private int EndLostSessions(WriteTransaction transaction, string which, object value)
    {
        var now = clock.GetUtcNow();
        var lost = 0;
        while (transaction.Read(
            $"""
            update session set ended_at = $1, end_reason = 'Lost', close_code = 1006, detail = 'the server was killed'
            where id = (select id from session where {which} and ended_at is null limit 1) returning id, project_id, agent_id, credential_id, subject
            """, row => new AuditEvent(now, AuditNames.SessionEnded)
            {
                Session = row.GetString(0), Project = new ProjectId(row.GetString(1)), Agent = new AgentId(row.GetString(2)),
                Credential = row.Text(3), Subject = row.Text(4), Reason = "Lost", Detail = "the server was killed",
            }, now.ToUnixTimeMilliseconds(), value) is { } entry)
        {
            ConversationStore.EndLost(transaction, entry.Session!, now);
            transaction.Audit(entry);
            lost++;
        }
        return lost;
    }

    public async ValueTask DisposeAsync()
    {
        await Feed.DisposeAsync();
        await Refusals.FlushAsync();
        await UserTokenUse.FlushAsync();
        UserTokenUse.Dispose();
        Refusals.Dispose();
        await Writer.DisposeAsync();
        await Database.DisposeAsync();
    }

    /// <summary>The embedded database's file; null when it is PostgreSQL.</summary>
    public static string? FileOf(PosternOptions options)
    {
        const string FileWord = "Data Source=";
        return options.Database.Length == 0 ? Path.Combine(options.Data, "postern.db")
            : options.Database.StartsWith(FileWord, StringComparison.OrdinalIgnoreCase) ? options.Database[FileWord.Length..].Trim().TrimEnd(';')
            : null;
    }

    private static Database Open(PosternOptions options) => FileOf(options) is { } file ? Database.Sqlite(file) : Database.Postgres(options.Database);

    private static SecretBox Secrets(PosternOptions options)
    {
        var text = options.Secrets.Key;
        if (text.Length == 0 || File.Exists(text))
        {
            return SecretBox.FromFile(text.Length == 0 ? Path.Combine(options.Data, "secrets.key") : text);
        }
        if (text.Length == 2 * SecretBox.KeyLength && text.All(char.IsAsciiHexDigit))
        {
            return new SecretBox(Convert.FromHexString(text));
        }
        var bytes = new byte[SecretBox.KeyLength + 2];
        var plain = text.TrimEnd('=').Replace('+', '-').Replace('/', '_');
        return Core.Credentials.Base64Text.TryDecode(System.Text.Encoding.ASCII.GetBytes(plain), bytes, out var length) && length == SecretBox.KeyLength
            ? new SecretBox(bytes[..length])
            : SecretBox.FromFile(text);
    }
}
