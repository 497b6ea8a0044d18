using System.Globalization;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Keys;
using Postern.Core.Projects;
using Postern.Tests.Storage;

namespace Postern.Tests.Credentials;

/// <summary>tests/vectors/credentials.txt through the gate: a credential, and what must become of it.</summary>
public sealed class VectorTests
{
    private static readonly KeyRing Ring = new(
    [
        new SigningKey("key-1", "vector key one, 32 bytes long!!!"u8, SigningKeyState.Active, null),
        new SigningKey("key-2", "vector key two, 32 bytes long!!!"u8, SigningKeyState.Retiring, Forge.Now.AddSeconds(3600)),
        new SigningKey("key-3", "vector key three, 32 bytes long!"u8, SigningKeyState.Retired, null),
    ]);

    [Fact]
    [Trait("attack", "A17")]
    [Trait("attack", "B1")]
    [Trait("attack", "B8")]
    public async Task Vectors_Credentials_MeetTheirOutcome()
    {
        var clock = new SetClock(Forge.Now);
        await using var database = await TestDatabase.CreateAsync(Engine.Sqlite);
        await using var node = await Node.StartAsync(database, clock: clock);
        var directory = new Core.Directory(Ring);
        directory.Put(Node.Agent("agent_support"));
        directory.Put(Node.Agent("agent_other") with { Project = new ProjectId("other") });

        var wrong = new List<string>();
        var vectors = Read().ToList();
        foreach (var vector in vectors)
        {
            var at = Forge.Now.AddSeconds(long.Parse(vector["now"], CultureInfo.InvariantCulture));
            var gate = new ConnectionGate(directory, node.Ledger, new SetClock(at));
            var decision = await gate.AdmitAsync(new ConnectRequest(
                Enum.Parse<CredentialKind>(vector["slot"]), new CredentialText(vector["credential"]),
                vector["agent"] == "-" ? null : new AgentId(vector["agent"]), vector.GetValueOrDefault("origin"), null));
            var outcome = decision.Denial?.Reason.ToString() ?? "granted";
            if (outcome != vector["expect"])
            {
                wrong.Add($"{vector["title"]}: {outcome} instead of {vector["expect"]}");
            }
        }

        Assert.True(vectors.Count >= 70, $"only {vectors.Count} vectors");
        SourceTree.AssertNone(wrong);
    }

    private static IEnumerable<Dictionary<string, string>> Read()
    {
        foreach (var block in SourceTree.Read("tests/vectors/credentials.txt").Split("\n\n").Skip(1))
        {
            var lines = block.Trim('\n').Split('\n');
            var vector = lines.Skip(1).Select(line => line.Split(": ", 2)).ToDictionary(pair => pair[0], pair => pair[1]);
            vector["title"] = lines[0];
            vector["credential"] = vector["credential"].Replace(" ", "", StringComparison.Ordinal);
            yield return vector;
        }
    }
}
