using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Postern.Tests.Admin;

/// <summary>The description of our own routes, held against the routes and their answers.</summary>
public class OpenApiTests
{
    private static readonly string[] Own = ["/v1/credentials", "/api/", "/health/", "/try", "/openapi.json"];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Document_Routes_AreThoseThatAreMapped()
    {
        await using var postern = await TestPostern.StartAsync();
        var described =
            from path in (await DocumentAsync(postern)).GetProperty("paths").EnumerateObject()
            from operation in path.Value.EnumerateObject()
            select $"{operation.Name.ToUpperInvariant()} {path.Name}";
        var mapped =
            from endpoint in postern.Host.Endpoints.OfType<RouteEndpoint>()
            let path = endpoint.RoutePattern.RawText!
            where Own.Any(own => path.StartsWith(own, StringComparison.Ordinal))
            from method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods
            select $"{method} {(path.StartsWith("/try/", StringComparison.Ordinal) && path.Contains('.', StringComparison.Ordinal) ? "/try/{file}" : path)}";

        Assert.Equal(mapped.Distinct().Order(StringComparer.Ordinal), described.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Document_References_Resolve()
    {
        await using var postern = await TestPostern.StartAsync();
        var document = await DocumentAsync(postern);

        foreach (var reference in References(document))
        {
            _ = Resolve(document, reference);
        }
    }

    [Fact]
    public async Task Answers_OfOurRoutes_AreAsDescribed()
    {
        await using var postern = await TestPostern.StartAsync();
        var document = await DocumentAsync(postern);
        async Task<JsonElement> Check(HttpMethod method, string path, string described, object? body = null)
        {
            using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
            using var answer = await postern.Client.SendAsync(request, Cancel);
            var read = await answer.Content.ReadFromJsonAsync<JsonElement>(Cancel);
            var status = $"{(int)answer.StatusCode}";
            var responses = document.GetProperty("paths").GetProperty(described).GetProperty(method.Method.ToLowerInvariant()).GetProperty("responses");
            var response = responses.GetProperty(status);
            response = response.TryGetProperty("$ref", out var reference) ? Resolve(document, reference.GetString()!) : response;
            var content = response.GetProperty("content").EnumerateObject().Single();
            Assert.Equal(content.Name, answer.Content.Headers.ContentType!.MediaType);
            Fits(document, content.Value.GetProperty("schema"), read, $"{method} {path} {status}");
            return read;
        }

        var minted = await Check(HttpMethod.Post, "/v1/credentials", "/v1/credentials", new { kind = "personal_access_token", subject = "ann" });
        var id = minted.GetProperty("id").GetString();
        await Check(HttpMethod.Post, "/v1/credentials", "/v1/credentials", new { kind = "signed_url", agent_id = "agent_echo", uses = 1, max_duration_seconds = 60 });
        await Check(HttpMethod.Post, "/v1/credentials", "/v1/credentials", new { kind = "nothing" });
        await Check(HttpMethod.Get, $"/v1/credentials/{id}", "/v1/credentials/{id}");
        await Check(HttpMethod.Get, "/v1/credentials/unknown", "/v1/credentials/{id}");
        await Check(HttpMethod.Post, $"/v1/credentials/{id}/extend", "/v1/credentials/{id}/extend");
        await Check(HttpMethod.Post, $"/v1/credentials/{id}/revoke", "/v1/credentials/{id}/revoke");
        await Check(HttpMethod.Post, $"/v1/credentials/{id}/extend", "/v1/credentials/{id}/extend");
        await Check(HttpMethod.Post, "/api/agents", "/api/agents", new { name = "made", dialect = "xai", @private = false });
        await Check(HttpMethod.Post, "/api/agents", "/api/agents", new { name = "made", dialect = "none" });
        await Check(HttpMethod.Get, "/api/agents", "/api/agents");
        await Check(HttpMethod.Put, "/api/agents/agent_echo/media", "/api/agents/{id}/media", new { url = "wss://livekit.example.com", key = "k", secret = "s" });
        await Check(HttpMethod.Put, "/api/agents/agent_echo/aliases", "/api/agents/{id}/aliases", new { aliases = new[] { "other" } });
        await Check(HttpMethod.Put, "/api/agents/agent_echo/dialects", "/api/agents/{id}/dialects", new { only = new[] { "convai" } });
        await Check(HttpMethod.Put, "/api/agents/agent_echo/dialects", "/api/agents/{id}/dialects", new { only = new[] { "none" } });
        await Check(HttpMethod.Put, "/api/agents/agent_echo/dialect", "/api/agents/{id}/dialect", new { dialect = "elevenlabs" });
        await Check(HttpMethod.Put, "/api/agents/agent_echo/upstream", "/api/agents/{id}/upstream", new { kind = "relay", url = "wss://agent.example.com", headers = new { x = "y" } });
        await Check(HttpMethod.Get, "/api/agents/agent_echo/upstream", "/api/agents/{id}/upstream");
        await Check(HttpMethod.Delete, "/api/agents/agent_echo/media", "/api/agents/{id}/media");
        await Check(HttpMethod.Post, "/api/user-token-cut-offs", "/api/user-token-cut-offs", new { subject = "ann" });
        await Check(HttpMethod.Post, "/api/user-token-cut-offs", "/api/user-token-cut-offs", new { key_id = "unknown" });
        await Check(HttpMethod.Post, "/api/user-token-cut-offs", "/api/user-token-cut-offs", new { });
        await Check(HttpMethod.Get, "/api/user-token-cut-offs", "/api/user-token-cut-offs");
        await Check(HttpMethod.Get, "/api/sessions", "/api/sessions");
        await Check(HttpMethod.Post, "/api/sessions/unknown/end", "/api/sessions/{id}/end");
    }

    private static async Task<JsonElement> DocumentAsync(TestPostern postern)
    {
        using var anybody = new HttpClient();
        return await anybody.GetFromJsonAsync<JsonElement>(postern.Http + "/openapi.json", Cancel);
    }

    private static void Fits(JsonElement document, JsonElement schema, JsonElement value, string place)
    {
        if (schema.TryGetProperty("$ref", out var reference))
        {
            Fits(document, Resolve(document, reference.GetString()!), value, place);
            return;
        }
        if (schema.TryGetProperty("enum", out var choices))
        {
            Assert.True(choices.EnumerateArray().Any(choice => choice.GetString() == value.GetString()), $"{place}: {value}");
            return;
        }
        var types = schema.GetProperty("type");
        var name = value.ValueKind switch
        {
            JsonValueKind.String => "string",
            JsonValueKind.Number => "integer",
            JsonValueKind.True or JsonValueKind.False => "boolean",
            JsonValueKind.Array => "array",
            JsonValueKind.Null => "null",
            _ => "object",
        };
        Assert.True(types.ValueKind == JsonValueKind.Array ? types.EnumerateArray().Any(type => type.GetString() == name) : types.GetString() == name, $"{place}: {value} is no {types}");
        if (name == "array")
        {
            foreach (var item in value.EnumerateArray())
            {
                Fits(document, schema.GetProperty("items"), item, place + "[]");
            }
        }
        if (name == "object" && schema.TryGetProperty("properties", out var properties))
        {
            foreach (var required in schema.GetProperty("required").EnumerateArray())
            {
                Assert.True(value.TryGetProperty(required.GetString()!, out _), $"{place}.{required}: missing");
            }
            foreach (var member in value.EnumerateObject())
            {
                Assert.True(properties.TryGetProperty(member.Name, out var described), $"{place}.{member.Name}: not described");
                Fits(document, described, member.Value, $"{place}.{member.Name}");
            }
        }
    }

    private static JsonElement Resolve(JsonElement document, string reference) =>
        reference.Split('/').Skip(1).Aggregate(document, (found, name) => found.GetProperty(name));

    private static IEnumerable<string> References(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().SelectMany(member => member.Name == "$ref" ? [member.Value.GetString()!] : References(member.Value)),
        JsonValueKind.Array => element.EnumerateArray().SelectMany(References),
        _ => [],
    };
}
