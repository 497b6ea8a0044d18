using System.Net;
using System.Security.Cryptography.X509Certificates;
using Postern.Tests.Hosting;

namespace Postern.Tests.Cli;

/// <summary>The executable from its first start to SIGTERM.</summary>
public sealed class ServeTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("postern-serve-").FullName;

    [Fact]
    public async Task Serve_FirstAndSecondStart_SaysWhereAndTheKeyOnce()
    {
        await using var first = Start();
        var key = (await first.LineAsync("API key, shown this once: "))["API key, shown this once: ".Length..];
        var http = (await first.LineAsync("Listening on http://127.0.0.1:"))["Listening on ".Length..];
        var https = (await first.LineAsync("Listening on https://127.0.0.1:"))["Listening on ".Length..];
        Assert.Contains("/try#", await first.LineAsync("Try it"), StringComparison.Ordinal);

        Assert.Equal(HttpStatusCode.OK, await MintAsync(http, key));
        using var authority = X509CertificateLoader.LoadCertificateFromFile(Path.Combine(folder, "data", "dev-ca.pem"));
        var before = await TlsClient.HandshakeAsync(https, "localhost", authority);
        first.Terminate();
        var (code, _, errors) = await first.EndAsync();
        Assert.Equal((0, ""), (code, errors));

        await using var second = Start();
        http = (await second.LineAsync("Listening on http://"))["Listening on ".Length..];
        https = (await second.LineAsync("Listening on https://"))["Listening on ".Length..];
        Assert.Equal(HttpStatusCode.OK, await MintAsync(http, key));
        Assert.Equal(before, await TlsClient.HandshakeAsync(https, "localhost", authority));
        second.Terminate();
        (code, var output, _) = await second.EndAsync();
        Assert.Equal(0, code);
        Assert.DoesNotContain("API key", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Try it", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Serve_KeyFromTheEnvironment_IsTheFirstKeyAndNotPrinted()
    {
        const string Chosen = "an-operators-own-key-of-40-characters-xx";
        await using var postern = Start(("POSTERN_API_KEY", Chosen));
        var http = (await postern.LineAsync("Listening on http://"))["Listening on ".Length..];

        Assert.Equal(HttpStatusCode.OK, await MintAsync(http, Chosen));
        postern.Terminate();
        var (code, output, errors) = await postern.EndAsync();
        Assert.Equal(0, code);
        Assert.DoesNotContain(Chosen, output + errors, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("attack", "B17")]
    public async Task Serve_AskedForSignedUrls_LogsNoQuery()
    {
        await using var postern = PosternProcess.Start(folder, ["--http", "127.0.0.1:0", "--https", "off", "--data", "data", "--log:level", "debug"]);
        var key = (await postern.LineAsync("API key, shown this once: "))["API key, shown this once: ".Length..];
        var http = (await postern.LineAsync("Listening on http://"))["Listening on ".Length..];
        using var client = new HttpClient();
        using var refused = await client.GetAsync($"{http}/v1/convai/conversation?agent_id=agent_echo&conversation_signature=canary_in_the_query", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, await MintAsync(http, key));
        postern.Terminate();
        var (_, output, errors) = await postern.EndAsync();

        Assert.DoesNotContain("canary_in_the_query", output + errors, StringComparison.Ordinal);
        Assert.DoesNotContain("agent_id", output + errors, StringComparison.Ordinal);
        Assert.DoesNotContain(key, output.Replace("shown this once: " + key, "", StringComparison.Ordinal) + errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Folder_AfterTheFirstStart_HoldsNoFileForOthersButCertificates()
    {
        await using var postern = Start();
        await postern.LineAsync("Listening on https://");
        postern.Terminate();
        await postern.EndAsync();

        if (OperatingSystem.IsWindows()) Assert.Skip("Windows has no file modes.");
        else Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Path.Combine(folder, "data")));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private PosternProcess Start(params (string, string)[] environment) =>
        PosternProcess.Start(folder, ["--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--data", "data"], environment);

    private static async Task<HttpStatusCode> MintAsync(string http, string key)
    {
        using var client = new HttpClient { DefaultRequestHeaders = { { "xi-api-key", key } } };
        using var answer = await client.GetAsync($"{http}/v1/convai/conversation/get-signed-url?agent_id=agent_echo", TestContext.Current.CancellationToken);
        return answer.StatusCode;
    }
}
