using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json;
using Postern.Core.Projects;

namespace Postern.Core.Agents;

/// <summary>Something one can converse with.</summary>
/// <param name="Id">Its id, unique across projects.</param>
/// <param name="Project">The project that owns it.</param>
/// <param name="Name">For people.</param>
/// <param name="Dialect">The name of the dialect whose form its credentials take where several share a path.</param>
/// <param name="Access">Who may start a conversation.</param>
/// <param name="Limits">What a session may consume.</param>
/// <param name="Credentials">What a credential gets when the mint says nothing.</param>
/// <param name="Upstream">Where the agent really is.</param>
/// <param name="Configuration">The agent's own configuration, opaque to the core; dialects read it.</param>
public sealed record Agent(
    AgentId Id, ProjectId Project, string Name, string Dialect,
    AgentAccess Access, AgentLimits Limits, CredentialDefaults Credentials, Upstream Upstream, JsonElement Configuration)
{
    /// <summary>Where its WebRTC sessions are held; null when it has none.</summary>
    public MediaServer? Media { get; init; }

    /// <summary>Further names, unique in the project, for clients that demand another form of id.</summary>
    public ImmutableArray<string> Aliases { get; init; } = [];

    /// <summary>What clients that demand a UUID call it: the first alias that is one, else the id's own. It is found by both.</summary>
    public string Uuid => Aliases.FirstOrDefault(AgentId.IsUuid) ?? Id.Uuid;

    /// <summary>Nobody converses with it yet.</summary>
    public bool IsDraft { get; init; }

    /// <summary>The domains whose pages may ask for completions; empty is any, and callers that are no page too.</summary>
    public ImmutableArray<ApprovedDomain> ApprovedDomains { get; init; } = [];

    /// <summary>Whether what is said with it is kept; that a session was held is recorded in any case.</summary>
    public bool KeepsConversations { get; init; } = true;

    /// <summary>The only dialects that reach it; empty is every one.</summary>
    public ImmutableArray<string> OnlyDialects { get; init; } = [];

    /// <summary>Whether a dialect reaches it; null is Postern's own API, which reaches all.</summary>
    public bool Speaks(string? dialect) => dialect is null || OnlyDialects.IsEmpty || OnlyDialects.Contains(dialect, StringComparer.Ordinal);
}

/// <summary>Who may start a conversation with an agent.</summary>
/// <param name="Private">A credential is required.</param>
/// <param name="PrivateByDefault">Private only because nothing was said; makes the refusal tell how to change it.</param>
/// <param name="Allowlist">At most ten hosts; empty means any origin.</param>
/// <param name="RequireOrigin">A missing Origin is refused too, while the allowlist is not empty.</param>
/// <param name="OverridePermissions">Dotted paths of the configuration that a client may override.</param>
public sealed record AgentAccess(
    bool Private, bool PrivateByDefault, ImmutableArray<AllowedHost> Allowlist, bool RequireOrigin, FrozenSet<string> OverridePermissions);

/// <summary>What an agent's sessions may consume, each and together.</summary>
/// <param name="MaxDuration">Longest duration of a session; always set, a public agent without an end would be an open purse.</param>
/// <param name="AtOnce">How many sessions may live at one time, on all nodes together; null is any number.</param>
/// <param name="Daily">How many may begin in a day of UTC; null is any number.</param>
public sealed record AgentLimits(TimeSpan MaxDuration, int? AtOnce = null, int? Daily = null);

/// <summary>What a credential gets when the mint says nothing.</summary>
/// <param name="StartWithin">How long a signed URL or conversation token can start a session.</param>
/// <param name="SingleUse">Every credential of this agent opens one session only.</param>
public sealed record CredentialDefaults(TimeSpan StartWithin, bool SingleUse);

/// <summary>A server that holds WebRTC rooms and admits by tokens signed with a shared secret (LiveKit).</summary>
/// <param name="Url">Its <c>ws:</c> or <c>wss:</c> address, as clients reach it.</param>
/// <param name="Key">The id of the shared secret.</param>
/// <param name="Secret">The shared secret.</param>
public sealed record MediaServer(string Url, string Key, string Secret)
{
    /// <summary>The secret never reaches a log.</summary>
    public override string ToString() => $"media server {Url}";
}

/// <summary>Where an agent really is.</summary>
public abstract record Upstream
{
    private Upstream() { }

    /// <summary>The built-in agent that answers what it hears.</summary>
    public sealed record Echo : Upstream;

    /// <summary>Another server: frames are copied to and from it.</summary>
    /// <param name="Url">A <c>ws:</c> or <c>wss:</c> address.</param>
    /// <param name="Headers">Headers that Postern adds; their values are secrets.</param>
    public sealed record Relay(string Url, ImmutableArray<KeyValuePair<string, string>> Headers) : Upstream
    {
        /// <summary>Header values never reach a log.</summary>
        public override string ToString() => $"relay to {Url}";
    }

    /// <summary>A chat endpoint as most language models have it, asked with <c>POST Url/chat/completions</c>; the agent is hosted here.</summary>
    /// <param name="Url">An <c>https:</c> address, or <c>http:</c> in a private network, without a slash at its end.</param>
    /// <param name="Model">The model's name, as the endpoint knows it.</param>
    /// <param name="Key">A secret; null where the endpoint wants none.</param>
    public sealed record Chat(string Url, string Model, string? Key) : Upstream
    {
        /// <summary>The longest answer in tokens; null is the endpoint's own limit.</summary>
        public int? MaxTokens { get; init; }

        /// <summary>How much chance there is in an answer, from 0 to 2; null is the endpoint's own.</summary>
        public double? Temperature { get; init; }

        /// <summary>The key never reaches a log.</summary>
        public override string ToString() => $"chat at {Url}";
    }
}
