using System.Net;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using Postern.Tests.Credentials;

namespace Postern.Tests.Dialects.Algolia;

/// <summary>Speaks the vendor's REST as its clients do, with application id and key as headers.</summary>
internal sealed class AlgoliaClient(TestPostern postern, string key = TestPostern.Key, string application = "default") : IDisposable
{
    public const string Keys = "/agent-studio/1/secret-keys";
    public const string TokenHeader = "X-Algolia-Secure-User-Token";

    private readonly HttpClient http = new() { BaseAddress = new Uri(postern.Http) };

    public async Task<(HttpStatusCode Status, JsonElement Body, HttpResponseMessage Answer)> SendAsync(
        HttpMethod method, string path, string? body = null, IEnumerable<(string Name, string Value)>? headers = null, bool credentials = true)
    {
        using var request = new HttpRequestMessage(method, path);
        if (credentials)
        {
            request.Headers.Add("x-algolia-application-id", application);
            request.Headers.Add("x-algolia-api-key", key);
        }
        foreach (var (name, value) in headers ?? [])
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        if (body is not null)
        {
            request.Content = new StringContent(body, System.Text.Encoding.UTF8, "text/plain"); // as the vendor's clients call JSON
        }
        var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return (answer.StatusCode, text.Length == 0 ? default : JsonElement.Parse(text), answer);
    }

    /// <summary>Makes a secret key; <paramref name="more"/> is the members beside its name.</summary>
    public async Task<(string Id, string Value)> CreateKeyAsync(string more = "")
    {
        var (status, body, _) = await SendAsync(HttpMethod.Post, Keys, $$"""{"name":"test"{{(more.Length > 0 ? "," : "")}}{{more}}}""");
        Assert.True(status == HttpStatusCode.Created, $"{body}");
        return (body.GetProperty("id").GetString()!, body.GetProperty("value").GetString()!);
    }

    /// <summary>A genuine token of a user for an hour.</summary>
    public string Token((string Id, string Value) key, string user = "alice", string more = "", int lifetime = 3600) =>
        Sign(key, UserTokenForge.Claims(JsonSerializer.Serialize(user), postern.Clock.GetUtcNow().ToUnixTimeSeconds() + lifetime, more));

    /// <summary>These claims under a genuine signature.</summary>
    public static string Sign((string Id, string Value) key, string claims) => UserTokenForge.Sign($$"""{"alg":"HS256","typ":"JWT","kid":"{{key.Id}}"}""", claims, key.Value);

    /// <summary>What the server says of a token: no message when it is accepted. No user may see keys, so that a good token is forbidden them.</summary>
    public async Task<(HttpStatusCode Status, string? Message)> VerdictAsync(string token)
    {
        var (status, body, _) = await SendAsync(HttpMethod.Get, Keys, headers: [(TokenHeader, token)]);
        return (status, status == HttpStatusCode.Forbidden ? null : body.GetProperty("message").GetString());
    }

    public void Dispose() => http.Dispose();

    /// <summary>The refusals of the audit trail, once there are so many: a refusal is answered before its row is written.</summary>
    public static Task<IReadOnlyList<(string Reason, string? Detail)>> RefusalsAsync(TestPostern postern, int count) => RowsAsync(postern, "session.refused", count);

    /// <summary>The rows of this name in the audit trail, once there are so many.</summary>
    public static async Task<IReadOnlyList<(string Reason, string? Detail)>> RowsAsync(TestPostern postern, string name, int count)
    {
        for (var attempt = 0; ; attempt++)
        {
            using var connection = new SqliteConnection($"Data Source={Path.Combine(postern.Folder, "postern.db")}");
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "select reason, detail from audit where name = $name order by seq";
            command.Parameters.AddWithValue("$name", name);
            using var reader = command.ExecuteReader();
            var rows = new List<(string, string?)>();
            while (reader.Read())
            {
                rows.Add((reader.GetString(0), reader.IsDBNull(1) ? null : reader.GetString(1)));
            }
            if (rows.Count >= count)
            {
                return rows;
            }
            Assert.True(attempt < 100, $"{rows.Count} rows {name} of {count} were recorded");
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
    }
}
