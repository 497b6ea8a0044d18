using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Dialects.Realtime;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.Own;

/// <summary>The body of POST /v1/credentials; a member that is not here is refused.</summary>
internal sealed record CredentialForm
{
    private static readonly JsonSerializerOptions FormOptions = new(JsonSerializerOptions.Strict) { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, RespectRequiredConstructorParameters = true };

    [JsonRequired]
    public string Kind { get; init; } = "";
    public string? AgentId { get; init; }
    public string? Subject { get; init; }
    public long? StartWithinSeconds { get; init; }
    public long? MaxDurationSeconds { get; init; }
    public int? Uses { get; init; }
    public bool FixConversation { get; init; }
    public string[]? Origins { get; init; }
    public Dictionary<string, JsonElement>? DynamicVariables { get; init; }
    public JsonElement? Overrides { get; init; }

    /// <summary>The mint that the body asks for, or RequestInvalid naming the member.</summary>
    public static Decision<MintRequest> Read(WireRequest request)
    {
        CredentialForm form;
        try
        {
            form = JsonSerializer.Deserialize<CredentialForm>(request.Body.Span, FormOptions) ?? throw new JsonException();
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return Invalid($"The body must be one JSON object with kind ({OwnDialect.KindNames}) and, where wanted, agent_id, subject, start_within_seconds, max_duration_seconds, uses, fix_conversation, origins, dynamic_variables, overrides.");
        }
        if (OwnDialect.ReadKey(request).IsDenied(out var denial, out var key))
        {
            return denial;
        }
        if (OwnDialect.Kind(form.Kind) is not { } kind)
        {
            return Invalid($"kind must be one of {OwnDialect.KindNames}.");
        }
        if (form.AgentId is null ? kind != CredentialKind.PersonalAccessToken : !AgentIdText.IsValid(form.AgentId))
        {
            return Invalid("agent_id must name the agent, by its id or an alias.");
        }
        if (form.StartWithinSeconds is < 1 or > 86400 || form.MaxDurationSeconds is < 1 or > 86400)
        {
            return Invalid("start_within_seconds and max_duration_seconds must be whole numbers of seconds, from 1 to 86400.");
        }
        if (WrongVariable(kind, form.DynamicVariables) is { } wrong)
        {
            return Invalid("dynamic_variables: " + wrong);
        }
        if (form.Overrides is { } overrides && !StrictJson.IsSound(overrides))
        {
            return Invalid("overrides must be Unicode text.");
        }
        if (Fields(kind, form.Overrides).IsDenied(out denial, out var fields))
        {
            return denial;
        }
        return new MintRequest(key, form.AgentId is null ? null : new AgentId(form.AgentId), kind, request.Address)
        {
            Subject = form.Subject, Uses = form.Uses, FixConversation = form.FixConversation || kind == CredentialKind.ConversationToken,
            StartWithin = form.StartWithinSeconds is { } start ? TimeSpan.FromSeconds(start) : null,
            MaxDuration = form.MaxDurationSeconds is { } longest ? TimeSpan.FromSeconds(longest) : null,
            Origins = form.Origins?.ToImmutableArray() ?? [],
            Fixed = new FixedValues(form.DynamicVariables ?? [], fields),
        };
    }

    // What the kind's protocol would not hold a client to is refused: a restriction that is dropped in silence is a hole.
    private static string? WrongVariable(CredentialKind kind, Dictionary<string, JsonElement>? variables)
    {
        if (variables is not { Count: > 0 })
        {
            return null;
        }
        if (kind == CredentialKind.ClientSecret)
        {
            return "the realtime protocol has none; fix instructions by overrides.";
        }
        foreach (var (name, value) in variables)
        {
            if (name.StartsWith("system__", StringComparison.Ordinal))
            {
                return $"{name} is the server's own.";
            }
            if (value.ValueKind is not (JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False))
            {
                return $"{name} must be a string, a number or a boolean.";
            }
        }
        return null;
    }

    // Each kind is read by one protocol; its leaves are that protocol's.
    private static Decision<Dictionary<string, JsonElement>> Fields(CredentialKind kind, JsonElement? overrides)
    {
        if (overrides is null)
        {
            return new Dictionary<string, JsonElement>();
        }
        if (kind is CredentialKind.SignedUrl or CredentialKind.ConversationToken)
        {
            return OverrideLeaves.Fix(overrides);
        }
        if (kind == CredentialKind.PersonalAccessToken)
        {
            return Invalid("overrides: what a personal access token opens has none.");
        }
        return SessionFields.Fix(overrides.Value);
    }

    private static Denial Invalid(string rule) => new(DenialReason.RequestInvalid, rule);
}
