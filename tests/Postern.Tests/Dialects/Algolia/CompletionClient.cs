using System.Net;
using System.Text.Json;
using Postern.Core.Projects;
using Postern.Server.Storage;

namespace Postern.Tests.Dialects.Algolia;

/// <summary>Asks one agent for completions with a key fit for a page.</summary>
internal sealed class CompletionClient(TestPostern postern, string agent, string? token = null) : IDisposable
{
    private readonly HttpClient http = new() { BaseAddress = new Uri(postern.Http), Timeout = TimeSpan.FromSeconds(30) };
    private string? key;

    public Task<(int Status, string Text)> SendAsync(string body, string query = "compatibilityMode=ai-sdk-5") => SendAsync(new StringContent(body), query);

    public async Task<(int Status, string Text)> SendAsync(HttpContent content, string query = "compatibilityMode=ai-sdk-5", bool chunked = false)
    {
        using var request = await RequestAsync(content, query);
        request.Headers.TransferEncodingChunked = chunked;
        using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    public async Task<CompletionStream> StreamAsync(string body)
    {
        using var request = await RequestAsync(new StringContent(body), "compatibilityMode=ai-sdk-5");
        var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return new CompletionStream(answer, new StreamReader(await answer.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken)));
    }

    /// <summary>What is kept of a conversation, once it has so many messages: the user's own beside a user token.</summary>
    public async Task<List<(string Id, string Text)>> ConversationAsync(string id, int atLeast = 1)
    {
        for (var attempt = 0; ; attempt++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"/agent-studio/1/agents/{agent}/conversations/{id}");
            Sign(request, token is null ? TestPostern.Key : await KeyAsync());
            using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
            var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            var messages = answer.IsSuccessStatusCode ? [.. JsonElement.Parse(text).GetProperty("messages").EnumerateArray().Select(message =>
                (message.GetProperty("id").GetString()!, string.Concat(message.GetProperty("parts").EnumerateArray().Select(part => part.GetProperty("text").GetString()))))] : new List<(string, string)>();
            if (messages.Count >= atLeast)
            {
                return messages;
            }
            Assert.True(attempt < 250, text);
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Waits until the last session has ended for this reason.</summary>
    public async Task EndedAsync(string reason)
    {
        for (var attempt = 0; ; attempt++)
        {
            using var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={Path.Combine(postern.Folder, "postern.db")}");
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "select end_reason from session order by started_at desc limit 1";
            if (command.ExecuteScalar() as string is { } found)
            {
                Assert.Equal(reason, found);
                return;
            }
            Assert.True(attempt < 250, "the session did not end");
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    private async Task<HttpRequestMessage> RequestAsync(HttpContent content, string query)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, $"/agent-studio/1/agents/{agent}/completions?{query}") { Content = content };
        Sign(request, await KeyAsync());
        return request;
    }

    private void Sign(HttpRequestMessage request, string text)
    {
        request.Headers.Add("x-algolia-application-id", "default");
        request.Headers.Add("x-algolia-api-key", text);
        if (token is not null)
        {
            request.Headers.Add(AlgoliaClient.TokenHeader, token);
        }
    }

    private async Task<string> KeyAsync()
    {
        if (key is null)
        {
            await using var store = Store.Open(TestPostern.Options(postern.Folder), TimeProvider.System);
            key = ApiKeyText.Create();
            await store.Keys.CreateApiKeyAsync(ProjectId.Default, "page", key, Scopes.Converse);
            await Task.Delay(DirectoryFeed.Interval * 2, TestContext.Current.CancellationToken); // another process wrote it
        }
        return key;
    }

    public void Dispose() => http.Dispose();
}

/// <summary>An answer that is still coming, by the kinds of its events.</summary>
internal sealed class CompletionStream(HttpResponseMessage answer, StreamReader reader) : IDisposable
{
    public string MessageId { get; private set; } = "";

    /// <summary>The events up to the one that holds this text.</summary>
    public async Task<List<string>> UntilAsync(string text)
    {
        var kinds = new List<string>();
        while (await NextAsync() is { } data)
        {
            kinds.Add(data.GetProperty("type").GetString()!);
            if (data.GetRawText().Contains(text, StringComparison.Ordinal))
            {
                return kinds;
            }
        }
        throw new InvalidOperationException($"The stream ended before '{text}'.");
    }

    /// <summary>The events up to the end, which is marked as such.</summary>
    public async Task<List<string>> RestAsync()
    {
        var kinds = new List<string>();
        while (await NextAsync() is { } data)
        {
            kinds.Add(data.GetProperty("type").GetString()!);
        }
        return kinds;
    }

    private async Task<JsonElement?> NextAsync()
    {
        while (await reader.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(15)) is { } line)
        {
            if (line == "data: [DONE]")
            {
                return null;
            }
            if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                var data = JsonElement.Parse(line[6..]);
                MessageId = data.TryGetProperty("messageId", out var id) ? id.GetString()! : MessageId;
                return data;
            }
        }
        throw new InvalidOperationException("The stream ended without its mark.");
    }

    public void Dispose()
    {
        reader.Dispose();
        answer.Dispose();
    }
}
