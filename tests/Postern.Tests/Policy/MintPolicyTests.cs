using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Policy;
using Postern.Server;
using Postern.Tests.Credentials;
using Postern.Tests.Storage;

namespace Postern.Tests.Policy;

public sealed class MintPolicyTests
{
    private static readonly Agent Agent = Node.Agent();

    [Theory]
    [Trait("attack", "B14")]
    [InlineData(-1, false)]
    [InlineData(0, false)]
    [InlineData(9, false)]
    [InlineData(9.999, false)]
    [InlineData(10, true)]
    [InlineData(86400, true)]
    [InlineData(86400.001, false)]
    [InlineData(86401, false)]
    [InlineData(1e9, false)]
    public void StartWithin_Range_IsTenSecondsToADay(double seconds, bool allowed)
    {
        var decision = Decide(Agent, Request() with { StartWithin = TimeSpan.FromSeconds(seconds) }, Forge.Now);

        Assert.Equal(allowed ? null : DenialReason.RequestInvalid, decision.Denial?.Reason);
        if (!decision.IsDenied(out var denial, out var grant))
        {
            Assert.Equal(Forge.Now.AddSeconds(seconds), grant.StartBy);
        }
        else
        {
            Assert.Contains("between 10 and 86400 seconds", denial.Detail, StringComparison.Ordinal);
        }
    }

    [Theory]
    [Trait("attack", "B14")]
    [InlineData(-1, false)]
    [InlineData(0, false)]
    [InlineData(0.999, false)]
    [InlineData(1, true)]
    [InlineData(1e6, true)] // the agent's limit is the narrower one then
    public void MaxDuration_Range_IsASecondAtLeast(double seconds, bool allowed) =>
        Assert.Equal(allowed, Decide(Agent, Request() with { MaxDuration = TimeSpan.FromSeconds(seconds) }, Forge.Now).Denial is null);

    [Theory]
    [Trait("attack", "B14")]
    [InlineData(false, false, null, null)]
    [InlineData(false, false, 3, 3)]
    [InlineData(false, true, null, 1)]
    [InlineData(false, true, 3, 1)]
    [InlineData(true, false, null, 1)]
    [InlineData(true, false, 5, 1)]
    [InlineData(true, true, 5, 1)]
    public void Uses_AgentAndConversation_Narrow(bool singleUse, bool fix, int? asked, int? granted)
    {
        var agent = Agent with { Credentials = new CredentialDefaults(TimeSpan.FromMinutes(15), singleUse) };

        Assert.False(Decide(agent, Request() with { Uses = asked, FixConversation = fix }, Forge.Now).IsDenied(out _, out var grant));

        Assert.Equal(granted, grant.Uses);
        Assert.Equal(fix, grant.ConversationId is not null);
    }

    [Theory]
    [Trait("attack", "B14")]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(int.MinValue)]
    public void Uses_LessThanOne_AreRefused(int uses) =>
        Assert.Equal(DenialReason.RequestInvalid, Decide(Agent, Request() with { Uses = uses }, Forge.Now).Denial?.Reason);

    [Fact]
    [Trait("attack", "B14")]
    public void Origins_MoreThanTenOrNoHosts_AreRefused()
    {
        Assert.Null(Decide(Agent, Request() with { Origins = ["app.example.com"] }, Forge.Now).Denial);
        Assert.Null(Decide(Agent, Request() with { Origins = [.. Enumerable.Range(0, 10).Select(i => $"h{i}.example")] }, Forge.Now).Denial);
        Assert.Equal(DenialReason.RequestInvalid, Decide(Agent, Request() with { Origins = [.. Enumerable.Range(0, 11).Select(i => $"h{i}.example")] }, Forge.Now).Denial?.Reason);
        Assert.Equal(DenialReason.RequestInvalid, Decide(Agent, Request() with { Origins = ["*.example.com"] }, Forge.Now).Denial?.Reason);
    }

    // Whatever policy grants, the verifier must be able to read: the longest of everything still fits.
    [Fact]
    [Trait("attack", "A18")]
    public void Largest_Grant_StillVerifies()
    {
        var host = string.Join('.', Enumerable.Repeat(new string('a', 62), 4));
        var request = Request() with
        {
            Subject = new string('é', 128),
            Uses = int.MaxValue,
            MaxDuration = TimeSpan.FromHours(24),
            FixConversation = true,
            Origins = [.. Enumerable.Range(0, 10).Select(i => $"{i}{host}"[..250])],
        };
        Assert.False(Decide(Agent with { Id = new AgentId(new string('a', 64)) }, request, Forge.Now).IsDenied(out _, out var grant));

        Assert.Null(Forge.Verdict(Forge.Issue(grant: grant).Text.Value));
    }

    [Theory]
    [Trait("attack", "A16")]
    [InlineData("user-1", true)]
    [InlineData("", false)]
    [InlineData("a\0", false)]
    public void Subject_Form_IsChecked(string subject, bool allowed) =>
        Assert.Equal(allowed, Decide(Agent, Request() with { Subject = subject }, Forge.Now).Denial is null);

    [Theory]
    [Trait("attack", "A12")]
    [InlineData("""{"a":"text","b":[1,{"c":"é😀"}]}""", true)]
    [InlineData("""{"a":"\ud800"}""", false)]
    [InlineData("""{"a":[{"b":"\udc00\ud83d"}]}""", false)]
    [InlineData("""{"a":{"\ud800":1}}""", false)]
    public void Fixed_ThatIsNoText_IsRefused(string variables, bool allowed)
    {
        using var document = System.Text.Json.JsonDocument.Parse(variables);
        var values = document.RootElement.EnumerateObject().ToDictionary(member => member.Name, member => member.Value.Clone());

        Assert.Equal(allowed, Decide(Agent, Request() with { Fixed = new FixedValues(values, FixedValues.None.Fields) }, Forge.Now).Denial is null);
    }

    [Fact]
    public void Grant_NothingAsked_TakesTheAgentsDefaults()
    {
        Assert.False(Decide(Agent, Request(), Forge.Now).IsDenied(out _, out var grant));
        Assert.Equal(new Grant(Agent.Project, Agent.Id, null, Forge.Now.AddMinutes(15), null, null, [], null), grant);
    }

    private static Decision<Grant> Decide(Agent agent, MintRequest request, DateTimeOffset now) =>
        MintPolicy.Decide(agent.Project, agent, request, new PosternOptions().Lifetimes, now);

    private static MintRequest Request() => new(null, Agent.Id, CredentialKind.SignedUrl, null);
}
