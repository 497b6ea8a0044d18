using System.Text.Json;
using Postern.Core;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Media;

namespace Postern.Server.Dialects.Convai;

/// <summary>What the vendor answers to requests that begin, hold and end sessions.</summary>
internal static class SessionAnswers
{
    private static readonly TimeSpan EnterWithin = TimeSpan.FromMinutes(10);

    /// <summary>The room, and the token that admits this one participant to it.</summary>
    public static HttpAnswer Room(Opened opened)
    {
        var (session, request, conversation, user) = opened;
        var media = session.Agent.Media!;
        var metadata = System.Text.Encoding.UTF8.GetString(JsonText.Object(json =>
        {
            json.WriteString("agent_id"u8, session.Agent.Id.Value);
            json.WriteString("character_session_id"u8, conversation);
            if (session.Terms.Fixed.Variables.Count > 0)
            {
                json.WriteStartObject("dynamic_variables"u8);
                foreach (var (name, value) in session.Terms.Fixed.Variables)
                {
                    json.WritePropertyName(name);
                    value.WriteTo(json);
                }
                json.WriteEndObject();
            }
        }));
        return Wire.Json(200, json =>
        {
            json.WriteString("session_id"u8, session.Id);
            json.WriteString("request_trace_id"u8, RandomText.Base62(RandomText.IdLength));
            json.WriteString("character_session_id"u8, conversation);
            json.WriteString("room_url"u8, media.Url);
            json.WriteString("room_name"u8, session.Id);
            json.WriteString("token"u8, RoomToken.Write(media, user ?? "user_" + session.Id, request.Label, session.Id, metadata, session.StartedAt, EnterBy(session)));
            json.WriteString("end_user_id"u8, user);
            json.WritePropertyName("end_user_metadata"u8);
            json.WriteRawValue(request.About ?? "null");
        });
    }

    // A token counts when the room is entered; whoever is inside is given fresh ones. One that lasted longer would let a client back in after the end.
    private static DateTimeOffset EnterBy(Session session) => session.StartedAt + EnterWithin < session.Terms.EndBy ? session.StartedAt + EnterWithin : session.Terms.EndBy;

    /// <summary>The events of one answered text.</summary>
    public static TurnAnswer Events(Opened opened) => new TurnAnswer.Streamed("text/event-stream", acts => EventsAsync(opened, acts));

    private static async IAsyncEnumerable<byte[]> EventsAsync(Opened opened, IAsyncEnumerable<AgentAct> acts)
    {
        yield return Event(json =>
        {
            json.WriteString("type"u8, "connection-started");
            json.WriteStartObject("message"u8);
            json.WriteString("session_id"u8, opened.Session.Id);
            json.WriteString("transport"u8, "sse");
            json.WriteString("character_session_id"u8, opened.Conversation);
            json.WriteEndObject();
        });
        yield return Labelled("bot-llm-started");
        await foreach (var act in acts)
        {
            if (act is AgentAct.Piece piece)
            {
                yield return Labelled("bot-llm-text", json => json.WriteString("text"u8, piece.Text));
            }
            else if (act is AgentAct.Says said)
            {
                yield return Labelled("bot-transcription", json => json.WriteString("text"u8, said.Text));
            }
            else if (act is AgentAct.Failed failed)
            {
                yield return Labelled("error", json =>
                {
                    json.WriteString("error"u8, failed.Sentence);
                    json.WriteBoolean("fatal"u8, true);
                });
            }
        }
        yield return Labelled("bot-llm-stopped");
        yield return Event(json => json.WriteString("type"u8, "connection-stoppped")); // the vendor's spelling
    }

    /// <summary>One answered text, or why there is no answer.</summary>
    public static TurnAnswer Response(Opened opened) => new TurnAnswer.Whole(acts =>
        acts.OfType<AgentAct.Failed>().FirstOrDefault() is { } failed ? Refusals.Failed(failed) : Wire.Json(200, json =>
        {
            json.WriteString("charID"u8, opened.Session.Agent.Id.Value);
            json.WriteString("text"u8, string.Join(' ', acts.OfType<AgentAct.Says>().Select(said => said.Text)));
            json.WriteString("sessionID"u8, opened.Conversation);
        }));

    /// <summary>A conversation in which nothing has been said.</summary>
    public static TurnAnswer Begun(Opened opened) => new TurnAnswer.Whole(_ => Wire.Json(200, json =>
    {
        json.WriteString("charID"u8, opened.Session.Agent.Id.Value);
        json.WriteString("sessionID"u8, opened.Conversation);
    }));

    /// <summary>The session has ended.</summary>
    public static HttpAnswer Disconnected(HangUp asked) => Wire.Json(200, json =>
    {
        json.WriteString("status"u8, "disconnected");
        json.WriteString("session_id"u8, asked.Session);
    });

    /// <summary>The end user's further id.</summary>
    public static HttpAnswer Speaker(string id) => Wire.Json(200, json => json.WriteString("speakerId"u8, id));

    private static byte[] Labelled(string type, Action<Utf8JsonWriter>? data = null) => Event(json =>
    {
        json.WriteString("label"u8, "rtvi-ai");
        json.WriteString("type"u8, type);
        if (data is not null)
        {
            json.WriteStartObject("data"u8);
            data(json);
            json.WriteEndObject();
        }
    });

    private static byte[] Event(Action<Utf8JsonWriter> members) => [.. "data: "u8, .. JsonText.Object(members), .. "\n\n"u8];
}
