using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.Realtime;

/// <summary>
/// Reads the request of a mint (contract, sections 2 and 10). Postern's own members may stand at the top, inside <c>session</c> or in
/// headers, since no vendor's package lets an application write all three, and under the names of Postern's own API too; said twice
/// they must say the same.
/// </summary>
internal sealed class MintForm
{
    private const int LeastSeconds = 10;
    private const int MostSeconds = 7200;
    private const int MostDuration = 86400;
    private const string SafetyHeader = "OpenAI-Safety-Identifier";
    private static readonly TimeSpan BetaStartWithin = TimeSpan.FromSeconds(60);
    private static readonly JsonElement Empty = JsonElement.Parse("{}");
    private static readonly string[] AgentNames = ["agent_id", "agent"];
    private static readonly string[] UserNames = ["user_id", "subject", "user"];
    private static readonly string[] DurationNames = ["max_session_duration_seconds", "max_duration_seconds"];
    private static readonly string[] OriginNames = ["allowed_origins", "origins"];

    /// <summary>The members of a session that are none of its configuration.</summary>
    public static readonly string[] NotConfiguration =
        [.. AgentNames, .. UserNames, "single_use", "uses", .. DurationNames, .. OriginNames, "fixed", "type", "model", "object", "id", "expires_at", "expires_after", "client_secret"];

    private readonly WireRequest request;
    private readonly JsonElement body;
    private readonly JsonElement session;
    private readonly bool isBeta;
    private string? problem;

    private MintForm(WireRequest request, JsonElement body, bool isBeta)
    {
        (this.request, this.body, this.isBeta) = (request, body, isBeta);
        session = isBeta ? body : Object(body, "session");
    }

    /// <summary>The mint's request, or what is wrong with it.</summary>
    public static Decision<MintRequest> Read(WireRequest request, bool isBeta)
    {
        if (request.Repeated("Authorization") is not null || Bearer.Read(request) is not { Length: > 0 } key)
        {
            return new Denial(request.Headers.Authorization.Count == 0 ? DenialReason.KeyMissing : DenialReason.KeyInvalid);
        }
        try
        {
            return Parse(request.Body) is { ValueKind: JsonValueKind.Object } body
                ? new MintForm(request, body, isBeta).Read(key)
                : new Denial(DenialReason.RequestInvalid, "The body must be a JSON object.");
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return new Denial(DenialReason.RequestInvalid, "The body must be a JSON object, every member once.");
        }
    }

    /// <summary>The model that was asked for by name; null when none was.</summary>
    public static string? Model(WireRequest request, bool isBeta)
    {
        var body = Parse(request.Body);
        return Text(isBeta ? body : Object(body, "session"), "model");
    }

    private Decision<MintRequest> Read(string key)
    {
        var startWithin = StartWithin();
        var agent = Agent();
        var user = Said(UserNames, ["Postern-User-Id", SafetyHeader], JsonValueKind.String)?.GetString();
        var uses = Uses();
        var duration = Said(DurationNames, ["Postern-Max-Session-Duration"], JsonValueKind.Number);
        if (duration is { } seconds && !(seconds.TryGetInt32(out var whole) && whole is >= 1 and <= MostDuration))
        {
            problem ??= $"max_session_duration_seconds: Must be a whole number of seconds between 1 and {MostDuration}.";
        }
        var origins = Origins();
        var values = Values();
        if (problem is not null)
        {
            return new Denial(DenialReason.RequestInvalid, problem);
        }
        return new MintRequest(key, agent, CredentialKind.ClientSecret, request.Address)
        {
            Dialect = RealtimeDialect.Restriction, Subject = user, StartWithin = startWithin, Uses = uses, Origins = origins, Fixed = values,
            Unmarked = Mark() is null,
            MaxDuration = duration is { } longest ? TimeSpan.FromSeconds(longest.GetInt32()) : null,
        };
    }

    private int? Uses()
    {
        var single = Said(["single_use"], ["Postern-Single-Use"], JsonValueKind.True, JsonValueKind.False)?.GetBoolean();
        if (Said(["uses"], ["Postern-Uses"], JsonValueKind.Number) is not { } number)
        {
            return single is true ? 1 : null;
        }
        if (!number.TryGetInt32(out var uses) || uses < 1)
        {
            problem ??= "uses: Must be a whole number, at least 1.";
        }
        else if (single is { } one && one != (uses == 1))
        {
            problem ??= "uses: Contradicts single_use.";
        }
        return uses;
    }

    private TimeSpan? StartWithin()
    {
        var outer = isBeta && Member(body, "expires_after") is null ? Object(body, "client_secret") : body;
        if (Member(outer, "expires_after") is not { } expires)
        {
            return isBeta ? BetaStartWithin : null;
        }
        if (expires.ValueKind != JsonValueKind.Object)
        {
            problem ??= "expires_after: Must be an object.";
        }
        else if (Member(expires, "anchor") is { } anchor && !(anchor.ValueKind == JsonValueKind.String && anchor.ValueEquals("created_at")))
        {
            problem ??= "expires_after.anchor: Must be created_at.";
        }
        else if (Member(expires, "seconds") is { } seconds)
        {
            if (seconds.ValueKind == JsonValueKind.Number && seconds.TryGetInt32(out var value) && value is >= LeastSeconds and <= MostSeconds)
            {
                return TimeSpan.FromSeconds(value);
            }
            problem ??= $"expires_after.seconds: Must be a whole number between {LeastSeconds} and {MostSeconds}.";
        }
        return isBeta ? BetaStartWithin : null;
    }

    private AgentId? Agent()
    {
        var named = Said(AgentNames, ["Postern-Agent-Id"], JsonValueKind.String)?.GetString();
        var model = Member(session, "model");
        if (named is null && model is { ValueKind: not JsonValueKind.String and not JsonValueKind.Null })
        {
            problem ??= "session.model: Must be a text.";
            return null;
        }
        var found = named is not null ? ModelNames.IsName(named) ? new AgentId(named) : null
            : model is { ValueKind: JsonValueKind.String } text ? ModelNames.Find(text.GetString()!, request.Options)
            : ModelNames.FindDefault(request.Options);
        if (found is null)
        {
            problem ??= named is not null ? "agent_id: Must be an agent's id." : "session.model: Name a model or an agent, in session.model or agent_id.";
        }
        return found;
    }

    private ImmutableArray<string> Origins()
    {
        var origins = Said(OriginNames, ["Postern-Allowed-Origins"], JsonValueKind.Array);
        if (origins is not { } list)
        {
            return [];
        }
        if (list.GetArrayLength() > 10 || list.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.String))
        {
            problem ??= "allowed_origins: Must be a list of at most 10 hosts.";
            return [];
        }
        return [.. list.EnumerateArray().Select(item => item.GetString()!)];
    }

    // What is given and not fixed is what a session begins with, as the vendors have it.
    private FixedValues Values()
    {
        var leaves = SessionFields.Leaves(session).Where(field => !NotConfiguration.Contains(field.Path.Split('.')[0])).ToList();
        if (SessionFields.Twice(leaves) is not null)
        {
            problem ??= "session: A field is given twice, in two forms.";
            return FixedValues.None;
        }
        var mark = Mark();
        var all = mark is { ValueKind: JsonValueKind.True };
        var paths = mark is { ValueKind: JsonValueKind.Array } list ? [.. list.EnumerateArray().Select(Path)] : Array.Empty<string>();
        foreach (var path in paths.Where(path => !leaves.Any(field => SessionFields.IsWithin(field.Path, path))))
        {
            problem ??= $"fixed: Names '{path}', which session does not set.";
        }
        var split = leaves.ToLookup(field => all || paths.Any(path => SessionFields.IsWithin(field.Path, path)));
        return new FixedValues(FixedValues.None.Variables, split[true].ToDictionary(field => field.Path, field => field.Value.Clone()))
        {
            Defaults = split[false].ToDictionary(field => field.Path, field => field.Value.Clone()),
        };
    }

    private JsonElement? Mark() => Said(["fixed"], [], JsonValueKind.True, JsonValueKind.False, JsonValueKind.Array);

    private string Path(JsonElement item)
    {
        if (item.ValueKind == JsonValueKind.String)
        {
            return SessionFields.Canonical(item.GetString()!);
        }
        problem ??= "fixed: Must be true or a list of dotted paths.";
        return "";
    }

    // One of Postern's members, wherever it stands and by whichever of its names.
    private JsonElement? Said(ReadOnlySpan<string> names, ReadOnlySpan<string> headers, params ReadOnlySpan<JsonValueKind> kinds)
    {
        JsonElement? found = null;
        var name = names[0];
        foreach (var one in names)
        {
            Take(Member(body, one), kinds);
            if (!isBeta)
            {
                Take(Member(session, one), kinds);
            }
        }
        foreach (var header in headers)
        {
            if (request.Headers[header] is { Count: > 0 } values)
            {
                Take(values.Count == 1 ? FromHeader(values[0] ?? "", kinds) : Empty, kinds);
            }
        }
        return found;

        void Take(JsonElement? said, ReadOnlySpan<JsonValueKind> kinds)
        {
            if (said is not { ValueKind: not JsonValueKind.Null } value)
            {
                return;
            }
            if (!kinds.Contains(value.ValueKind))
            {
                problem ??= $"{name}: Has the wrong type.";
            }
            else if (found is { } before && !JsonElement.DeepEquals(before, value))
            {
                problem ??= $"{name}: Is given twice, with different values.";
            }
            else
            {
                found = value;
            }
        }
    }

    private static JsonElement FromHeader(string text, ReadOnlySpan<JsonValueKind> kinds) =>
        kinds.Contains(JsonValueKind.String) ? JsonSerializer.SerializeToElement(text)
        : kinds.Contains(JsonValueKind.Array) ? JsonSerializer.SerializeToElement(text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        : bool.TryParse(text, out var flag) ? JsonSerializer.SerializeToElement(flag)
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? JsonSerializer.SerializeToElement(number)
        : Empty;

    private static JsonElement Parse(ReadOnlyMemory<byte> body) => body.IsEmpty ? Empty : JsonElement.Parse(body.Span, StrictJson.Document);

    private static JsonElement? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var member) && member.ValueKind != JsonValueKind.Null ? member : null;

    private static string? Text(JsonElement element, string name) => Member(element, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static JsonElement Object(JsonElement element, string name) => Member(element, name) is { } member
        ? member.ValueKind == JsonValueKind.Object ? member : throw new FormatException() : Empty;
}

/// <summary>The bearer header.</summary>
internal static class Bearer
{
    private const string Scheme = "Bearer ";

    /// <summary>Whether a text is a client secret by its look.</summary>
    public static bool IsSecret(string text) => text.StartsWith("ek_", StringComparison.Ordinal);

    /// <summary>Its text; null when there is none, empty when it is of another scheme or form.</summary>
    public static string? Read(WireRequest request)
    {
        if (request.Header("Authorization") is not { } header)
        {
            return null;
        }
        // One token and no list: "Bearer a, Bearer b" is two to some readers.
        return header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) && !header.AsSpan(Scheme.Length).ContainsAny(' ', ',') ? header[Scheme.Length..] : "";
    }
}
