using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.Convai;

/// <summary>Reads the requests that begin, hold and end sessions (contract, sections 4 and 5).</summary>
internal static class SessionForms
{
    private const string NewConversation = "-1";

    /// <summary>POST /connect: a room.</summary>
    public static Decision<SpokenRequest> Connect(WireRequest request)
    {
        if (Read(request, "character_id", "character_session_id").IsDenied(out var denial, out var asked, out var fields))
        {
            return denial;
        }
        if (fields.Text("transport") is { } transport and not "livekit")
        {
            return Invalid($"transport: {Shown(transport)} is not served, only livekit; for text use /connect/stream.");
        }
        return asked with { Connect = asked.Connect with { NeedsMedia = true } };
    }

    /// <summary>POST /connect/stream: a text in, events out.</summary>
    public static Decision<SpokenRequest> Stream(WireRequest request) => WithText(request, "text_input", "character_id", "character_session_id");

    /// <summary>POST /character/getResponse: a text in, a text out.</summary>
    public static Decision<SpokenRequest> Response(WireRequest request) => WithText(request, "userText", "charID", "sessionID");

    /// <summary>POST /character/initConversation: a conversation's id.</summary>
    public static Decision<SpokenRequest> Begin(WireRequest request) =>
        Read(request, "charID", "sessionID").IsDenied(out var denial, out var asked, out _) ? denial : asked;

    /// <summary>POST /user/speaker/new: an id for an end user.</summary>
    public static Decision<ConnectRequest> Speaker(WireRequest request)
    {
        if (Presented.Read(request).IsDenied(out var denial, out var presented) || RequestFields.Read(request).IsDenied(out denial, out var fields))
        {
            return denial;
        }
        return fields.Text("deviceId") is not { } device ? Invalid("deviceId is missing.")
            : Subject.IsValid(device) ? To(request, presented, null, device)
            : Invalid($"deviceId: {Subject.Rule}.");
    }

    /// <summary>POST /disconnect?session_id=: nothing but the id is needed.</summary>
    public static Decision<HangUp> Disconnect(WireRequest request)
    {
        var none = Presented.Read(request).IsDenied(out var denial, out var presented);
        return none && denial!.Reason != DenialReason.KeyMissing ? denial : new HangUp(request.Parameter("session_id"), presented?.Text, request.Address);
    }

    private static Decision<SpokenRequest> WithText(WireRequest request, string text, string character, string conversation)
    {
        if (Read(request, character, conversation).IsDenied(out var denial, out var asked, out var fields))
        {
            return denial;
        }
        return fields.Text(text) is { } said ? asked with { Text = said } : Invalid($"{text} is missing.");
    }

    private static Read Read(WireRequest request, string characterName, string conversationName)
    {
        if (Presented.Read(request).IsDenied(out var denial, out var presented) || RequestFields.Read(request).IsDenied(out denial, out var fields))
        {
            return new Read(denial);
        }
        var character = fields.Text(characterName) ?? fields.Text("character_id");
        if (character is not null && !AgentIdText.IsValid(character))
        {
            return new Read(new Denial(DenialReason.AgentUnknown));
        }
        var user = fields.Text("end_user_id");
        if (user is not null && !Subject.IsValid(user))
        {
            return new Read(Invalid($"end_user_id: {Subject.Rule}."));
        }
        var about = fields.Value("end_user_metadata") is { ValueKind: JsonValueKind.Object } metadata ? metadata : (JsonElement?)null;
        var conversation = fields.Text(conversationName);
        return new Read(new SpokenRequest(To(request, presented, character, user))
        {
            Speaker = fields.Text("speaker_id"),
            Conversation = conversation == NewConversation ? null : conversation,
            Forbidden = Shared(fields),
            Label = about is { } known && known.TryGetProperty("name", out var name) && name.ValueKind == JsonValueKind.String ? name.GetString() : null,
            About = about?.GetRawText(),
        }, fields);
    }

    private static ConnectRequest To(WireRequest request, Presented presented, string? character, string? user) =>
        new(CredentialKind.PersonalAccessToken, presented.Token, character is null ? null : new AgentId(character), request.Header("Origin"), request.Address)
        {
            Key = presented.Key, Subject = user, Dialect = ConvaiDialect.Tag,
        };

    // Ways for one caller to enter another's room.
    private static string? Shared(RequestFields fields) =>
        fields.Value("room_name") is not null ? "room_name"
        : fields.Value("shared_session_key") is not null ? "shared_session_key"
        : fields.Value("mode") is not null && fields.Text("mode") != "create" ? "mode"
        : fields.Value("max_num_participants") is not null && fields.Text("max_num_participants") != "1" ? "max_num_participants"
        : null;

    private static string Shown(string text) => text.Length <= 40 ? text : text[..40];

    private static Denial Invalid(string sentence) => new(DenialReason.RequestInvalid, sentence);
}

/// <summary>A request that was read, with the members that only some routes look at.</summary>
internal readonly struct Read
{
    private readonly Decision<SpokenRequest> decision;
    private readonly RequestFields? fields;

    public Read(Denial denial) => decision = denial;

    public Read(SpokenRequest asked, RequestFields fields) => (decision, this.fields) = (asked, fields);

    public bool IsDenied(
        [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Denial? denial, [System.Diagnostics.CodeAnalysis.NotNullWhen(false)] out SpokenRequest? asked,
        [System.Diagnostics.CodeAnalysis.NotNullWhen(false)] out RequestFields? members)
    {
        members = fields;
        return decision.IsDenied(out denial, out asked) || members is null;
    }
}
