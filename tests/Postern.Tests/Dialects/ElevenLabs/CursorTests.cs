using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Postern.Core.Credentials;
using Postern.Server.Storage;

namespace Postern.Tests.Dialects.ElevenLabs;

/// <summary>Where a list goes on is what this server wrote, for this list, to the letter.</summary>
public sealed class CursorTests
{
    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    private static readonly string[] Lists =
        ["agents?page_size=1", "agents?page_size=1&sort_by=name", "agents?page_size=1&sort_by=call_count_7d", "conversations?page_size=1", "users?page_size=1"];

    [Fact]
    [Trait("attack", "F12")]
    public async Task Cursor_ChangedMadeUpOrOfAnotherList_IsRefused()
    {
        await using var postern = await TestPostern.StartAsync();
        var agent = await TalkClient.CreateAgentAsync(postern, settings: """{"auth":{"enable_auth":false}}""");
        foreach (var user in new[] { "ann", "bob" })
        {
            await HoldAsync(postern, agent, user);
        }
        var cursors = new List<string>();
        foreach (var list in Lists)
        {
            var page = await postern.Client.GetFromJsonAsync<JsonElement>("/v1/convai/" + list, TestContext.Current.CancellationToken);
            cursors.Add(page.GetProperty("next_cursor").GetString()!);
        }
        for (var list = 0; list < Lists.Length; list++)
        {
            Assert.Equal(HttpStatusCode.OK, await GetAsync(postern, Lists[list], cursors[list]));
            foreach (var other in cursors.Where((_, i) => i != list).Concat(MadeUp(agent)).Concat(Changed(cursors[list])))
            {
                Assert.True(await GetAsync(postern, Lists[list], other) == HttpStatusCode.UnprocessableEntity, $"{Lists[list]} took {other} for {cursors[list]}");
            }
        }
    }

    [Fact]
    [Trait("attack", "F12")]
    public void Cursor_OfAnotherKeyOrWithoutAMac_IsNone()
    {
        var ours = new Cursors(new byte[32]);
        var cursor = ours.Write("users", "ann");
        Assert.Equal("ann", ours.Read("users", cursor));
        Assert.Equal("", ours.Read("users", ours.Write("users", "")));
        Assert.Null(new Cursors([.. new byte[31], 1]).Read("users", cursor));
        Assert.Null(ours.Read("user", ours.Write("users", "\0ann")));
        Assert.All(["", "*", "a", cursor[..20], cursor + "=", cursor + "AA"], text => Assert.Null(ours.Read("users", text)));
    }

    private static async Task HoldAsync(TestPostern postern, string agent, string user)
    {
        using var socket = await Flow.ConnectTests.Open(postern.Address($"agent_id={agent}"));
        await Flow.SessionTests.Send(socket, $$"""{"type":"conversation_initiation_client_data","user_id":"{{user}}"}""");
        var metadata = JsonElement.Parse(await Flow.ConnectTests.Text(socket)).GetProperty("conversation_initiation_metadata_event");
        await socket.CloseAsync(System.Net.WebSockets.WebSocketCloseStatus.NormalClosure, null, TestContext.Current.CancellationToken);
        await postern.EndedAsync(metadata.GetProperty("conversation_id").GetString()!);
    }

    private static async Task<HttpStatusCode> GetAsync(TestPostern postern, string list, string cursor)
    {
        using var answer = await postern.Client.GetAsync($"/v1/convai/{list}&cursor={cursor}", TestContext.Current.CancellationToken);
        return answer.StatusCode;
    }

    // As they would be without a MAC, and with one of nothing.
    private static IEnumerable<string> MadeUp(string agent) =>
        new[] { $"c{agent}\n1", $"{agent}\n1", "1 conv_a", "ann", "' or 1=1 --" }.SelectMany(text => new[]
        {
            Base64Text.Encode(Encoding.UTF8.GetBytes(text)), Base64Text.Encode([.. new byte[16], .. Encoding.UTF8.GetBytes(text)]),
        });

    private static IEnumerable<string> Changed(string cursor)
    {
        for (var i = 0; i < cursor.Length; i++)
        {
            yield return cursor[..i] + Alphabet[(Alphabet.IndexOf(cursor[i], StringComparison.Ordinal) + 16) % 64] + cursor[(i + 1)..];
        }
        yield return cursor[..^4];
        yield return cursor + "AAAA";
    }
}
