using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Postern.Tests.Storage;
using static Postern.Tests.Dialects.Algolia.UserScene;

namespace Postern.Tests.Dialects.Algolia;

/// <summary>
/// Requests of two users and of nobody in particular at random, on many connections at once, under the same conversation ids and with
/// the others' ids known: whatever is asked in whatever order, no answer holds a byte of another's canary.
/// </summary>
public sealed class InterleavingTests
{
    private const int Connections = 16;
    private const int Requests = 100_000;
    private const int Known = 16;
    private const string Memory = "/agent-studio/1/memory";
    private const string UserData = "/agent-studio/1/user-data/";
    private static readonly string Completions = $"/agent-studio/1/agents/{Agent}/completions?compatibilityMode=ai-sdk-5&stream=";
    private static readonly string[] Users = ["ann", "bob"];
    private static readonly string[] Ids = ["c0", "c1", "c2", "c3"];

    [Theory]
    [Trait("attack", "F1")]
    [InlineData(Engine.Sqlite)]
    [InlineData(Engine.Postgres)]
    public async Task Interleavings_OfTwoUsersRequests_NeverShowAByteOfTheOther(Engine engine)
    {
        await using var scene = await StartAsync(engine, options => options.Memory.MaxRecords = 10);
        var known = Enumerable.Repeat("none", Known).ToArray();
        var statuses = new ConcurrentDictionary<(string, HttpStatusCode), int>();
        var (left, own) = (Requests, 0);

        await Task.WhenAll(Enumerable.Range(0, Connections).Select(worker => Task.Run(async () =>
        {
            var (dice, user) = (new Dice((ulong)worker + 1), Users[worker % Users.Length]);
            var token = scene.Token(user);
            while (Interlocked.Decrement(ref left) >= 0)
            {
                var (name, send) = Throw(scene, dice, user, token, known);
                var (answer, shown) = (await send, name == "say as nobody" ? "nobody" : user);
                var text = answer.Text + Joined(answer.Text);
                statuses.AddOrUpdate((name, answer.Status), 1, static (_, count) => count + 1);
                if (answer.Headers.Contains("canary-", StringComparison.Ordinal) || Others(shown).Any(other => text.Contains("canary-" + other, StringComparison.Ordinal)))
                {
                    Assert.Fail($"{shown} was shown another's words by {name}: {answer.Bytes}");
                }
                if (text.Contains("canary-" + user, StringComparison.Ordinal))
                {
                    Interlocked.Increment(ref own);
                }
                Learn(known, answer, dice);
            }
        })));

        // Had they seen nothing at all, nothing would be shown by it.
        Assert.True(own > Requests / 10, $"only {own} answers held the user's own words: {string.Join(", ", statuses)}");
        Assert.DoesNotContain(statuses.Keys, seen => seen.Item2 >= HttpStatusCode.InternalServerError);
        foreach (var name in new[] { "say", "list", "show", "delete", "remember", "recall", "memories", "search", "memory", "forget", "change", "vote", "user data", "export", "erase" })
        {
            Assert.Contains(statuses.Keys, seen => seen.Item1 == name && (int)seen.Item2 is >= 200 and < 300);
        }
        TestContext.Current.TestOutputHelper?.WriteLine(string.Join('\n', statuses.OrderBy(seen => seen.Key.Item1).Select(seen => $"{seen.Key.Item1} {(int)seen.Key.Item2}: {seen.Value}")));
    }

    private static IEnumerable<string> Others(string shown) => Users.Append("nobody").Where(other => other != shown);

    // What a stream tells in pieces.
    private static string Joined(string text) => !text.StartsWith("data:", StringComparison.Ordinal) ? "" : string.Concat(text.Split('\n')
        .Where(line => line.StartsWith("data: {", StringComparison.Ordinal)).Select(line => JsonElement.Parse(line[6..]).TryGetProperty("delta", out var delta) ? delta.GetString() : ""));

    private static (string Name, Task<Answer> Send) Throw(UserScene scene, Dice dice, string user, string token, IReadOnlyList<string> known)
    {
        var (id, guess, whose) = (dice.Of(Ids), dice.Of(known), dice.Of(Users));
        var canary = $"canary-{user}-{dice.Next(1000)}";
        return dice.Next(100) switch
        {
            < 6 => ("say", Say(user, token, canary)),
            < 7 => ("say as nobody", Say("nobody", null, $"canary-nobody-{dice.Next(1000)}")),
            < 8 => ("say what is to be remembered", Say(user, token, $"remember that {canary}")),
            < 9 => ("recall", Say(user, token, "what do you remember?")),
            < 30 => ("list", Send("GET", $"{Conversations}?limit=3&page={1 + dice.Next(2)}&includeFeedback={(dice.Next(2) == 0 ? "true" : "false")}&userToken={whose}", scene.SearchKey)),
            < 72 => ("show", Send("GET", $"{Conversations}/{(dice.Next(5) == 0 ? guess : id)}?userToken={whose}", dice.Next(2) == 0 ? scene.SearchKey : scene.LogsKey)),
            < 74 => ("delete", Send("DELETE", $"{Conversations}/{id}?userToken={whose}", scene.LogsKey)),
            < 77 => ("remember", Send("POST", Memory + "/semantic", scene.LogsKey, $$"""{"text":"{{canary}}","rawExtract":"{{canary}}","agentIds":["{{Agent}}"]}""")),
            < 81 => ("memories", Send("GET", $"{Memory}?agentIds={Agent}&limit=5&userToken={whose}", scene.LogsKey)),
            < 84 => ("search", Send("POST", Memory + "/search", scene.LogsKey, $$"""{"queries":["canary ann bob nobody"],"agentIds":["{{Agent}}"]}""")),
            < 86 => ("memory", Send("GET", $"{Memory}/{guess}?agentIds={Agent}", scene.LogsKey)),
            < 88 => ("change", Send("PATCH", $"{Memory}/{guess}?agentIds={Agent}", scene.LogsKey, $$"""{"text":"{{canary}}"}""")),
            < 91 => ("forget", Send("DELETE", $"{Memory}/{guess}?agentIds={Agent}", scene.LogsKey)),
            < 95 => ("vote", Send("POST", "/agent-studio/1/feedback", scene.SearchKey, $$"""{"messageId":"{{guess}}","agentId":"{{Agent}}","vote":1,"notes":"{{canary}}"}""")),
            < 97 => ("user data", Send("GET", UserData + whose, scene.LogsKey)),
            < 98 => ("export", Send("GET", Conversations + "/export", scene.LogsKey)),
            < 99 => ("erase", Send("DELETE", UserData + whose, scene.LogsKey)),
            _ => ("unfit key", Send("GET", Conversations + "/export", scene.SearchKey)),
        };

        Task<Answer> Send(string method, string path, string key, string? body = null) => scene.SendAsync(method, path, key, token, body);

        Task<Answer> Say(string speaker, string? with, string text) => scene.SendAsync("POST", Completions + (dice.Next(2) == 0 ? "true" : "false"), scene.SearchKey, with,
            $$"""{"id":"{{id}}","messages":[{"id":"q{{dice.Next(100_000)}}","role":"user","parts":[{"type":"text","text":"{{text}} from {{speaker}}"}]}]}""");
    }

    // Ids are no secrets: what one user has been told the other knows.
    private static void Learn(string[] known, Answer answer, Dice dice)
    {
        if (dice.Next(4) != 0 || !answer.Text.StartsWith('{'))
        {
            return;
        }
        var found = JsonElement.Parse(answer.Text);
        if (found.TryGetProperty("objectID", out var memory))
        {
            known[dice.Next(Known)] = memory.GetString()!;
        }
        if (found.TryGetProperty("messages", out var messages) && messages.GetArrayLength() > 0)
        {
            known[dice.Next(Known)] = messages[messages.GetArrayLength() - 1].GetProperty("id").GetString()!;
        }
    }
}
