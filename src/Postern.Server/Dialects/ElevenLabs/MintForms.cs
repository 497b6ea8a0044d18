using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>Reads the vendor's mint requests: by GET, and by POST with values that the credential fixes (xuna.md, section 5).</summary>
internal static class MintForms
{
    // Of these the vendor knows more than there is here (contract, section 3): taken, noted, without effect.
    private static readonly string[] Unheeded = ["branch_id", "version_id", "environment", "debug_events_request"];
    private static readonly string[] Bound = ["user_id", "dynamic_variables", "conversation_config_override"];
    private static readonly string[] Members = ["agent_id", .. Bound, "participant_name"];

    /// <summary>A signed URL by GET.</summary>
    public static Decision<MintRequest> SignedUrl(WireRequest request) =>
        ReadQuery(request, CredentialKind.SignedUrl).IsDenied(out var denial, out var mint) ? denial
        : request.Repeated("include_conversation_id") is { } repeated ? Repeated(repeated)
        : QueryText.Flag(request.Parameter("include_conversation_id")) is { } fix ? mint with { FixConversation = fix }
        : new Denial(DenialReason.RequestInvalid, "query include_conversation_id: Input should be a valid boolean");

    /// <summary>A conversation token by GET; without a key for public agents.</summary>
    public static Decision<MintRequest> Token(WireRequest request) =>
        ReadQuery(request, CredentialKind.ConversationToken).IsDenied(out var denial, out var mint) ? denial
        : mint with { FixConversation = true, Label = request.Parameter("participant_name"), Keyless = true };

    /// <summary>A signed URL by POST, with fixed values.</summary>
    public static Decision<MintRequest> FixedSignedUrl(WireRequest request) => ReadBody(request, CredentialKind.SignedUrl);

    /// <summary>A conversation token by POST, with fixed values.</summary>
    public static Decision<MintRequest> FixedToken(WireRequest request) =>
        ReadBody(request, CredentialKind.ConversationToken).IsDenied(out var denial, out var mint) ? denial : mint with { FixConversation = true };

    private static Decision<MintRequest> ReadQuery(WireRequest request, CredentialKind kind) =>
        request.Repeated("agent_id", "participant_name", "Origin", ElevenLabsDialect.KeyHeader) is { } repeated ? Repeated(repeated)
        : Array.Find(Bound, request.Query.ContainsKey) is { } bound
            ? new Denial(DenialReason.RequestInvalid, $"query {bound}: GET binds and fixes nothing: send it as a member of a POST to this path")
        : request.Parameter("agent_id") is not { } agent ? new Denial(DenialReason.RequestInvalid, "query agent_id: Field required")
        : Request(request, agent, kind).IsDenied(out var denial, out var mint) ? denial
        : request.Query.Count == 1 ? mint : mint with { Unheeded = Noted(request) };

    // A value that comes twice is as good as none: nothing follows from it.
    private static KeyValuePair<string, string>[] Noted(WireRequest request) =>
        [.. from name in Unheeded let value = request.Parameter(name) where value is not null select KeyValuePair.Create(name, value)];

    private static Decision<MintRequest> Request(WireRequest request, string agent, CredentialKind kind) =>
        request.Header(ElevenLabsDialect.KeyHeader) is null && kind == CredentialKind.SignedUrl && request.Headers.Authorization.Count > 0
            ? new Denial(DenialReason.KeyMissing, Refusals.OtherHeader)
        : AgentIdText.IsValid(agent)
            ? new MintRequest(request.Header(ElevenLabsDialect.KeyHeader), new AgentId(agent), kind, request.Address) { Origin = request.Header("Origin"), Dialect = "elevenlabs" }
            : new Denial(DenialReason.AgentUnknown, "of this form");

    private static Decision<MintRequest> ReadBody(WireRequest request, CredentialKind kind)
    {
        try
        {
            return ReadBody(request, kind, JsonElement.Parse(request.Body.Span, StrictJson.Document));
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return new Denial(DenialReason.RequestInvalid, "body: JSON decode error");
        }
    }

    // A restriction that is silently dropped is a hole: every member is known or refused.
    private static Decision<MintRequest> ReadBody(WireRequest request, CredentialKind kind, JsonElement body)
    {
        if (body.ValueKind != JsonValueKind.Object)
        {
            return new Denial(DenialReason.RequestInvalid, "body: Input should be an object");
        }
        foreach (var member in body.EnumerateObject())
        {
            if (!Members.Contains(member.Name, StringComparer.Ordinal))
            {
                return Invalid(member.Name, $"Extra inputs are not permitted: the members are {string.Join(", ", Members)}");
            }
            var wanted = member.Name is "dynamic_variables" or "conversation_config_override" ? JsonValueKind.Object : JsonValueKind.String;
            if (member.Value.ValueKind != wanted && member.Value.ValueKind != JsonValueKind.Null)
            {
                return Invalid(member.Name, wanted == JsonValueKind.Object ? "Input should be an object" : "Input should be a valid string");
            }
        }
        if (Text(body, "agent_id") is not { Length: > 0 } agent)
        {
            return Invalid("agent_id", "Field required");
        }
        if (Fixed(body).IsDenied(out var denial, out var values) || Request(request, agent, kind).IsDenied(out denial, out var mint))
        {
            return denial;
        }
        var user = Text(body, "user_id");
        return user is not null && !Subject.IsValid(user)
            ? Invalid("user_id", Subject.Rule)
            : mint with { Subject = user, Label = Text(body, "participant_name"), Fixed = values };
    }

    private static Decision<FixedValues> Fixed(JsonElement body)
    {
        var variables = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        if (Object(body, "dynamic_variables") is { } given)
        {
            foreach (var variable in given.EnumerateObject())
            {
                if (variable.Name.StartsWith("system__", StringComparison.Ordinal))
                {
                    return Invalid($"dynamic_variables {variable.Name}", "Variables that begin with system__ are the server's own");
                }
                if (variable.Value.ValueKind is not (JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False))
                {
                    return Invalid($"dynamic_variables {variable.Name}", "Input should be a string, a number or a boolean");
                }
                variables[variable.Name] = variable.Value;
            }
        }
        return OverrideLeaves.Fix(Object(body, "conversation_config_override")).IsDenied(out var denial, out var fields) ? denial : new FixedValues(variables, fields);
    }

    private static string? Text(JsonElement body, string name) =>
        body.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static JsonElement? Object(JsonElement body, string name) =>
        body.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object ? value : null;

    private static Denial Invalid(string place, string message) => new(DenialReason.RequestInvalid, $"body {place}: {message}");

    private static Denial Repeated(string name) => new(DenialReason.RequestInvalid, $"{(name is "Origin" or ElevenLabsDialect.KeyHeader ? "header" : "query")} {name}: Must be given once");
}
