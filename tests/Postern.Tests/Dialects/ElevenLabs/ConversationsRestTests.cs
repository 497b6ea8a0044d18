using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Postern.Core.Projects;
using Postern.Server.Storage;

namespace Postern.Tests.Dialects.ElevenLabs;

/// <summary>The conversations REST of contract section 8.</summary>
public class ConversationsRestTests(SharedPostern shared) : IClassFixture<SharedPostern>
{
    private const string Unknown = "conv_0000000000000000000000";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private TestPostern Postern => shared.Server;

    [Fact]
    public async Task Conversation_Whole_HasBothVendorsMembers()
    {
        var opening = """{"type":"conversation_initiation_client_data","conversation_config_override":{"conversation":{"text_only":true}},"dynamic_variables":{"a":1},"user_id":"ann","custom_llm_extra_body":[],"source_info":{"source":"x"}}""";
        using var client = await TalkClient.OpenAsync(Postern, """{"agent":{"first_message":"Hello"}}""", opening);
        await client.SayAsync("""{"type":"user_message","text":"hi"}""");
        await client.NextAsync("agent_response");
        await client.AnswerAsync();
        await client.SayAsync("""{"type":"feedback","event_id":1,"score":"like"}""");
        await client.HangUpAsync();

        var whole = await Postern.EndedAsync(client.ConversationId);
        Assert.Equal(client.ConversationId, whole.GetProperty("conversation_id").GetString());
        Assert.Equal(["t", "done", "ann"], new[] { "agent_name", "status", "user_id" }.Select(name => whole.GetProperty(name).GetString()));
        Assert.All(["has_audio", "has_user_audio", "has_response_audio", "has_auxiliary_audio"], name => Assert.False(whole.GetProperty(name).GetBoolean()));
        Assert.Equal(["agent: Hello", "user: hi", "agent: echo: hi"],
            whole.GetProperty("transcript").EnumerateArray().Select(turn => $"{turn.GetProperty("role").GetString()}: {turn.GetProperty("message").GetString()}"));
        Assert.All(whole.GetProperty("transcript").EnumerateArray(), turn => Assert.InRange(turn.GetProperty("time_in_call_secs").GetInt64(), 0, 60));
        var metadata = whole.GetProperty("metadata");
        Assert.Equal("signed_url", metadata.GetProperty("authorization_method").GetString());
        Assert.Equal("User ended conversation", metadata.GetProperty("termination_reason").GetString());
        Assert.Equal("client", whole.GetProperty("user_id_source").GetString());
        Assert.Equal(JsonValueKind.Null, metadata.GetProperty("error").ValueKind);
        Assert.Equal(1, metadata.GetProperty("feedback").GetProperty("likes").GetInt32());
        Assert.True(metadata.GetProperty("text_only").GetBoolean());
        // What the strict SDK could not read is left out.
        Assert.Equal("""{"conversation_config_override":{"conversation":{"text_only":true}},"dynamic_variables":{"a":1},"user_id":"ann"}""",
            whole.GetProperty("conversation_initiation_client_data").GetRawText());
        Assert.Equal($"{Postern.Http}/v1/convai/conversations/{client.ConversationId}/audio", whole.GetProperty("audio").GetString());
        Assert.Equal(("{}", "{}"), (whole.GetProperty("evaluation_results").GetRawText(), whole.GetProperty("collected_data").GetRawText()));
    }

    [Fact]
    public async Task Conversation_WhileItLasts_IsInProgress()
    {
        using var client = await TalkClient.OpenAsync(Postern);
        await client.SayAsync("""{"type":"user_message","text":"hi"}""");
        await client.AnswerAsync();
        for (var attempt = 0; attempt < 100; attempt++)
        {
            using var answer = await Postern.Client.GetAsync($"/v1/convai/conversations/{client.ConversationId}", Cancel);
            if (answer.IsSuccessStatusCode && await answer.Content.ReadFromJsonAsync<JsonElement>(Cancel) is var json && json.GetProperty("transcript").GetArrayLength() == 2)
            {
                Assert.Equal("in-progress", json.GetProperty("status").GetString());
                return;
            }
            await Task.Delay(20, Cancel);
        }
        Assert.Fail("what was said is not seen while the conversation lasts");
    }

    [Fact]
    public async Task List_Pages_AreReadByCursor()
    {
        var agent = await TalkClient.CreateAgentAsync(Postern);
        var held = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            Postern.Clock.Advance(TimeSpan.FromMilliseconds(2)); // of one millisecond, they come in any order
            held.Add(await HoldAsync(agent));
        }
        var seen = new List<string>();
        for (string? cursor = null; ;)
        {
            var page = await GetAsync($"/v1/convai/conversations?agent_id={agent}&page_size=2&summary_mode=exclude&branch_id=b{(cursor is null ? "" : "&cursor=" + cursor)}");
            seen.AddRange(page.GetProperty("conversations").EnumerateArray().Select(item => item.GetProperty("conversation_id").GetString()!));
            cursor = page.GetProperty("next_cursor").GetString();
            Assert.Equal(cursor is not null, page.GetProperty("has_more").GetBoolean());
            if (cursor is null)
            {
                break;
            }
        }
        Assert.Equal(Enumerable.Reverse(held), seen);
        var oldest = (await GetAsync($"/v1/convai/conversations?agent_id={agent}&sort_direction=asc&call_successful=success")).GetProperty("conversations")[0];
        Assert.Equal(held[0], oldest.GetProperty("conversation_id").GetString());
        Assert.Equal((2, "done", "success"), (oldest.GetProperty("message_count").GetInt32(), oldest.GetProperty("status").GetString(), oldest.GetProperty("call_successful").GetString()));
        Assert.Empty((await GetAsync($"/v1/convai/conversations?agent_id={agent}&exclude_statuses=done&exclude_statuses=failed")).GetProperty("conversations").EnumerateArray());
    }

    [Theory]
    [InlineData("page_size=0", "page_size")]
    [InlineData("page_size=101", "page_size")]
    [InlineData("cursor=!", "cursor")]
    [InlineData("cursor=Zm9v", "cursor")]
    [InlineData("call_start_after_unix=soon", "call_start_after_unix")]
    [InlineData("call_successful=perhaps", "call_successful")]
    [InlineData("sort_direction=up", "sort_direction")]
    [InlineData("text_only=maybe", "text_only")]
    [InlineData("agent_id=a&agent_id=b", "agent_id")]
    [InlineData("user_id=%00", "user_id")]
    public async Task List_WrongQuery_IsRefusedByItsName(string query, string name)
    {
        using var answer = await Postern.Client.GetAsync($"/v1/convai/conversations?{query}", Cancel);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, answer.StatusCode);
        Assert.Contains($"[\"query\",\"{name}\"]", await answer.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Theory]
    [Trait("attack", "F3")]
    [InlineData("GET", "")]
    [InlineData("GET", "/" + Unknown)]
    [InlineData("DELETE", "/" + Unknown)]
    [InlineData("GET", "/" + Unknown + "/audio")]
    [InlineData("GET", "/../users")]
    public async Task Route_WithoutTheScope_IsRefused(string method, string path)
    {
        var store = Store.Open(TestPostern.Options(Postern.Folder), Postern.Clock);
        var minting = Core.Projects.ApiKeyText.Create();
        await store.Keys.CreateApiKeyAsync(ProjectId.Default, "mint only", minting, Scopes.Mint | Scopes.AgentsRead | Scopes.AgentsWrite);
        await store.DisposeAsync();
        foreach (var (key, status) in new[] { (null, "needs_authorization"), ("pst_wrong", "invalid_api_key"), (minting, "missing_permissions") })
        {
            var answer = await AskAsync(method, path, key, status);
            Assert.Contains(status, answer, StringComparison.Ordinal);
        }
    }

    [Fact]
    [Trait("attack", "F1")]
    public async Task AnotherProjects_IsAsUnknownAsNone()
    {
        var id = await HoldAsync(await TalkClient.CreateAgentAsync(Postern));
        await Postern.EndedAsync(id);
        var store = Store.Open(TestPostern.Options(Postern.Folder), Postern.Clock);
        var other = new ProjectId("other_" + Core.RandomText.Base62(6));
        await store.Writer.WriteAsync(transaction => transaction.Execute("insert into project (id, name, created_at) values ($1, $1, 0)", other.Value));
        var key = ApiKeyText.Create();
        await store.Keys.CreateApiKeyAsync(other, "theirs", key, Scopes.All);
        await store.DisposeAsync();
        foreach (var (method, path) in new[] { ("GET", ""), ("DELETE", ""), ("GET", "/audio") })
        {
            var theirs = await AskAsync(method, $"/{id}{path}", key, "not_found");
            var none = await AskAsync(method, $"/{Unknown}{path}", key, "not_found");
            Assert.Equal(Anonymous(none, Unknown), Anonymous(theirs, id));
        }
        Assert.Contains("\"conversations\":[]", await AskAsync("GET", "", key, "conversations"), StringComparison.Ordinal);
        Assert.Contains("\"users\":[]", await AskAsync("GET", "/../users", key, "users"), StringComparison.Ordinal);
        Assert.Equal("done", (await Postern.EndedAsync(id)).GetProperty("status").GetString());

        static string Anonymous(string text, string id) => System.Text.RegularExpressions.Regex.Replace(text.Replace(id, "ID", StringComparison.Ordinal), "[0-9a-f]{32}", "R");
    }

    [Fact]
    public async Task Deleted_IsGone()
    {
        var id = await HoldAsync(await TalkClient.CreateAgentAsync(Postern));
        using var deleted = await Postern.Client.DeleteAsync($"/v1/convai/conversations/{id}", Cancel);
        Assert.Equal(HttpStatusCode.OK, deleted.StatusCode);
        Assert.Equal("null", await deleted.Content.ReadAsStringAsync(Cancel));
        using var gone = await Postern.Client.GetAsync($"/v1/convai/conversations/{id}", Cancel);
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
        Assert.Contains($"Document with id {id} not found.", await gone.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Audio_IsNotRecorded_AndSaysSo()
    {
        var id = await HoldAsync(await TalkClient.CreateAgentAsync(Postern));
        using var answer = await Postern.Client.GetAsync($"/v1/convai/conversations/{id}/audio", Cancel);
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Contains("sound is not recorded, the transcript is", await answer.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task SummaryAndOtherFormats_AreNotServed_AndSaySo()
    {
        var id = await HoldAsync(await TalkClient.CreateAgentAsync(Postern));
        using var summary = await Postern.Client.GetAsync($"/v1/convai/conversations/{id}/summary", Cancel);
        Assert.Equal(404, (int)summary.StatusCode);
        Assert.Equal("summary_not_found", (await summary.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("detail").GetProperty("status").GetString());
        using var other = await Postern.Client.GetAsync($"/v1/convai/conversations/{id}?format=opentelemetry", Cancel);
        Assert.Equal(422, (int)other.StatusCode);
        Assert.Contains("Input should be one of: json", await other.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        using var known = await Postern.Client.GetAsync($"/v1/convai/conversations/{id}?format=json", Cancel);
        Assert.Equal(200, (int)known.StatusCode);
    }

    [Fact]
    public async Task Feedback_FromAPage_IsStored()
    {
        var id = await HoldAsync(await TalkClient.CreateAgentAsync(Postern));
        using var page = new HttpClient { BaseAddress = new Uri(Postern.Http) };
        foreach (var body in new[] { """{"feedback":"dislike"}""", """{"rating":4,"comment":"a little slow"}""" })
        {
            using var content = new StringContent(body, Encoding.UTF8, "application/json");
            using var answer = await page.PostAsync($"/v1/convai/conversations/{id}/feedback", content, Cancel);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal("*", answer.Headers.GetValues("Access-Control-Allow-Origin").Single());
        }
        var feedback = (await GetAsync($"/v1/convai/conversations/{id}")).GetProperty("metadata").GetProperty("feedback");
        Assert.Equal("""{"type":"rating","overall_score":"dislike","likes":0,"dislikes":0,"rating":4,"comment":"a little slow"}""", feedback.GetRawText());
    }

    [Theory]
    [InlineData("""{"feedback":"meh"}""", 422)]
    [InlineData("""{"feedback":5}""", 422)]
    [InlineData("""{"rating":11}""", 422)]
    [InlineData("""{"rating":"5"}""", 422)]
    [InlineData("{}", 422)]
    [InlineData("[]", 422)]
    [InlineData("", 422)]
    [InlineData("{", 422)]
    [InlineData("""{"feedback":"like"}""", 404)]
    public async Task Feedback_Wrong_IsRefusedReadablyForAPage(string body, int status)
    {
        using var page = new HttpClient { BaseAddress = new Uri(Postern.Http) };
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await page.PostAsync($"/v1/convai/conversations/{Unknown}/feedback", content, Cancel);
        Assert.Equal((HttpStatusCode)status, answer.StatusCode);
        Assert.Equal("*", answer.Headers.GetValues("Access-Control-Allow-Origin").Single());
        Assert.Contains("\"detail\":", await answer.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Files_AreRefusedReadablyForAPage()
    {
        using var page = new HttpClient { BaseAddress = new Uri(Postern.Http) };
        using var file = new ByteArrayContent(new byte[50_000]);
        file.Headers.ContentType = new MediaTypeHeaderValue("image/png");
        using var form = new MultipartFormDataContent { { file, "file", "a.png" } };
        using var answer = await page.PostAsync($"/v1/convai/conversations/{Unknown}/files", form, Cancel);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal("*", answer.Headers.GetValues("Access-Control-Allow-Origin").Single());
        Assert.Contains("File input is not available", await answer.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Theory]
    [Trait("attack", "D7")]
    [InlineData("/feedback", "POST", true)]
    [InlineData("/files", "POST", true)]
    [InlineData("", "GET", false)]
    [InlineData("/audio", "GET", false)]
    public async Task Preflight_IsAnsweredOnTheKeylessRoutesOnly(string path, string method, bool open)
    {
        using var request = new HttpRequestMessage(HttpMethod.Options, $"{Postern.Http}/v1/convai/conversations/{Unknown}{path}");
        request.Headers.Add("Origin", "https://app.example");
        request.Headers.Add("Access-Control-Request-Method", method);
        request.Headers.Add("Access-Control-Request-Headers", "content-type");
        using var client = new HttpClient();
        using var answer = await client.SendAsync(request, Cancel);
        Assert.Equal(open, answer.Headers.Contains("Access-Control-Allow-Origin"));
        Assert.False(answer.Headers.Contains("Access-Control-Allow-Credentials"));
        Assert.Equal(open, answer.IsSuccessStatusCode);
    }

    [Fact]
    public async Task Users_AreListed()
    {
        var agent = await TalkClient.CreateAgentAsync(Postern);
        var last = await HoldAsync(agent, "zoe-1");
        var user = (await GetAsync("/v1/convai/users?search=zoe")).GetProperty("users")[0];
        Assert.Equal(("zoe-1", 1, last, agent), (user.GetProperty("user_id").GetString(), user.GetProperty("conversation_count").GetInt32(),
            user.GetProperty("last_contact_conversation_id").GetString(), user.GetProperty("last_contact_agent_id").GetString()));
        await HoldAsync(agent, "zoe-2");
        var first = await GetAsync("/v1/convai/users?search=zoe&page_size=1");
        Assert.True(first.GetProperty("has_more").GetBoolean());
        var second = await GetAsync($"/v1/convai/users?search=zoe&page_size=1&cursor={first.GetProperty("next_cursor").GetString()}");
        Assert.Equal("zoe-2", second.GetProperty("users")[0].GetProperty("user_id").GetString());
        Assert.Equal(JsonValueKind.Null, second.GetProperty("next_cursor").ValueKind);
        using var wrong = await Postern.Client.GetAsync("/v1/convai/users?cursor=***", Cancel);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, wrong.StatusCode);
    }

    private Task<JsonElement> GetAsync(string path) => Postern.Client.GetFromJsonAsync<JsonElement>(path, Cancel);

    private async Task<string> HoldAsync(string agent, string? user = null)
    {
        using var client = await TalkClient.ConnectAsync(await Postern.SignedUrlAsync(agent));
        await client.SayAsync(user is null ? TalkClient.TextOpening : $$"""{"type":"conversation_initiation_client_data","user_id":"{{user}}"}""");
        await client.MetadataAsync();
        await client.SayAsync("""{"type":"multimodal_message","text":{"text":"hi"}}""");
        await client.AnswerAsync();
        await client.HangUpAsync();
        await Postern.EndedAsync(client.ConversationId);
        return client.ConversationId;
    }

    // Keys made by another process are known within the feed's interval.
    private async Task<string> AskAsync(string method, string path, string? key, string expected)
    {
        using var client = new HttpClient();
        for (var attempt = 0; ; attempt++)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), $"{Postern.Http}/v1/convai/conversations{path}");
            if (key is not null)
            {
                request.Headers.Add("xi-api-key", key);
            }
            using var answer = await client.SendAsync(request, Cancel);
            var text = await answer.Content.ReadAsStringAsync(Cancel);
            if (text.Contains(expected, StringComparison.Ordinal) || attempt == 40)
            {
                return text;
            }
            await Task.Delay(50, Cancel);
        }
    }
}
