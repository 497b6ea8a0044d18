using System.Text.Json;
using System.Text.Json.Nodes;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Core.Sessions;
using Postern.Server;
using Postern.Server.Agents;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Storage;

namespace Postern.Tests.Dialects.ElevenLabs;

/// <summary>What a client's first message may change: contract section 5, leaf by leaf, and its traps.</summary>
public class OpeningTests(SharedPostern shared) : IClassFixture<SharedPostern>
{
    public static TheoryData<string, string, string> Leaves => new()
    {
        { "agent.first_message", "\"Yo\"", "\"Hello\"" },
        { "agent.language", "\"de\"", "\"en\"" },
        { "agent.max_conversation_duration_message", "\"Time is up\"", "\"Bye\"" },
        { "agent.prompt.prompt", "\"P\"", "\"Q\"" },
        { "agent.prompt.llm", "\"m1\"", "\"m2\"" },
        { "agent.prompt.tool_ids", "[\"t1\"]", "[]" },
        { "agent.prompt.tool_ids_strict", "[\"t1\"]", "[\"t2\"]" },
        { "agent.prompt.native_mcp_server_ids", "[\"s1\"]", "[\"s2\"]" },
        { "agent.prompt.knowledge_base", "[{\"id\":\"k\"}]", "[{\"id\":\"l\"}]" },
        { "tts.model_id", "\"a\"", "\"b\"" },
        { "tts.voice_id", "\"a\"", "\"b\"" },
        { "tts.supported_voices", "[{\"voice_id\":\"v\"}]", "[]" },
        { "tts.stability", "0.5", "0.6" },
        { "tts.speed", "1.1", "1" },
        { "tts.similarity_boost", "0.1", "0.2" },
        { "tts.pronunciation_dictionary_locators", "[{\"id\":\"k\"}]", "[]" },
        { "conversation.text_only", "true", "false" },
        { "conversation.max_duration_seconds", "30", "60" },
        { "asr.keywords", "[\"k\"]", "[\"l\"]" },
        { "turn.soft_timeout_config.message", "\"Hm\"", "\"Still there?\"" },
    };

    [Theory]
    [MemberData(nameof(Leaves))]
    public async Task Leaf_WithoutPermission_EndsWithTheFieldsName(string path, string value, string configured)
    {
        var (code, reason) = await RefusalAsync(Nest(path, value), config: Nest(path, configured), settings: Permit(path, "false"));
        Assert.Equal((1008, $"Override for field '{path.Split('.')[^1]}' is not allowed by config."), (code, reason));
    }

    [Theory]
    [MemberData(nameof(Leaves))]
    public async Task Leaf_WithPermission_Passes(string path, string value, string configured) =>
        await PassesAsync(Nest(path, value), config: Nest(path, configured), settings: Permit(path, "true"));

    [Theory]
    [MemberData(nameof(Leaves))]
    public async Task Leaf_EqualToTheConfiguredOne_IsNone(string path, string value, string configured)
    {
        Assert.NotEqual(value, configured);
        await PassesAsync(Nest(path, value), config: Nest(path, value), settings: Permit(path, "false"));
    }

    [Theory]
    [MemberData(nameof(Leaves))]
    public async Task Leaf_Null_IsNone(string path, string value, string configured)
    {
        Assert.NotEqual(value, configured);
        await PassesAsync(Nest(path, "null"), settings: Permit(path, "false"));
    }

    [Theory]
    [InlineData("agent.first_message", "5")]
    [InlineData("tts.stability", "\"high\"")]
    [InlineData("conversation.text_only", "\"true\"")]
    [InlineData("agent.prompt.tool_ids", "\"t\"")]
    public async Task Leaf_OfAnotherType_IsNotRead(string path, string value) =>
        Assert.Equal((1008, "Invalid message received"), await RefusalAsync(Nest(path, value), settings: Permit(path, "true")));

    [Fact] // trap 1
    public Task EmptyObjects_AreNoOverrides() =>
        PassesAsync("""{"agent":{"prompt":{}},"tts":{},"conversation":{},"asr":{},"turn":{}}""", more: ""","custom_llm_extra_body":{"a":{"b":null}},"procedure_ids":[]""");

    [Fact] // trap 2
    public async Task TextOnly_WithoutAWordInTheSettings_Passes()
    {
        await PassesAsync("""{"conversation":{"text_only":true}}""");
        await PassesAsync("""{"conversation":{"text_only":true}}""", settings: """{"overrides":{"conversation_config_override":{"agent":{"first_message":true}}}}""");
    }

    [Fact] // trap 3
    public async Task TextOnly_AtTheTop_IsReadAsThatOfTheConversation()
    {
        await PassesAsync("""{"text_only":true}""");
        Assert.Equal((1008, "Override for field 'text_only' is not allowed by config."), await RefusalAsync("""{"text_only":true}""", settings: Permit("conversation.text_only", "false")));
    }

    [Fact] // trap 4
    public async Task EnclaveSetup_IsSkippedAndNeverTrusted()
    {
        using var client = await ConnectAsync();
        await client.SayAsync("""{"type":"enclave_setup_config","agent_config_dict":{"agent":{"first_message":"I am yours"}},"override_agent_config_list":null}""");
        await client.SayAsync(TalkClient.TextOpening);
        await client.MetadataAsync();
        await client.SayAsync("""{"type":"user_message","text":"a"}""");
        Assert.Equal("echo: a", (await client.AnswerAsync()).Text);
    }

    [Fact] // trap 5
    public async Task SystemVariable_FromTheClient_IsRefusedByName() =>
        Assert.Equal((1008, "Dynamic variable 'system__caller_id' cannot be set by the client."), await RefusalAsync("{}", more: ""","dynamic_variables":{"system__caller_id":"1"}"""));

    [Theory]
    [InlineData("custom_llm_extra_body", """{"t":1}""", "custom_llm_extra_body")]
    [InlineData("starting_workflow_node_id", "\"n\"", "enable_starting_workflow_node_id_from_client")]
    [InlineData("procedure_ids", "[\"p\"]", "enable_procedure_ids_from_client")]
    public async Task MemberWithAPermissionOfItsOwn_IsRefusedWithoutIt(string member, string value, string permission)
    {
        var more = $",\"{member}\":{value}";
        Assert.Equal((1008, $"Override for field '{member}' is not allowed by config."), await RefusalAsync("{}", more: more));
        await PassesAsync("{}", more: more, settings: $$$"""{"overrides":{"{{{permission}}}":true}}""");
    }

    [Theory]
    [InlineData("""{"agent":{"first_message":"evil"},"agent.first_message":"Hello"}""", "first_message")]
    [InlineData("""{"agent.first_message":"Hello"}""", "agent.first_message")]
    [InlineData("""{"agent":{"prompt.prompt":"evil"}}""", "prompt.prompt")]
    [InlineData("""{"agent":"evil"}""", "agent")]
    [InlineData("5", "conversation_config_override")]
    [InlineData("""{"agent":{"prompt":{"custom_llm":{"url":"https://evil.example"}}}}""", "url")]
    [InlineData("""{"agent":{"First_Message":"evil"}}""", "First_Message")]
    public async Task Spelling_OfNoLeaf_IsRefused(string overrides, string field) => Assert.Equal(
        (1008, $"Override for field '{field}' is not allowed by config."), await RefusalAsync(overrides, config: """{"agent":{"first_message":"Hello"}}"""));

    [Theory]
    [InlineData("""{"text_only":true,"conversation":{"text_only":false}}""")]
    [InlineData("""{"conversation":{"text_only":false},"text_only":true}""")]
    public async Task TwoSpellings_WithTwoValues_AreNotRead(string overrides) =>
        Assert.Equal((1008, "Invalid message received"), await RefusalAsync(overrides));

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("""{"type":"conversation_initiation_client_data","type":"user_message"}""")]
    [InlineData("""{"type":"conversation_initiation_client_data","dynamic_variables":[1]}""")]
    [InlineData("""{"type":"conversation_initiation_client_data","dynamic_variables":{"a":"\ud800"},"user_id":"\udc00"}""")]
    [InlineData("""{"type":"conversation_initiation_client_data","user_id":42}""")]
    [InlineData("""{"type":"conversation_initiation_client_data","user_id":"a\u0000b"}""")]
    public async Task FirstMessage_Unreadable_IsRefusedByTheCloseAlone(string message)
    {
        using var client = await ConnectAsync();
        await client.SayAsync(message);
        var (code, reason, events) = await client.EndAsync();
        Assert.Equal((1008, "Invalid message received"), (code, reason));
        Assert.Empty(events);
    }

    [Fact]
    public async Task NoFirstMessage_StartsWithDefaultsAfterTheWait()
    {
        await using var postern = await TestPostern.StartAsync((folder, https) => With(TestPostern.Options(folder, https), o => o.Sessions.FirstMessageWait = TimeSpan.FromMilliseconds(150)));
        using var client = await TalkClient.ConnectAsync(await postern.SignedUrlAsync());
        await client.MetadataAsync();
        await client.NextAsync("agent_response");
        await client.SayAsync(TalkClient.Opening);
        Assert.Equal(1008, (await client.EndAsync()).Code);
    }

    [Fact]
    public async Task AnotherMessageFirst_MeansDefaults_AndIsAnswered()
    {
        using var client = await ConnectAsync("""{"agent":{"first_message":"Hello"}}""");
        await client.SayAsync("""{"type":"user_message","text":"me first"}""");
        await client.MetadataAsync();
        Assert.Equal("Hello", (await client.NextAsync("agent_response")).GetProperty("agent_response").GetString());
        Assert.Equal("echo: me first", (await client.AnswerAsync()).Text);
    }

    [Theory]
    [InlineData("Hi {{name}}, {{ n }} {{b}}!", """{"name":"Ann","n":3,"b":true}""", "Hi Ann, 3 true!")]
    [InlineData("Hi {{plan}}", "{}", "Hi gold")]
    [InlineData("Hi {{plan}}", """{"plan":"{{name}}"}""", "Hi {{name}}")]
    [InlineData("{{system__agent_id}}", "{}", "AGENT")]
    [InlineData("{{not a name}} {{", "{}", "{{not a name}} {{")]
    public async Task Greeting_Variables_AreFilledIn(string greeting, string variables, string expected)
    {
        var config = new JsonObject { ["agent"] = new JsonObject { ["first_message"] = greeting, ["dynamic_variables"] = JsonNode.Parse("""{"dynamic_variable_placeholders":{"plan":"gold"}}""") } };
        var agent = await TalkClient.CreateAgentAsync(shared.Server, config.ToJsonString());
        using var client = await TalkClient.ConnectAsync(await shared.Server.SignedUrlAsync(agent));
        await client.SayAsync($$"""{"type":"conversation_initiation_client_data","dynamic_variables":{{variables}}}""");
        await client.MetadataAsync();
        Assert.Equal(expected.Replace("AGENT", agent, StringComparison.Ordinal), (await client.NextAsync("agent_response")).GetProperty("agent_response").GetString());
    }

    [Fact]
    public async Task Greeting_VariableWithoutValue_IsRefusedByName() => Assert.Equal(
        (1008, "Missing required dynamic variables in first message: {'name', 'x'}"),
        await RefusalAsync("{}", config: """{"agent":{"first_message":"Hi {{name}} {{x}} {{name}}"}}""", more: ""","dynamic_variables":{"name":null}"""));

    [Fact]
    public async Task Greeting_Overridden_IsSpoken()
    {
        using var client = await ConnectAsync("""{"agent":{"first_message":"Hello"}}""", Permit("agent.first_message", "true"));
        await client.SayAsync("""{"type":"conversation_initiation_client_data","conversation_config_override":{"agent":{"first_message":"Yo {{name}}"}},"dynamic_variables":{"name":"Ann"}}""");
        await client.MetadataAsync();
        Assert.Equal("Yo Ann", (await client.NextAsync("agent_response")).GetProperty("agent_response").GetString());
    }

    // Whatever a client claims beside a credential that names the user: nothing and nobody hears of it.
    [Theory]
    [InlineData("\"user-1\"")]
    [InlineData("\"user-2\"")]
    [InlineData("\"\"")]
    [InlineData("42")]
    [InlineData("[\"user-2\"]")]
    [InlineData("\"a\\u0000b\"")]
    public void UserId_BesideTheCredentials_GivesWay(string claimed)
    {
        var message = $$$"""{"type":"conversation_initiation_client_data","user_id":{{{claimed}}},"dynamic_variables":{"name":"Ann"}}""";
        Assert.False(InitiationData.Read(Session("{}", "user-1"), System.Text.Encoding.UTF8.GetBytes(message)).IsDenied(out _, out var opening));
        Assert.Null(opening.ClaimedSubject);
        Assert.Equal("""{"type":"conversation_initiation_client_data","user_id":"user-1","dynamic_variables":{"name":"Ann"}}""", opening.Raw);
        Assert.Equal(claimed == "\"user-1\"" ? null : opening.Raw, opening.Upstream is { } heard ? System.Text.Encoding.UTF8.GetString(heard) : null);
        Assert.Equal("Ann", opening.Variables["name"].GetString());
    }

    [Theory]
    [InlineData("""{"conversation_config_override":{"agent":{"first_message":"fixed"}}}""", null)]
    [InlineData("""{"conversation_config_override":{"agent":{"first_message":"other"}}}""", "Override for field 'first_message' is not allowed by config.")]
    [InlineData("""{"dynamic_variables":{"plan":"gold","more":1}}""", null)]
    [InlineData("""{"dynamic_variables":{"plan":"lead"}}""", "Dynamic variable 'plan' is fixed by the conversation token.")]
    [InlineData("""{}""", null)]
    public void FixedByTheMint_CannotBeChanged(string opening, string? refusal)
    {
        var session = Session("""{"overrides":{"conversation_config_override":{"agent":{"first_message":true}}}}""", null);
        session = session with { Terms = session.Terms with { Fixed = new FixedValues(One("plan", "\"gold\""), One("agent.first_message", "\"fixed\"")) } };
        var message = JsonNode.Parse(opening)!.AsObject();
        message["type"] = "conversation_initiation_client_data";
        var decision = InitiationData.Read(session, System.Text.Encoding.UTF8.GetBytes(message.ToJsonString()));
        if (decision.IsDenied(out var denial, out var read))
        {
            Assert.Equal(refusal, Refusals.Close(denial).Reason);
            return;
        }
        Assert.Null(refusal);
        Assert.Equal("fixed", read.Overrides["agent.first_message"].GetString());
        Assert.Equal("gold", read.Variables["plan"].GetString());

        static Dictionary<string, JsonElement> One(string name, string json) => new() { [name] = JsonDocument.Parse(json).RootElement };
    }

    // No list shows a conversation that never began, its user's least of all; the audit says why.
    [Fact]
    public async Task Refused_LeavesNoConversationAndIsInTheAudit()
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await TalkClient.CreateAgentAsync(postern);
        using var client = await TalkClient.ConnectAsync(await postern.SignedUrlAsync(agent));
        await client.SayAsync("""{"type":"conversation_initiation_client_data","conversation_config_override":{"agent":{"first_message":"x"}}}""");
        await client.EndAsync();

        Assert.Equal(("FirstMessageRefused", "Override for field 'first_message' is not allowed by config."), Assert.Single(await Algolia.AlgoliaClient.RowsAsync(postern, "session.ended", 1)));
        // Written after it, and shown.
        using var other = await TalkClient.ConnectAsync(await postern.SignedUrlAsync(agent));
        await other.SayAsync(TalkClient.TextOpening);
        await other.MetadataAsync();
        await other.HangUpAsync();
        await postern.EndedAsync(other.ConversationId);
        var list = JsonDocument.Parse(await postern.Client.GetStringAsync("/v1/convai/conversations", TestContext.Current.CancellationToken)).RootElement.GetProperty("conversations");
        Assert.Equal(other.ConversationId, Assert.Single(list.EnumerateArray()).GetProperty("conversation_id").GetString());
    }

    internal static PosternOptions With(PosternOptions options, Action<PosternOptions> change)
    {
        change(options);
        return options;
    }

    private static Session Session(string settings, string? subject)
    {
        var now = DateTimeOffset.UnixEpoch;
        var row = new AgentRow(new AgentId("agent_t"), ProjectId.Default, "t", "elevenlabs", $$"""{"conversation_config":{},"platform_settings":{{settings}}}""", false, new Upstream.Echo(), now, now);
        return new Session("conv_t", AgentDocument.Read(row, new PosternOptions()), null, new SessionTerms(now.AddMinutes(1), subject, null), now);
    }

    private async Task PassesAsync(string overrides, string config = "{}", string settings = "{}", string more = "")
    {
        using var client = await ConnectAsync(config, settings);
        await client.SayAsync($$"""{"type":"conversation_initiation_client_data","conversation_config_override":{{overrides}}{{more}}}""");
        await client.MetadataAsync();
        client.Socket.Abort();
    }

    private async Task<(int, string)> RefusalAsync(string overrides, string config = "{}", string settings = "{}", string more = "")
    {
        using var client = await ConnectAsync(config, settings);
        await client.SayAsync($$"""{"type":"conversation_initiation_client_data","conversation_config_override":{{overrides}}{{more}}}""");
        var (code, reason, events) = await client.EndAsync();
        Assert.Empty(events);
        return (code, reason);
    }

    private async Task<TalkClient> ConnectAsync(string config = "{}", string settings = "{}") =>
        await TalkClient.ConnectAsync(await shared.Server.SignedUrlAsync(await TalkClient.CreateAgentAsync(shared.Server, config, settings)));

    private static string Permit(string path, string value) => $$$"""{"overrides":{"conversation_config_override":{{{Nest(path, value)}}}}}""";

    private static string Nest(string path, string value) =>
        path.Split('.').Reverse().Aggregate(value, static (inner, name) => $$"""{"{{name}}":{{inner}}}""");
}
