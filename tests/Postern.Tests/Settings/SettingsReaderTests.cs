using System.Collections;
using System.Net;
using Postern.Server;
using Postern.Server.Settings;

namespace Postern.Tests.Settings;

/// <summary>What may be written in the three places, and what is said about the rest.</summary>
public sealed class SettingsReaderTests
{
    [Theory]
    [InlineData("POSTERN__HTTP", "127.0.0.1:9000")]
    [InlineData("postern__http", "127.0.0.1:9000")]
    public void Environment_KnownName_IsTaken(string name, string value) =>
        Assert.Equal(new IPEndPoint(IPAddress.Loopback, 9000), Read((name, value)).Http);

    [Fact]
    public void Environment_UnderscoresInsideWords_AreTheSameName() =>
        Assert.Equal(TimeSpan.FromMinutes(30), Read(("POSTERN__SESSIONS__MAX_DURATION", "30m")).Sessions.MaxDuration);

    [Fact]
    public void Environment_EmptyValue_IsNotSet() =>
        Assert.Equal(TimeSpan.FromMinutes(10), Read(("POSTERN__SESSIONS__MAXDURATION", "")).Sessions.MaxDuration);

    [Theory]
    [InlineData("POSTERN_PORT", "tcp://10.0.0.1:80")]
    [InlineData("POSTERN_SERVICE_HOST", "10.0.0.1")]
    [InlineData("POSTERN_API_KEY", "whatever")]
    [InlineData("PATH", "/bin")]
    public void Environment_VariablesOfOthers_AreLeftAlone(string name, string value) => Assert.NotNull(Read((name, value)));

    [Theory]
    [InlineData("POSTERN__SESSION__IDLE", "POSTERN__SESSIONS__IDLE")]
    [InlineData("POSTERN__HTPS", "POSTERN__HTTPS")]
    [InlineData("POSTERN__SESSIONS__MAX_DURATON", "POSTERN__SESSIONS__MAXDURATION")]
    [InlineData("POSTERN_HTTP", "POSTERN__HTTP")]
    [InlineData("POSTERN_SESSIONS_IDLE", "POSTERN__SESSIONS__IDLE")]
    [InlineData("POSTERN_APIKEY", "POSTERN_API_KEY")]
    public void Environment_MisspeltName_IsRefusedWithTheOneMeant(string wrong, string meant)
    {
        var refused = Assert.Throws<RefusedException>(() => Read((wrong, "5m")));

        Assert.Equal(RefusedException.Usage, refused.ExitCode);
        Assert.Contains(wrong, refused.Message, StringComparison.Ordinal);
        Assert.Contains($"Did you mean {meant}?", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Environment_SameSettingTwice_IsRefused() =>
        Assert.Contains("given twice", Assert.Throws<RefusedException>(() => Read(("POSTERN__HTTP", "off"), ("POSTERN__http", "off"))).Message, StringComparison.Ordinal);

    public static TheoryData<string, string, string> WrongValues => new()
    {
        { "Sessions:MaxDuration", "2d", "between 1s and 24h" },
        { "Sessions:MaxDuration", "0s", "between 1s and 24h" },
        { "Sessions:MaxDuration", "-5m", "between 1s and 24h" },
        { "Sessions:MaxDuration", "900", "between 1s and 24h" },
        { "Sessions:MaxDuration", "soon", "between 1s and 24h" },
        { "SignedUrls:StartWithin", "9s", "between 10s and 24h" },
        { "SignedUrls:StartWithin", "24h1s", "between 10s and 24h" },
        { "Sessions:MaxMessageBytes", "1023", "between 1024 and 16777216" },
        { "Sessions:MaxMessageBytes", "64k", "between 1024 and 16777216" },
        { "Sessions:MaxMessageBytes", "+65536", "between 1024 and 16777216" },
        { "Sessions:MaxMessageBytes", "99999999999999999999", "between 1024 and 16777216" },
        { "Agents:DefaultAccess", "open", "one of private, public" },
        { "Agents:DefaultDialect", "eleven", "one of elevenlabs, xuna" },
        { "Agents:AllowPrivateUpstreams", "yes", "true or false" },
        { "Http", "8080", "ADDRESS:PORT" },
        { "Http", "127.0.0.1", "ADDRESS:PORT" },
        { "Http", "127.0.0.1:", "ADDRESS:PORT" },
        { "Http", "127.0.0.1:70000", "ADDRESS:PORT" },
        { "Http", "127.1:8080", "ADDRESS:PORT" },
        { "Http", "::1", "ADDRESS:PORT" },
        { "Http", "agents.example.com:80", "ADDRESS:PORT" },
        { "PublicAddress", "agents.example.com", "http:// or https://" },
        { "PublicAddress", "https://agents.example.com/path", "http:// or https://" },
    };

    [Theory]
    [MemberData(nameof(WrongValues))]
    public void Value_OutOfRange_IsRefusedNamingTheRange(string name, string value, string range)
    {
        var variable = Setting.Find(name)!.EnvironmentName;
        var refused = Assert.Throws<RefusedException>(() => Read((variable, value)));

        Assert.Equal(RefusedException.Usage, refused.ExitCode);
        Assert.Contains(variable, refused.Message, StringComparison.Ordinal);
        Assert.Contains($"'{value}'", refused.Message, StringComparison.Ordinal);
        Assert.Contains(range, refused.Message, StringComparison.Ordinal);
    }

    public static TheoryData<string, string, string> RightValues => new()
    {
        { "Sessions:MaxDuration", "900s", "15m" },
        { "Sessions:MaxDuration", "00:15:00", "15m" },
        { "Sessions:MaxDuration", " 15m ", "15m" },
        { "Sessions:MaxDuration", "24h", "1d" },
        { "Sessions:FirstMessageWait", "1500ms", "1500ms" },
        { "Shutdown:Grace", "0s", "0s" },
        { "Agents:DefaultAccess", "PUBLIC", "public" },
        { "Agents:AllowPrivateUpstreams", "True", "true" },
        { "Http", "off", "" },
        { "Http", "localhost:0", "127.0.0.1:0" },
        { "Https", "[::1]:8443", "[::1]:8443" },
        { "PublicAddress", "HTTPS://Agents.Example.com/", "https://agents.example.com" },
        { "PublicAddress", "https://agents.example.com:443", "https://agents.example.com" },
        { "AllowedHosts", "one, two three", "one,two,three" },
    };

    [Theory]
    [MemberData(nameof(RightValues))]
    public void Value_InRange_IsRead(string name, string value, string shown)
    {
        var setting = Setting.Find(name)!;

        Assert.Equal(shown, SettingText.Format(setting.Read(Read((setting.EnvironmentName, value)))));
    }

    [Fact]
    public void AllSettings_TheirOwnDefaults_CanBeWrittenBack()
    {
        foreach (var setting in Setting.All)
        {
            var text = SettingText.Format(setting.Read(new PosternOptions()));
            if (text.Length > 0) Assert.Equal(text, SettingText.Format(setting.Read(Read((setting.EnvironmentName, text)))));
        }
    }

    [Fact]
    public void AllSettings_Names_AreSentencesAndUnique()
    {
        Assert.All(Setting.All, setting => Assert.EndsWith(".", setting.Facts.Sentence, StringComparison.Ordinal));
        Assert.Equal(Setting.All.Count, Setting.All.Select(setting => setting.OptionName).Distinct().Count());
    }

    [Fact]
    public void SecretValue_GivenTwice_IsNotRepeated()
    {
        var refused = Assert.Throws<RefusedException>(() => Read(("POSTERN__DATABASE", "Password=hunter2"), ("postern__database", "Password=hunter3")));

        Assert.DoesNotContain("hunter", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("POSTERN__HTTP=off POSTERN__HTTPS=off", "Both http and https are off")]
    [InlineData("POSTERN__HTTP=127.0.0.1:9000 POSTERN__HTTPS=127.0.0.1:9000", "another port")]
    [InlineData("POSTERN__CERTIFICATE__CERTIFICATEPATH=a.pem", "Certificate:KeyPath")]
    [InlineData("POSTERN__CERTIFICATE__KEYPATH=a.key", "Certificate:CertificatePath")]
    public void Settings_ThatDoNotGoTogether_AreRefused(string written, string sentence)
    {
        var pairs = written.Split(' ').Select(pair => pair.Split('=')).Select(pair => (pair[0], pair[1])).ToArray();
        var refused = Assert.Throws<RefusedException>(() => Read(pairs));

        Assert.Equal(RefusedException.Usage, refused.ExitCode);
        Assert.Contains(sentence, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Sources_SameSetting_LaterOneWins()
    {
        using var file = new TextFile("""{ "Postern": { "Sessions": { "Idle": "1m", "SlowReader": "2s", "MaxDuration": "3m" } } }""");
        var options = SettingsReader.Read(
        [
            new("sessions:idle", "3s", "--sessions:idle", SettingOrigin.CommandLine),
            .. SettingSource.FromEnvironment(new Hashtable { ["POSTERN__SESSIONS__IDLE"] = "2s", ["POSTERN__SESSIONS__SLOWREADER"] = "4s" }),
            .. SettingSource.FromFile(file.Path),
        ]);

        Assert.Equal((3, 4, 180), (options.Sessions.Idle.TotalSeconds, options.Sessions.SlowReader.TotalSeconds, options.Sessions.MaxDuration.TotalSeconds));
    }

    [Theory]
    [InlineData("""{ "Postern": { "Sesions": { "Idle": "1m" } } }""", "Did you mean Sessions:Idle?")]
    [InlineData("""{ "Postern": { "Sessions": "1m" } }""", "names no setting")]
    [InlineData("""{ "Postern": { "Http": { "Port": 1 } } }""", "names no setting")]
    [InlineData("""{ "Postern": { "Http": [1, 2] } }""", "list of texts")]
    [InlineData("""{ "Postern": { "Http": "off", "Http": "off" } }""", "cannot be read")]
    [InlineData("""{ "Postern": { "Http": "off", "http": "off" } }""", "given twice")]
    [InlineData("""{ "Postern": 5 }""", "must be an object")]
    [InlineData("""{ "Postren": { "Http": "off" } }""", "only the section \"Postern\"")]
    [InlineData("""{ "Sessions": { "Idle": "1m" } }""", "only the section \"Postern\"")]
    [InlineData("""[]""", "cannot be read")]
    [InlineData("""{ "Postern": { "Http": "off" """, "cannot be read")]
    [InlineData("""{ "Postern": { "Sessions": { "MaxMessageBytes": 1 } } }""", "between 1024 and 16777216")]
    public void File_ThatIsWrong_IsRefusedInOneSentence(string text, string sentence)
    {
        using var file = new TextFile(text);
        var refused = Assert.Throws<RefusedException>(() => SettingsReader.Read(SettingSource.FromFile(file.Path)));

        Assert.Equal(RefusedException.Usage, refused.ExitCode);
        Assert.Contains(sentence, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }

    [Fact]
    public void File_OfAnotherProgramAsWell_IsReadForOurSectionAlone()
    {
        using var file = new TextFile("""
            { // a comment
              "Logging": { "LogLevel": { "Default": "Warning" } }, "AllowedHosts": "*",
              "Postern": { "AllowedHosts": ["one", "two"], "Sessions": { "MaxMessageBytes": 2048, "Idle": null }, "Agents": { "AllowPrivateUpstreams": true }, } }
            """);
        var options = SettingsReader.Read(SettingSource.FromFile(file.Path));

        Assert.Equal(["one", "two"], options.AllowedHosts);
        Assert.Equal(2048, options.Sessions.MaxMessageBytes);
        Assert.True(options.Agents.AllowPrivateUpstreams);
    }

    [Fact]
    public void File_Absent_IsNoSetting() => Assert.Empty(SettingSource.FromFile("/nowhere/appsettings.json"));

    private static PosternOptions Read(params (string Name, string Value)[] variables) =>
        SettingsReader.Read(SettingSource.FromEnvironment(new Hashtable(variables.ToDictionary(pair => pair.Name, pair => pair.Value))));

    private sealed class TextFile : IDisposable
    {
        public TextFile(string text) => File.WriteAllText(Path, text);

        public string Path { get; } = System.IO.Path.GetTempFileName();

        public void Dispose() => File.Delete(Path);
    }
}
