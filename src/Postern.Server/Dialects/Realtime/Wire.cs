using System.Text.Json;
using Postern.Server.Agents;

namespace Postern.Server.Dialects.Realtime;

/// <summary>The shapes that both vendors share.</summary>
internal static class Wire
{
    /// <summary>The error shape of REST.</summary>
    public static HttpAnswer Error(int status, string type, string code, string message, string? param = null) =>
        new(status, JsonText.Object(json => WriteError(json, type, code, message, param)));

    /// <summary>The error event; <paramref name="cause"/> is the <c>event_id</c> of the client's event that it answers.</summary>
    /// <param name="reason">The exact word, where <paramref name="code"/> is one of the few that clients act on.</param>
    public static byte[] ErrorEvent(string id, string type, string code, string message, string? param = null, string? cause = null, string? reason = null) => JsonText.Object(json =>
    {
        json.WriteString("type"u8, "error");
        json.WriteString("event_id"u8, id);
        WriteError(json, type, code, message, param, () =>
        {
            json.WriteString("event_id"u8, cause);
            if (reason is not null)
            {
                json.WriteString("reason"u8, reason);
            }
        });
    });

    /// <summary>The code for what an agent failed of.</summary>
    public static string Code(AgentFailure failure) => failure switch
    {
        AgentFailure.Unreachable => "agent_unreachable",
        AgentFailure.Timeout => "agent_timeout",
        AgentFailure.Busy => "agent_busy",
        AgentFailure.Broken => "agent_failed",
    };

    private static void WriteError(Utf8JsonWriter json, string type, string code, string message, string? param, Action? more = null)
    {
        json.WriteStartObject("error"u8);
        json.WriteString("type"u8, type);
        json.WriteString("code"u8, code);
        json.WriteString("message"u8, message);
        json.WriteString("param"u8, param);
        more?.Invoke();
        json.WriteEndObject();
    }
}
