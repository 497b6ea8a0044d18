using System.Text.Json;
using Postern.Tests.Cli;
using Postern.Tests.Flow;

namespace Postern.Tests.Agents.Chat;

/// <summary>Chat endpoints as they are on the internet: TLS and HTTP/2; set by the command line, beside a running server.</summary>
public sealed class TlsTests : IDisposable
{
    private const string Key = "a-key-for-tests-of-more-than-32-characters";

    private readonly string folder = System.IO.Directory.CreateTempSubdirectory("postern-tls-").FullName;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Endpoint_OverTlsAndHttp2_IsAskedOnceItsAuthorityIsTrusted(bool isTrusted)
    {
        using var root = TestCertificates.Root();
        using var certificate = TestCertificates.Server(root, "localhost");
        var trusted = Path.Combine(folder, "root.pem");
        await File.WriteAllTextAsync(trusted, root.ExportCertificatePem(), Cancel);
        await using var chat = await FakeChat.StartAsync(certificate);
        await using var process = PosternProcess.Start(folder, ["serve", "--http", "127.0.0.1:0", "--https", "off", "--data", Data, "--agents:allow-private-upstreams", "true"],
            ("POSTERN_API_KEY", Key), ("SSL_CERT_FILE", isTrusted ? trusted : "/dev/null"));
        using var client = new HttpClient { BaseAddress = new Uri((await process.LineAsync("Listening on http://")).Split(' ')[^1]) };
        client.DefaultRequestHeaders.Add("X-API-Key", Key);
        var (code, output, errors) = await PosternProcess.RunAsync(folder, ["agents", "set-upstream", "agent_echo", chat.Url.Replace("127.0.0.1", "localhost", StringComparison.Ordinal), "--model", "m-1", "--data", Data],
            ("POSTERN_CHAT_KEY", FakeChat.Key));
        Assert.True(code == 0, errors);
        Assert.Contains("agent_echo asks m-1 at https://localhost:", output, StringComparison.Ordinal);

        await UntilAsync(client, isTrusted ? "Hello there" : "The agent could not answer.");
        if (!isTrusted)
        {
            Assert.Equal(0, chat.Count);
            return;
        }
        var asked = await chat.NextAsync();
        Assert.Equal(("HTTP/2", "Bearer " + FakeChat.Key), (asked.Protocol, asked.Authorization));

        chat.Script = TalkTests.Endless;
        using (var left = await SayAsync(client))
        {
            await left.Content.ReadAsStreamAsync(Cancel);
            asked = await chat.NextAsync();
        }
        await asked.Left; // one stream is reset, the connection stays for the others
    }

    public void Dispose() => System.IO.Directory.Delete(folder, recursive: true);

    private string Data => Path.Combine(folder, "data");

    // The running server hears of what the command line has set in a moment.
    private static async Task UntilAsync(HttpClient client, string answer)
    {
        for (var attempt = 0; ; attempt++)
        {
            using var said = await SayAsync(client);
            var text = await said.Content.ReadAsStringAsync(Cancel);
            if (text.Contains(JsonSerializer.Serialize(answer), StringComparison.Ordinal))
            {
                return;
            }
            Assert.True(attempt < 50, text);
            await Task.Delay(100, Cancel);
        }
    }

    private static Task<HttpResponseMessage> SayAsync(HttpClient client)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/connect/stream")
        {
            Content = new MultipartFormDataContent { { new StringContent("agent_echo"), "character_id" }, { new StringContent("hello"), "text_input" } },
        };
        return client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
    }
}
