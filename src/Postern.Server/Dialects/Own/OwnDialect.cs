using System.Globalization;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Credentials;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.Own;

/// <summary>Postern's own, vendor-neutral API for credentials of every kind. The vendors' routes are readings of the same.</summary>
internal sealed class OwnDialect : Dialect
{
    private const string Path = "/v1/credentials";

    private static readonly Dictionary<string, CredentialKind> Kinds = new(StringComparer.Ordinal)
    {
        ["signed_url"] = CredentialKind.SignedUrl, ["conversation_token"] = CredentialKind.ConversationToken,
        ["client_secret"] = CredentialKind.ClientSecret, ["personal_access_token"] = CredentialKind.PersonalAccessToken,
    };

    public override string Name => "postern";

    public override IReadOnlyList<MintRoute> Mints => [new("POST", Path, CredentialForm.Read)];

    public override IReadOnlyList<ChangeRoute> Changes =>
    [
        new("GET", Path + "/{id}", CredentialVerb.Inspect, ReadChange, Show),
        new("POST", Path + "/{id}/extend", CredentialVerb.Extend, ReadChange, Show),
        new("POST", Path + "/{id}/revoke", CredentialVerb.Revoke, ReadChange, Show),
    ];

    /// <summary>The kind of this name, null when there is none.</summary>
    public static CredentialKind? Kind(string? name) => name is not null && Kinds.TryGetValue(name, out var kind) ? kind : null;

    /// <summary>The names of all kinds.</summary>
    public static string KindNames => string.Join(", ", Kinds.Keys);

    /// <summary>The API key: a bearer token, or the header that this server knows too. ConflictingCredentials when there are two.</summary>
    public static Decision<string> ReadKey(WireRequest request)
    {
        var texts = new[] { Bearer(request.Headers.Authorization), request.Headers[ElevenLabsDialect.KeyHeader] }
            .SelectMany(values => values).OfType<string>().Distinct(StringComparer.Ordinal).ToList();
        return texts switch
        {
            [] => new Denial(DenialReason.KeyMissing),
            [var only] => only,
            _ => new Denial(DenialReason.ConflictingCredentials),
        };
    }

    public override HttpAnswer Write(Minted minted) => Wire.Json(201, json =>
    {
        var (credential, kind) = (minted.Credential, minted.Credential.Kind);
        Write(json, credential.Id, kind, credential.Grant, minted.Now, null, 0);
        json.WriteString("credential"u8, credential.Text.Value);
        // What a client of this kind is handed: the URL or the room token around that text, as the agent's vendor has it or else the first who speaks so.
        if (kind is CredentialKind.SignedUrl or CredentialKind.ConversationToken)
        {
            var vendor = Dialects.Named(minted.Agent!.Dialect) as ElevenLabsDialect ?? Dialects.All.OfType<ElevenLabsDialect>().First();
            vendor.WriteHandle(json, minted);
        }
    });

    public override HttpAnswer Refuse(Denial denial)
    {
        var (status, sentence) = denial.Reason switch
        {
            DenialReason.KeyMissing => (401, "Send an API key: Authorization: Bearer KEY."),
            DenialReason.KeyInvalid => (401, "The API key is unknown, mistyped or revoked."),
            DenialReason.WrongKind => (403, "This is a credential for conversations: only an API key is taken here."),
            DenialReason.ConflictingCredentials => (401, "The request carries two different credentials: send one API key."),
            DenialReason.ScopeMissing => (403, $"The API key lacks the scope {denial.Detail}."),
            DenialReason.RequestInvalid => (400, denial.Detail ?? "The request could not be read."),
            DenialReason.AgentUnknown => (404, "There is no such agent in the project of this key."),
            DenialReason.ConversationUnknown => (404, "There is no such conversation."),
            DenialReason.CredentialUnknown => (404, "There is no such credential in the project of this key."),
            DenialReason.Expired => (410, "The credential has expired: mint a new one."),
            DenialReason.Revoked => (410, "The credential was revoked: mint a new one."),
            DenialReason.MediaMissing => (400, "The agent has no media server: configure one, or mint a signed_url."),
            DenialReason.TooManySessions => (429, "Too many sessions at one time: try again later."),
            DenialReason.DailyLimitReached => (402, $"The agent has had its {denial.Detail} sessions of today."),
            DenialReason.TooManyRefusals => (429, "Too many refused requests from this address: try again in a minute."),
            DenialReason.Unavailable or DenialReason.ShuttingDown => (503, "Temporarily unavailable: nothing was changed, try again."),
            DenialReason.OriginMissing or DenialReason.OriginRefused => (403, "This origin is not allowed."),
            DenialReason.CredentialMissing or DenialReason.AgentPrivateByDefault or DenialReason.CredentialMalformed or DenialReason.BadSignature
                or DenialReason.AlreadyUsed or DenialReason.AgentMismatch or DenialReason.SubjectMismatch => (403, "The credential does not allow this."),
            DenialReason.OverrideRefused or DenialReason.VariableRefused or DenialReason.VariableMissing => (400, $"'{denial.Detail}' may not be set."),
        };
        return Wire.Json(status, json =>
        {
            json.WriteString("type"u8, "about:blank");
            json.WriteString("title"u8, Microsoft.AspNetCore.WebUtilities.ReasonPhrases.GetReasonPhrase(status));
            json.WriteNumber("status"u8, status);
            json.WriteString("detail"u8, sentence);
            json.WriteString("reason"u8, denial.Reason.ToString());
        }) with
        { ContentType = "application/problem+json", Headers = status == 503 ? [KeyValuePair.Create("Retry-After", "1")] : [] };
    }

    private static Decision<ChangeRequest> ReadChange(WireRequest request) =>
        ReadKey(request).IsDenied(out var denial, out var key) ? denial
        : request.Route["id"] is string id && AgentIdText.IsValid(id) ? new ChangeRequest(key, id, null, request.Address)
        : new Denial(DenialReason.CredentialUnknown);

    private static IEnumerable<string?> Bearer(IEnumerable<string?> headers) =>
        headers.Select(header => header?.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) is true ? header[7..].Trim() : "");

    private static HttpAnswer Show(ChangeRequest request, StoredCredential stored) => Wire.Json(200, json => Write(json, stored.Id, stored.Kind, stored.Grant, stored.MintedAt, stored.RevokedAt, stored.Used));

    private static void Write(Utf8JsonWriter json, CredentialId id, CredentialKind kind, Grant grant, DateTimeOffset mintedAt, DateTimeOffset? revokedAt, int used)
    {
        json.WriteString("id"u8, id.Value);
        json.WriteString("kind"u8, Kinds.First(pair => pair.Value == kind).Key);
        json.WriteString("agent_id"u8, grant.Agent?.Value);
        json.WriteString("subject"u8, grant.Subject);
        json.WriteString("minted_at"u8, Time(mintedAt));
        json.WriteString("start_by"u8, Time(grant.StartBy));
        if (grant.MaxDuration is { } duration)
        {
            json.WriteNumber("max_duration_seconds"u8, (long)duration.TotalSeconds);
        }
        if (grant.Uses is { } uses)
        {
            json.WriteNumber("uses"u8, uses);
            json.WriteNumber("used"u8, used);
        }
        json.WriteStartArray("origins"u8);
        foreach (var origin in grant.Origins)
        {
            json.WriteStringValue(origin);
        }
        json.WriteEndArray();
        json.WriteBoolean("has_fixed_values"u8, grant.HasFixed);
        json.WriteString("revoked_at"u8, revokedAt is { } at ? Time(at) : null);
    }

    private static string Time(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
}
