using System.Globalization;
using Postern.Core;
using Postern.Server.Dialects.ElevenLabs;

namespace Postern.Server.Dialects.Convai;

/// <summary>Convai: personal access tokens in an API key's place, and sessions opened by plain HTTP requests.</summary>
internal sealed class ConvaiDialect : HttpDialect
{
    public const string Tag = "convai";

    public override string Name => Tag;

    public override IReadOnlyList<MintRoute> Mints => [new("POST", "/user/connect", TokenForms.Mint)];

    public override IReadOnlyList<ChangeRoute> Changes =>
    [
        new("POST", "/user/extend-token", CredentialVerb.Extend, TokenForms.Change, static (request, stored) => Wire.Json(200, json =>
        {
            json.WriteString("apiAuthToken"u8, request.Text);
            json.WriteString("expirationTime"u8, Time(stored.Grant.StartBy));
        })),
        new("POST", "/user/revoke-token", CredentialVerb.Revoke, TokenForms.Change, static (request, _) => Wire.Json(200, json =>
        {
            json.WriteString("apiAuthToken"u8, request.Text);
            json.WriteBoolean("revoked"u8, true);
        })),
    ];

    public override IReadOnlyList<RoomRoute> Rooms => [new("/connect", SessionForms.Connect, SessionAnswers.Room, Refusals.Realtime)];

    public override IReadOnlyList<TurnRoute> Turns =>
    [
        new("/connect/stream", SessionForms.Stream, SessionAnswers.Events, Refusals.Realtime),
        new("/character/getResponse", SessionForms.Response, SessionAnswers.Response, Refusals.Rest),
        new("/character/initConversation", SessionForms.Begin, SessionAnswers.Begun, Refusals.Rest) { OpenToPages = false },
    ];

    public override IReadOnlyList<HangUpRoute> HangUps => [new("/disconnect", SessionForms.Disconnect, SessionAnswers.Disconnected, Refusals.Realtime)];

    public override IReadOnlyList<SpeakerRoute> Speakers => [new("/user/speaker/new", SessionForms.Speaker, SessionAnswers.Speaker, Refusals.Rest)];

    public override IReadOnlyList<string> CredentialHeaders => Presented.Slots;

    /// <summary>The answer to a personal access token on any route but these.</summary>
    public static HttpAnswer Misplaced => Refusals.Error(403, "A personal access token cannot be used for this endpoint.");

    public override HttpAnswer Write(Minted minted) => Wire.Json(200, json =>
    {
        json.WriteString("apiAuthToken"u8, minted.Credential.Text.Value);
        json.WriteString("expirationTime"u8, Time(minted.Credential.Grant.StartBy));
        if (minted.Request.Subject is { } user)
        {
            json.WriteString("end_user_id"u8, user);
        }
        if (minted.Request.Agent is { } character)
        {
            json.WriteString("character_id"u8, character.Value);
        }
    });

    public override HttpAnswer Refuse(Denial denial) => Refusals.Token(denial);

    // Whole seconds, cut off: never later than the true expiry.
    private static string Time(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
}
