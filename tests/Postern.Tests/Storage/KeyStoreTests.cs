using Postern.Core.Audit;
using Postern.Core.Keys;
using Postern.Core.Projects;
using Postern.Server.Storage;

namespace Postern.Tests.Storage;

public sealed class KeyStoreTests
{
    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task ApiKey_CreatedAndRevoked_ReadsBackWithItsHashOnly(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        var text = ApiKeyText.Create();

        var key = await node.Keys.CreateApiKeyAsync(ProjectId.Default, "ci", text, Scopes.Mint | Scopes.AgentsRead);
        var read = Assert.Single(node.Keys.ReadApiKeys(key.Id));

        Assert.Equal((key.Id, "ci", text[..8], Scopes.Mint | Scopes.AgentsRead, (DateTimeOffset?)null), (read.Id, read.Name, read.Prefix, read.Scopes, read.RevokedAt));
        Assert.Equal(ApiKeyText.Hash(text), read.Hash);
        Assert.True(await node.Keys.RevokeApiKeyAsync(key.Id));
        Assert.False(await node.Keys.RevokeApiKeyAsync(key.Id));
        Assert.False(await node.Keys.RevokeApiKeyAsync("key_absent"));
        Assert.NotNull(Assert.Single(node.Keys.ReadApiKeys(key.Id)).RevokedAt);
        Assert.Equal(1, node.Scalar<long>("select count(*) from audit where name = $1 and key_id = $2", AuditNames.KeyRevoked, key.Id));
        Assert.Equal(2, node.Scalar<long>("select count(*) from change where kind = 'key' and id = $1", key.Id));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task ApiKey_TheSameTextTwice_IsRefused(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        var text = ApiKeyText.Create();
        await node.Keys.CreateApiKeyAsync(ProjectId.Default, "one", text, Scopes.Mint);

        await Assert.ThrowsAsync<StorageException>(() => node.Keys.CreateApiKeyAsync(ProjectId.Default, "two", text, Scopes.All));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "A21")]
    public async Task Rotate_SigningKey_FormerVerifiesUntilItsTime(Engine engine)
    {
        var clock = new SetClock(Credentials.Forge.Now);
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database, clock: clock);
        var first = node.Keys.ReadRing()!.Active.Id;

        var second = await node.Keys.RotateSigningKeyAsync(TimeSpan.FromHours(24));
        var ring = node.Keys.ReadRing()!;

        Assert.Equal(second, ring.Active.Id);
        Assert.Equal(SigningKeyState.Retiring, ring.Find(first)!.State);
        Assert.True(ring.Find(first)!.Verifies(clock.GetUtcNow().AddHours(23)));
        Assert.False(ring.Find(first)!.Verifies(clock.GetUtcNow().AddHours(24)));

        clock.Advance(TimeSpan.FromHours(25));
        await node.Keys.RotateSigningKeyAsync(TimeSpan.FromHours(24));
        Assert.Null(node.Keys.ReadRing()!.Find(first));
        Assert.Equal(2, node.Keys.ReadRing()!.Keys.Length);
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "A21")]
    public async Task Rotate_Again_ShortensTheTimeOfEveryFormerKeyAndLengthensNone(Engine engine)
    {
        var clock = new SetClock(Credentials.Forge.Now);
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database, clock: clock);
        var leaked = node.Keys.ReadRing()!.Active.Id;
        var second = await node.Keys.RotateSigningKeyAsync(TimeSpan.FromHours(1));

        await node.Keys.RotateSigningKeyAsync(TimeSpan.FromHours(24));
        Assert.False(node.Keys.ReadRing()!.Find(leaked)!.Verifies(clock.GetUtcNow().AddHours(1)));

        await node.Keys.RotateSigningKeyAsync(TimeSpan.Zero);
        Assert.False(node.Keys.ReadRing()!.Find(leaked)!.Verifies(clock.GetUtcNow()));
        Assert.False(node.Keys.ReadRing()!.Find(second)!.Verifies(clock.GetUtcNow()));
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "A7")]
    public async Task Rotate_OnSeveralNodesAtOnce_LeavesOneActiveKey(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var one = await Node.StartAsync(database, "node-1");
        await using var two = new Node(database.OpenMigrated(), "node-2");

        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Task.Run(() => (i % 2 == 0 ? one : two).Keys.RotateSigningKeyAsync(TimeSpan.FromHours(1)))));

        Assert.Equal(1, one.Scalar<long>("select count(*) from signing_key where state = 'active'"));
        Assert.Equal(21, one.Keys.ReadRing()!.Keys.Length);
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task FirstStart_OfSeveralNodesAtOnce_HappensOnce(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var one = new Node(database.OpenMigrated(), "node-1");
        await using var two = new Node(database.OpenMigrated(), "node-2");

        var first = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() =>
            (i % 2 == 0 ? one : two).Keys.FirstStartAsync(ProjectId.Default, ApiKeyText.Create(), static (_, _) => { }))));

        Assert.Single(first, made => made);
        Assert.Single(one.Keys.ReadApiKeys());
        Assert.Single(one.Keys.ReadRing()!.Keys);
    }

    [Theory]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Ring_UnderAnotherSecretsKey_IsRefusedByASentence(Engine engine)
    {
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        await using var other = new Node(database.OpenMigrated(), secrets: new byte[32]);

        Assert.Contains("restore the key file", Assert.Throws<StorageException>(() => other.Keys.ReadRing()).Message, StringComparison.Ordinal);
    }
}
