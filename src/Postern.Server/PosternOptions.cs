using System.Net;
using Postern.Core.Policy;
using Postern.Server.Settings;

namespace Postern.Server;

/// <summary>Every setting of Postern with its default, range and one sentence; read and checked once, at start.</summary>
/// <remarks>Classes and not records: a record's text would show every value, the secret ones as well.</remarks>
internal sealed class PosternOptions
{
    [Setting("Where plain HTTP and `ws:` are served, as ADDRESS:PORT; port 0 takes any free one, `off` serves none.")]
    public IPEndPoint? Http { get; init; } = new(IPAddress.Loopback, 8080);

    [Setting("Where HTTPS and `wss:` are served, as ADDRESS:PORT; port 0 takes any free one, `off` serves none.")]
    public IPEndPoint? Https { get; init; } = new(IPAddress.Loopback, 8443);

    [Setting("The address clients reach this server at, such as `https://agents.example.com`; signed URLs are built from it, and unset from the listener that was asked.")]
    public PublicAddress? PublicAddress { get; init; }

    [Setting("Further host names this server answers to, separated by commas; IP addresses, localhost and the public address always are.")]
    public IReadOnlyList<string> AllowedHosts { get; init; } = [];

    [Setting("The proxies in front of this server, as addresses or networks such as `10.0.0.0/8`, separated by commas: a client's address is then the last one of their `X-Forwarded-For` that is none of theirs. Nobody else's header is read.")]
    public IReadOnlyList<string> TrustedProxies { get; init; } = [];

    [Setting("The folder for the embedded database, the secrets key and the development certificate.",
        DefaultText = "`postern` in the user's data folder, such as `~/.local/share/postern`")]
    public string Data { get; init; } = DataFolder.OfUser();

    [Setting("A PostgreSQL connection string (`Host=…;Database=…`), or a SQLite one (`Data Source=FILE`).",
        DefaultText = "SQLite, `postern.db` in the data folder", Secret = true)]
    public string Database { get; init; } = "";

    public CertificateOptions Certificate { get; } = new();
    public AgentOptions Agents { get; } = new();
    public ChatOptions Chat { get; } = new();
    public SignedUrlOptions SignedUrls { get; } = new();
    public ClientSecretOptions ClientSecrets { get; } = new();
    public RealtimeOptions Realtime { get; } = new();
    public PersonalAccessTokenOptions PersonalAccessTokens { get; } = new();
    public UserTokenOptions UserTokens { get; } = new();
    public SessionOptions Sessions { get; } = new();
    public LimitOptions Limits { get; } = new();
    public MemoryOptions Memory { get; } = new();
    public SecretOptions Secrets { get; } = new();
    public ShutdownOptions Shutdown { get; } = new();
    public LogOptions Log { get; } = new();

    /// <summary>The lifetimes of all kinds of credentials, as the core wants them.</summary>
    public Lifetimes Lifetimes => new(
        new Lifetime(SignedUrls.StartWithin, TimeSpan.FromSeconds(10), TimeSpan.FromHours(24)),
        new Lifetime(ClientSecrets.StartWithin, TimeSpan.FromSeconds(10), TimeSpan.FromHours(2)),
        new Lifetime(Least(PersonalAccessTokens.Lifetime, PersonalAccessTokens.MaxAge), TimeSpan.FromSeconds(10), PersonalAccessTokens.MaxAge),
        PersonalAccessTokens.MaxAge);

    private static TimeSpan Least(TimeSpan one, TimeSpan other) => one < other ? one : other;
}

/// <summary>The certificate that HTTPS shows.</summary>
internal sealed class CertificateOptions
{
    [Setting("A PEM file with the certificate and its chain, read again when it changes.",
        DefaultText = "a development certificate made in the data folder")]
    public string CertificatePath { get; set; } = "";

    [Setting("The PEM file with the certificate's unencrypted private key.")]
    public string KeyPath { get; set; } = "";
}

/// <summary>What holds for an agent that says nothing else.</summary>
internal sealed class AgentOptions
{
    [Setting("Whether a new agent that says nothing about access needs a credential.", OneOf = "private,public")]
    public string DefaultAccess { get; set; } = "private";

    [Setting("The vendor spoken by a new agent that says nothing else.", OneOf = "elevenlabs,xuna")]
    public string DefaultDialect { get; set; } = "elevenlabs";

    [Setting("Whether an upstream may be in a loopback, private or link-local range.")]
    public bool AllowPrivateUpstreams { get; set; }
}

/// <summary>The limits of an answer from a chat endpoint.</summary>
internal sealed class ChatOptions
{
    [Setting("How long a chat endpoint may take to begin its answer.", Min = "1s", Max = "10m")]
    public TimeSpan FirstToken { get; set; } = TimeSpan.FromSeconds(20);

    [Setting("How long it may say nothing in the midst of an answer.", Min = "1s", Max = "10m")]
    public TimeSpan BetweenTokens { get; set; } = TimeSpan.FromSeconds(20);

    [Setting("How long an answer may take as a whole.", Min = "1s", Max = "1h")]
    public TimeSpan WholeAnswer { get; set; } = TimeSpan.FromMinutes(2);

    [Setting("The answers that one session may ask of its endpoint in a minute; each one costs the operator.", Min = "1", Max = "6000")]
    public int MaxAnswersPerMinute { get; set; } = 60;

    [Setting("The longest answer in characters; what is beyond is cut off, and the endpoint's request ended.", Min = "100", Max = "1000000")]
    public int MaxAnswerCharacters { get; set; } = 16000;

    [Setting("The messages of a conversation that are sent to the endpoint, the latest ones.", Min = "1", Max = "1000")]
    public int MaxHistoryMessages { get; set; } = 100;

    [Setting("The same in characters; the message to be answered is always sent.", Min = "1000", Max = "10000000")]
    public int MaxHistoryCharacters { get; set; } = 100000;
}

/// <summary>How long a signed URL may wait for its conversation.</summary>
internal sealed class SignedUrlOptions
{
    [Setting("How long after minting a conversation may start.", Min = "10s", Max = "24h")]
    public TimeSpan StartWithin { get; set; } = TimeSpan.FromMinutes(15);

    [Setting("The same for agents that speak XUNA.", Min = "10s", Max = "24h")]
    public TimeSpan XunaStartWithin { get; set; } = TimeSpan.FromMinutes(5);
}

/// <summary>How long a client secret may wait for its conversation.</summary>
internal sealed class ClientSecretOptions
{
    [Setting("How long after minting a conversation may start.", Min = "10s", Max = "2h")]
    public TimeSpan StartWithin { get; set; } = TimeSpan.FromMinutes(10);
}

/// <summary>The realtime protocol of OpenAI and xAI.</summary>
internal sealed class RealtimeOptions
{
    [Setting("The agents that clients reach by a model's name, as NAME=AGENT separated by commas; the name `default`, or the only one, stands for none.")]
    public IReadOnlyList<string> Models { get; set; } = [];

    [Setting("Whether every `session` field that a client secret is minted with is fixed without being marked, in projects that do not say.")]
    public bool LockSession { get; set; }
}

/// <summary>How long a personal access token lives.</summary>
internal sealed class PersonalAccessTokenOptions
{
    [Setting("How long after minting, or after the last extension, a conversation may start.", Min = "10s", Max = "24h")]
    public TimeSpan Lifetime { get; set; } = TimeSpan.FromHours(1);

    [Setting("The age beyond which no extension carries a token.", Min = "10s", Max = "24h")]
    public TimeSpan MaxAge { get; set; } = TimeSpan.FromHours(24);
}

/// <summary>The tokens by which customers' backends name their users.</summary>
internal sealed class UserTokenOptions
{
    [Setting("The longest lifetime of a user token that is believed, counted from its `iat`, or from now when it has none.", Min = "1m", Max = "30d")]
    public TimeSpan MaxLifetime { get; set; } = TimeSpan.FromHours(24);
}

/// <summary>The limits of every live session.</summary>
internal sealed class SessionOptions
{
    [Setting("The longest conversation with an agent that names no `max_duration_seconds`.", Min = "1s", Max = "24h")]
    public TimeSpan MaxDuration { get; set; } = TimeSpan.FromMinutes(10);

    [Setting("The largest WebSocket message of either side, in bytes.", Min = "1024", Max = "16777216")]
    public int MaxMessageBytes { get; set; } = 65536;

    [Setting("The frames a second that either side may send.", Min = "10", Max = "100000")]
    public int MaxFramesPerSecond { get; set; } = 200;

    [Setting("How long neither side may say anything before the session ends.", Min = "1s", Max = "24h")]
    public TimeSpan Idle { get; set; } = TimeSpan.FromMinutes(5);

    [Setting("How long a side may leave what is sent to it unread before the session ends.", Min = "1s", Max = "30s")]
    public TimeSpan SlowReader { get; set; } = TimeSpan.FromSeconds(10);

    [Setting("How long the first message of the client is waited for before the conversation starts without it.", Min = "100ms", Max = "1m")]
    public TimeSpan FirstMessageWait { get; set; } = TimeSpan.FromSeconds(5);

    [Setting("How long an upstream may take to accept a connection.", Min = "100ms", Max = "1m")]
    public TimeSpan UpstreamConnect { get; set; } = TimeSpan.FromSeconds(10);
}

/// <summary>What one node bears.</summary>
internal sealed class LimitOptions
{
    [Setting("The most connections at one time; a relayed session needs two file descriptors.", Min = "16", Max = "1000000")]
    public int MaxConnections { get; set; } = 9000;

    [Setting("The largest request body, in bytes; the routes that write agents take 1 MiB.", Min = "1024", Max = "1048576")]
    public int MaxRequestBodyBytes { get; set; } = 65536;

    [Setting("The sessions with public agents that one address may hold at one time.", Min = "1", Max = "1000000")]
    public int PublicSessionsPerAddress { get; set; } = 100;

    [Setting("The refusals a minute after which an address (of IPv6 a /64), or one credential from wherever it comes, is answered 429.", Min = "1", Max = "1000000")]
    public int RefusalsPerAddressPerMinute { get; set; } = 60;
}

/// <summary>How much an agent remembers of one end user.</summary>
internal sealed class MemoryOptions
{
    [Setting("The most records that an agent remembers of one end user.", Min = "1", Max = "10000")]
    public int MaxRecords { get; set; } = 500;

    [Setting("The most bytes that they may have together, as stored.", Min = "4096", Max = "16777216")]
    public int MaxBytes { get; set; } = 262144;
}

/// <summary>What protects stored secrets.</summary>
internal sealed class SecretOptions
{
    [Setting("The key that encrypts stored secrets: 32 bytes as base64 or hex, or the path of a file that holds them.",
        DefaultText = "`secrets.key` in the data folder, made at the first start", Secret = true)]
    public string Key { get; set; } = "";
}

/// <summary>How the server stops.</summary>
internal sealed class ShutdownOptions
{
    [Setting("How long live sessions are given to end after SIGTERM.", Min = "0s", Max = "10m")]
    public TimeSpan Grace { get; set; } = TimeSpan.FromSeconds(10);
}

/// <summary>What is written to standard error.</summary>
internal sealed class LogOptions
{
    [Setting("The least level that is written.", OneOf = "debug,information,warning,error")]
    public string Level { get; set; } = "information";
}
