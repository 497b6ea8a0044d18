using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Postern.Core.Agents;
using Postern.Core.Credentials;

namespace Postern.Server.Media;

/// <summary>The text that admits one participant to one room of a media server: a JWT (HS256) with LiveKit's claims, signed by the shared secret.</summary>
internal static class RoomToken
{
    private static readonly string Header = Base64Text.Encode("""{"alg":"HS256","typ":"JWT"}"""u8);
    private static readonly TimeSpan Moment = TimeSpan.FromMinutes(1);

    /// <summary>A token for <paramref name="identity"/>, to be presented before <paramref name="expires"/>.</summary>
    public static string Write(MediaServer server, string identity, string? label, string room, string? metadata, DateTimeOffset now, DateTimeOffset expires) =>
        Sign(server, now, expires, json =>
        {
            json.WriteString("sub"u8, identity);
            json.WriteString("name"u8, label ?? identity);
            if (metadata is not null)
            {
                json.WriteString("metadata"u8, metadata);
            }
            json.WriteStartObject("video"u8);
            json.WriteString("room"u8, room);
            json.WriteBoolean("roomJoin"u8, true);
            json.WriteBoolean("canPublish"u8, true);
            json.WriteBoolean("canSubscribe"u8, true);
            json.WriteBoolean("canPublishData"u8, true);
            json.WriteEndObject();
        });

    /// <summary>A token of Postern's own, for one call that closes a room.</summary>
    public static string WriteServer(MediaServer server, DateTimeOffset now) => Sign(server, now, now + Moment, static json =>
    {
        json.WriteStartObject("video"u8);
        json.WriteBoolean("roomCreate"u8, true); // what LiveKit asks for deleting too
        json.WriteEndObject();
    });

    private static string Sign(MediaServer server, DateTimeOffset now, DateTimeOffset expires, Action<Utf8JsonWriter> claims)
    {
        var signed = Header + "." + Base64Text.Encode(JsonText.Object(json =>
        {
            json.WriteString("iss"u8, server.Key);
            json.WriteNumber("nbf"u8, now.ToUnixTimeSeconds());
            json.WriteNumber("exp"u8, expires.ToUnixTimeSeconds());
            claims(json);
        }));
        return signed + "." + Base64Text.Encode(HMACSHA256.HashData(Encoding.UTF8.GetBytes(server.Secret), Encoding.ASCII.GetBytes(signed)));
    }
}
