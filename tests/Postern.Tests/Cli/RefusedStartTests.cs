using System.Net;
using System.Net.Sockets;
using Postern.Server.Storage;

namespace Postern.Tests.Cli;

/// <summary>What keeps the executable from starting: an exit code and one sentence, never a stack trace.</summary>
public sealed class RefusedStartTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("postern-start-").FullName;

    [Theory]
    [InlineData(2, "serve --htp 127.0.0.1:0", "Did you mean --http?")]
    [InlineData(2, "sreve", "Did you mean serve?")]
    [InlineData(2, "keys lst", "Did you mean keys list?")]
    [InlineData(2, "serve --certificate-path no.pem", "Did you mean --certificate:certificate-path?")]
    [InlineData(2, "keys", "postern keys create")]
    [InlineData(2, "keys revoke", "postern keys revoke KEY_ID")]
    [InlineData(2, "serve --http", "needs a value")]
    [InlineData(2, "serve --http 127.0.0.1:0 --http 127.0.0.1:0", "given twice")]
    [InlineData(2, "serve --http 8080", "ADDRESS:PORT")]
    [InlineData(2, "serve --sessions:max-duration 2d", "between 1s and 24h")]
    [InlineData(2, "serve --http off --https off", "Both http and https are off")]
    [InlineData(1, "serve --http 0.0.0.0:0", "set --public-address")]
    [InlineData(1, "serve --certificate:certificate-path no.pem --certificate:key-path no.key", "no.pem")]
    [InlineData(1, "serve --database nonsense", "Host=…")]
    public async Task CommandLine_ThatIsWrong_IsOneSentence(int code, string words, string sentence) =>
        AssertRefused(code, sentence, await PosternProcess.RunAsync(folder, Words(words)));

    [Theory]
    [InlineData(2, "POSTERN__SESSION__IDLE", "5m", "Did you mean POSTERN__SESSIONS__IDLE?")]
    [InlineData(2, "POSTERN_HTTP", "off", "Did you mean POSTERN__HTTP?")]
    [InlineData(2, "POSTERN__SIGNEDURLS__STARTWITHIN", "25h", "between 10s and 24h")]
    [InlineData(1, "POSTERN_API_KEY", "too-short", "at least 32")]
    [InlineData(1, "ASPNETCORE_FORWARDEDHEADERS_ENABLED", "true", "remove that environment variable")]
    [Trait("attack", "D3")]
    public async Task Environment_ThatIsWrong_IsOneSentence(int code, string name, string value, string sentence) =>
        AssertRefused(code, sentence, await PosternProcess.RunAsync(folder, Words("serve"), (name, value)));

    [Theory]
    [InlineData("""{ "Postern": { "Sesions": { "Idle": "1m" } } }""", "Did you mean Sessions:Idle?")]
    [InlineData("""{ "Postern": """, "cannot be read")]
    public async Task File_ThatIsWrong_IsOneSentence(string text, string sentence)
    {
        await File.WriteAllTextAsync(Path.Combine(folder, "appsettings.json"), text, TestContext.Current.CancellationToken);

        AssertRefused(2, sentence, await PosternProcess.RunAsync(folder, Words("serve")));
    }

    [Theory]
    [InlineData("--http", "http")]
    [InlineData("--https", "https")]
    public async Task Port_InUse_NamesTheAddressAndTheOption(string option, string scheme)
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();

        AssertRefused(1, $"{scheme}://{taken.LocalEndpoint} is in use by another program: stop that, or choose another port with {option}.",
            await PosternProcess.RunAsync(folder, Words($"serve --{(scheme == "http" ? "https" : "http")} off {option} {taken.LocalEndpoint}")));
    }

    [Fact]
    public async Task Address_OfAnotherMachine_IsOneSentence() =>
        AssertRefused(1, "not one of this machine's", await PosternProcess.RunAsync(folder, Words("serve --https off --http 192.0.2.1:0 --public-address https://agents.example.com")));

    [Fact]
    public async Task DataFolder_BelowAFile_IsOneSentence()
    {
        var file = Path.Combine(folder, "file");
        await File.WriteAllTextAsync(file, "", TestContext.Current.CancellationToken);

        AssertRefused(1, "choose another folder with --data", await PosternProcess.RunAsync(folder, ["serve", "--data", Path.Combine(file, "data")]));
    }

    [Theory]
    [InlineData("serve")]
    [InlineData("migrate")]
    [InlineData("keys list")]
    public async Task Database_OfANewerVersion_IsOneSentence(string command)
    {
        await using (var database = Database.Sqlite(Path.Combine(folder, "postern.db")))
        {
            database.Migrate(DateTimeOffset.UnixEpoch);
            await using var connection = database.Open();
            await using var insert = connection.CreateCommand();
            insert.CommandText = "insert into migration (version, at) values (999, 0)";
            await insert.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }

        AssertRefused(1, "start the newer Postern", await PosternProcess.RunAsync(folder, Words(command)));
    }

    [Fact]
    public async Task DataFolder_ThatIsServed_IsTakenByNoSecondServer()
    {
        string[] words = ["serve", "--http", "127.0.0.1:0", "--https", "off", "--data", folder];
        await using (var first = PosternProcess.Start(folder, words))
        {
            await first.LineAsync("Listening on");
            AssertRefused(1, "Another postern serves the data folder", await PosternProcess.RunAsync(folder, words));
            Assert.Equal(0, (await PosternProcess.RunAsync(folder, ["keys", "list", "--data", folder])).ExitCode);
        }

        // It was killed: the folder is free again.
        await using var next = PosternProcess.Start(folder, words);
        await next.LineAsync("Listening on");
    }

    [Theory]
    [InlineData("keys list")]
    [InlineData("keys create")]
    [InlineData("agents list")]
    [InlineData("try")]
    public async Task DataFolder_Mistyped_BecomesNoNewDatabase(string command)
    {
        var mistyped = Path.Combine(folder, "mistyped");

        AssertRefused(1, "name the right folder with --data", await PosternProcess.RunAsync(folder, [.. command.Split(' '), "--data", mistyped]));
        Assert.False(Directory.Exists(mistyped));
    }

    [Fact]
    public async Task Database_ThatIsNone_IsOneSentence()
    {
        await File.WriteAllTextAsync(Path.Combine(folder, "postern.db"), new string('x', 8192), TestContext.Current.CancellationToken);

        AssertRefused(1, "file is not a database", await PosternProcess.RunAsync(folder, Words("serve")));
    }

    [Fact]
    public async Task Database_OutOfReach_IsOneSentence()
    {
        using var closed = new TcpListener(IPAddress.Loopback, 0);
        closed.Start();
        var port = ((IPEndPoint)closed.LocalEndpoint).Port;
        closed.Stop();

        AssertRefused(1, "The database cannot be opened", await PosternProcess.RunAsync(folder,
            ["serve", "--data", folder, "--database", $"Host=127.0.0.1;Port={port};Username=u;Password=hunter2;Database=d;Timeout=3"]));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    // Free ports, so that a test that should be refused and is not takes nobody's place.
    private string[] Words(string words) => words.StartsWith("serve", StringComparison.Ordinal)
        ? [.. words.Split(' '), "--data", folder, .. words.Contains("--http ", StringComparison.Ordinal) || words.EndsWith("--http", StringComparison.Ordinal) ? Array.Empty<string>() : ["--http", "127.0.0.1:0"],
            .. words.Contains("--https", StringComparison.Ordinal) ? Array.Empty<string>() : ["--https", "127.0.0.1:0"]]
        : words.StartsWith("migrate", StringComparison.Ordinal) || words.EndsWith("list", StringComparison.Ordinal) ? [.. words.Split(' '), "--data", folder] : words.Split(' ');

    private static void AssertRefused(int code, string sentence, (int ExitCode, string Output, string Errors) run)
    {
        var lines = run.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries);

        Assert.Contains(sentence, run.Errors, StringComparison.Ordinal);
        Assert.Equal(code, run.ExitCode);
        Assert.Single(lines);
        Assert.Empty(run.Output);
        Assert.DoesNotContain("Exception", run.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", run.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", run.Errors, StringComparison.Ordinal);
    }
}
