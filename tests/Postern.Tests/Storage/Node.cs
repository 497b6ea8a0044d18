using System.Data.Common;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Core.Sessions;
using Postern.Server;
using Postern.Server.Storage;
using Postern.Tests.Credentials;

namespace Postern.Tests.Storage;

/// <summary>The storage of one process over a database that several may share.</summary>
internal sealed class Node : IAsyncDisposable
{
    public static readonly byte[] SecretsKey = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];

    public Node(Database database, string name = "node-1", TimeProvider? clock = null, byte[]? secrets = null)
    {
        Database = database;
        Clock = clock ?? TimeProvider.System;
        Writer = new GroupedWriter(database);
        Refusals = new RefusalCount(Writer, Clock);
        var box = new SecretBox(secrets ?? SecretsKey);
        var credentials = new CredentialStore(database, box);
        Ledger = new SqlLedger(Writer, credentials, Refusals, name);
        Keys = new KeyStore(database, Writer, box, Clock);
        Agents = new AgentStore(database, Writer, box, Clock);
        UserTokenKeys = new UserTokenKeyStore(database, Writer, box, Clock);
        Feed = new DirectoryFeed(database, Agents, Keys, credentials, UserTokenKeys, new PosternOptions(), Clock);
    }

    public Database Database { get; }
    public TimeProvider Clock { get; }
    public GroupedWriter Writer { get; }
    public RefusalCount Refusals { get; }
    public SqlLedger Ledger { get; }
    public KeyStore Keys { get; }
    public AgentStore Agents { get; }
    public UserTokenKeyStore UserTokenKeys { get; }
    public DirectoryFeed Feed { get; }

    /// <summary>A node over an empty database, with its project.</summary>
    public static async Task<Node> StartAsync(TestDatabase database, string name = "node-1", TimeProvider? clock = null)
    {
        var node = new Node(database.OpenMigrated(), name, clock);
        await node.Keys.FirstStartAsync(ProjectId.Default, ApiKeyText.Create(), static (_, _) => { });
        return node;
    }

    public static Agent Agent(string id = "agent_1", bool isPrivate = true) => new(
        new AgentId(id), ProjectId.Default, "support", "elevenlabs",
        new AgentAccess(isPrivate, false, [], false, System.Collections.Frozen.FrozenSet<string>.Empty),
        new AgentLimits(TimeSpan.FromMinutes(10)), new CredentialDefaults(TimeSpan.FromMinutes(15), false),
        new Upstream.Echo(), System.Text.Json.JsonElement.Parse("{}"));

    public AgentRow Row(string id, string name = "support", string document = """{"platform_settings":{"auth":{"enable_auth":true}}}""", Upstream? upstream = null) =>
        new(new AgentId(id), ProjectId.Default, name, "elevenlabs", document, false, upstream ?? new Upstream.Echo(), Clock.GetUtcNow(), Clock.GetUtcNow());

    /// <summary>A session that spends a use of this credential; a credential of null is a public agent's.</summary>
    public static Session Session(string? credential, int? uses, DateTimeOffset? at = null)
    {
        var now = at ?? Forge.Now;
        var grant = Forge.Grant() with { Uses = uses };
        var verified = credential is null ? null : new VerifiedCredential(new CredentialId(credential), CredentialKind.SignedUrl, grant, "key-1");
        return new Session(Core.Sessions.Session.CreateId(now), Agent(), verified, new SessionTerms(now.AddMinutes(5), "user-1", uses), now);
    }

    public async Task<bool> OpenAsync(Session session) => await Ledger.OpenAsync(session, new AuditEvent(session.StartedAt, AuditNames.SessionStarted)
    {
        Project = session.Agent.Project, Agent = session.Agent.Id, Credential = session.Credential?.Id.Value, Session = session.Id,
    }) is null;

    /// <summary>The first value of a query.</summary>
    public T Scalar<T>(string sql, params object?[] values)
    {
        using var connection = Database.Open(Sight.All);
        using var command = Database.Command(connection, sql, values);
        return (T)Convert.ChangeType(command.ExecuteScalar(), Nullable.GetUnderlyingType(typeof(T)) ?? typeof(T), System.Globalization.CultureInfo.InvariantCulture)!;
    }

    public List<T> Rows<T>(string sql, Func<DbDataReader, T> row, params object?[] values)
    {
        using var connection = Database.Open(Sight.All);
        using var command = Database.Command(connection, sql, values);
        using var reader = command.ExecuteReader();
        var rows = new List<T>();
        while (reader.Read())
        {
            rows.Add(row(reader));
        }
        return rows;
    }

    public async ValueTask DisposeAsync()
    {
        await Feed.DisposeAsync();
        Refusals.Dispose();
        await Writer.DisposeAsync();
    }
}
