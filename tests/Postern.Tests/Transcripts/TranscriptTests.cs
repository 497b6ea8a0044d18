using System.Net.Http.Headers;
using System.Text;
using Postern.Core.Projects;
using Postern.Server;
using Postern.Server.Settings;
using Postern.Server.Storage;

namespace Postern.Tests.Transcripts;

/// <summary>Replays every file under tests/transcripts against a server of its own.</summary>
public class TranscriptTests
{
    private const string Folder = "tests/transcripts/";

    public static TheoryData<string> Files => [.. SourceTree.Files(".http").Where(path => path.StartsWith(Folder, StringComparison.Ordinal)).Select(path => path[Folder.Length..])];

    [Theory]
    [MemberData(nameof(Files))]
    public async Task Transcript_Replayed_AnswersAsRecorded(string file)
    {
        var transcript = Transcript.Read(SourceTree.Read(Folder + file));
        var values = new Placeholders { ["key"] = TestPostern.Key };
        await using var postern = await TestPostern.StartAsync((folder, https) => Prepare(transcript, values, folder));
        values["http"] = postern.Http;
        postern.Clock.ToNextMinute();
        using var client = new HttpClient(new SocketsHttpHandler { UseCookies = false, AllowAutoRedirect = false }) { BaseAddress = new Uri(postern.Http), Timeout = TimeSpan.FromSeconds(20) };
        foreach (var exchange in transcript.Exchanges)
        {
            if (await ReplayAsync(client, exchange, values) is { } difference)
            {
                Assert.Fail($"{file}, '{exchange.Title}': {difference}");
            }
            postern.Clock.Advance(TimeSpan.FromMilliseconds(2)); // what is listed by time would be in any order within one
        }
    }

    private static async Task<string?> ReplayAsync(HttpClient client, Exchange exchange, Placeholders values)
    {
        using var request = new HttpRequestMessage(new HttpMethod(exchange.Method), values.Fill(exchange.Target));
        if (exchange.Body is not null)
        {
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(values.Fill(exchange.Body)));
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }
        foreach (var (name, value) in exchange.Headers)
        {
            if (name.Equals("content-type", StringComparison.OrdinalIgnoreCase))
            {
                request.Content!.Headers.Remove(name);
                request.Content.Headers.TryAddWithoutValidation(name, value);
            }
            else
            {
                request.Headers.TryAddWithoutValidation(name, values.Fill(value));
            }
        }
        using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
        var body = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        if ((int)answer.StatusCode != exchange.Status)
        {
            return $"{(int)answer.StatusCode} is not {exchange.Status}: {body}";
        }
        foreach (var (name, value) in exchange.AnswerHeaders)
        {
            var found = answer.Headers.TryGetValues(name, out var own) || answer.Content.Headers.TryGetValues(name, out own) ? string.Join(", ", own!) : "-";
            if (!values.Take(values.Fill(value), found))
            {
                return $"header {name}: {found} is not {value}";
            }
        }
        return exchange.AnswerBody is null ? null : values.Compare(exchange.AnswerBody, body) is { } difference ? $"{difference}\n{body}" : null;
    }

    private static PosternOptions Prepare(Transcript transcript, Placeholders values, string folder)
    {
        var options = TestPostern.Options(folder);
        foreach (var directive in transcript.Directives.Where(one => one[0] == "set"))
        {
            var setting = Setting.Find(directive[1]) ?? throw new FormatException($"No setting {directive[1]}.");
            Assert.True(SettingText.TryParse(setting, directive[2], out var value, out var expected), expected);
            setting.Write(options, value);
        }
        PrepareStoreAsync(transcript, values, options).GetAwaiter().GetResult();
        return options;
    }

    // @project NAME [dialect] [access] and @key NAME SCOPES [project], written before the server starts.
    private static async Task PrepareStoreAsync(Transcript transcript, Placeholders values, PosternOptions options)
    {
        await using var store = Store.Open(options, TimeProvider.System);
        await store.FirstStartAsync(options, TestPostern.Key);
        foreach (var directive in transcript.Directives)
        {
            switch (directive)
            {
                case ["project", var name, .. var settings]:
                    await store.Writer.WriteAsync(transaction => transaction.Execute("insert into project (id, name, dialect, default_access, created_at) values ($1, $1, $2, $3, 0)",
                        name, settings.ElementAtOrDefault(0), settings.ElementAtOrDefault(1)));
                    break;
                case ["key", var name, var scopes, .. var project]:
                    var granted = scopes == "all" ? Scopes.All : scopes.Split(',').Aggregate(Scopes.None, (sum, scope) => sum | ApiKey.ScopeNames[scope]);
                    values[name] = ApiKeyText.Create();
                    await store.Keys.CreateApiKeyAsync(new ProjectId(project is [var id] ? id : "default"), name, values[name], granted);
                    break;
            }
        }
    }
}
