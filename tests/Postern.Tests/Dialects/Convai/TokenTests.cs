using Microsoft.Data.Sqlite;
using Postern.Core;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Tests.Credentials;
using Postern.Tests.Storage;

namespace Postern.Tests.Dialects.Convai;

/// <summary>How long a personal access token lives, and what ends it.</summary>
public class TokenTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Token_InEverySlot_Opens()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        var token = await client.TokenAsync();

        foreach (var slot in new[] { "CONVAI-API-KEY", "convai-api-key", "X-API-KEY", "x-api-key", "API-AUTH-TOKEN", "Api-Auth-Token" })
        {
            Assert.Equal(200, await client.SayAsync(token, slot));
        }
    }

    [Fact]
    public async Task Token_AfterItsHour_IsRefusedAndNeverRevives()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        var token = await client.TokenAsync();

        postern.Clock.Advance(TimeSpan.FromMinutes(59));
        Assert.Equal(200, await client.SayAsync(token));
        postern.Clock.Advance(TimeSpan.FromMinutes(2));

        Assert.Equal(401, await client.SayAsync(token));
        var (status, body) = await client.ChangeAsync("extend", token);
        Assert.Equal((410, "Token expired."), (status, body.GetProperty("ERROR").GetString()));
        Assert.Equal(401, await client.SayAsync(token));
        Assert.Equal(200, (await client.ChangeAsync("revoke", token)).Status);
        Assert.Equal("Token revoked.", (await client.ChangeAsync("extend", token)).Body.GetProperty("ERROR").GetString());
    }

    [Fact]
    [Trait("attack", "B11")]
    public async Task Token_ExtendedForEver_EndsAtItsLongestAge()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        var token = await client.TokenAsync();
        var minted = postern.Clock.GetUtcNow();
        var last = DateTimeOffset.MinValue;

        for (var i = 0; i < 35; i++)
        {
            postern.Clock.Advance(TimeSpan.FromMinutes(41));
            var (status, body) = await client.ChangeAsync("extend", token);
            if (status == 410)
            {
                break;
            }
            var until = body.GetProperty("expirationTime").GetDateTimeOffset();
            Assert.True(until >= last && until <= minted.AddHours(24));
            last = until;
        }

        Assert.True(last > minted.AddHours(24).AddMinutes(-1));
        postern.Clock.Advance(TimeSpan.FromMinutes(41));
        Assert.Equal(410, (await client.ChangeAsync("extend", token)).Status);
        Assert.Equal(401, await client.SayAsync(token));
    }

    [Fact]
    public async Task Tokens_OfOneKey_LiveBesideEachOther()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        var tokens = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => client.TokenAsync()));

        Assert.Equal(20, tokens.Distinct().Count());
        await client.ChangeAsync("revoke", tokens[3]);

        for (var i = 0; i < tokens.Length; i++)
        {
            Assert.Equal(i == 3 ? 401 : 200, await client.SayAsync(tokens[i]));
        }
    }

    [Fact]
    public async Task Token_InTheDatabase_IsAHashAlone()
    {
        await using var postern = await TestPostern.StartAsync();
        using var client = new ConvaiClient(postern);
        var token = await client.TokenAsync(new { end_user_id = "ann" });
        Assert.Equal(200, await client.SayAsync(token));

        SqliteConnection.ClearAllPools();
        var stored = string.Concat(System.IO.Directory.GetFiles(postern.Folder, "postern.db*").Select(ReadShared));

        Assert.DoesNotContain(token, stored, StringComparison.Ordinal);
        Assert.DoesNotContain(token[4..], stored, StringComparison.Ordinal);
        Assert.Contains("ann", stored, StringComparison.Ordinal);
    }

    // One pair after the other would never race: both are sent at once, many pairs at a time.
    [Theory(Timeout = 240_000)]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    [Trait("attack", "B12")]
    public async Task RevokeAndExtend_TenThousandPairsAtOnce_RevokeWins(Engine engine)
    {
        const int Pairs = 10_000;
        await using var database = await TestDatabase.CreateAsync(engine);
        await using var node = await Node.StartAsync(database);
        await using var other = new Node(database.Open(), "node-2");
        var key = ApiKeyText.Create();
        await node.Keys.CreateApiKeyAsync(ProjectId.Default, "racer", key, Scopes.All);
        CredentialMint[] mints = [Mint(node), Mint(other)];
        var outcomes = new System.Collections.Concurrent.ConcurrentBag<string>();

        await Parallel.ForEachAsync(Enumerable.Range(0, Pairs), new ParallelOptions { MaxDegreeOfParallelism = 64, CancellationToken = Cancel }, async (i, _) =>
        {
            var minted = await mints[i % 2].MintAsync(new MintRequest(key, null, CredentialKind.PersonalAccessToken, null));
            Assert.False(minted.IsDenied(out var denial, out var credential), denial?.Reason.ToString());
            var text = credential!.Text.Value;
            var extend = Task.Run(() => mints[(i + 1) % 2].ExtendAsync(key, mints[0].ByText(text), null));
            var revoke = Task.Run(() => mints[i % 2].RevokeAsync(key, mints[0].ByText(text), null));
            outcomes.Add((await extend).IsDenied(out denial, out var extended) ? denial.Reason.ToString() : "extended");
            Assert.False((await revoke).IsDenied(out denial, out var revoked), denial?.Reason.ToString());
            Assert.NotNull(revoked);
            Assert.False((await mints[0].InspectAsync(key, mints[0].ByText(text))).IsDenied(out denial, out var stored), denial?.Reason.ToString());
            Assert.NotNull(stored.RevokedAt);
        });

        Assert.Equal((long)Pairs, node.Scalar<long>("select count(*) from credential where revoked_at is not null"));
        Assert.All(outcomes, outcome => Assert.True(outcome is "extended" or nameof(DenialReason.Revoked), outcome));
        TestContext.Current.TestOutputHelper?.WriteLine(string.Join(", ", outcomes.GroupBy(outcome => outcome).Select(group => $"{group.Key} {group.Count()}")));
    }

    private static CredentialMint Mint(Node node)
    {
        var directory = new Core.Directory(Forge.Ring);
        foreach (var known in node.Keys.ReadApiKeys())
        {
            directory.Put(known);
        }
        return new CredentialMint(directory, node.Ledger, new Server.PosternOptions().Lifetimes, node.Clock);
    }

    private static string ReadShared(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(stream, System.Text.Encoding.Latin1);
        return reader.ReadToEnd();
    }
}
