using Postern.Core.Projects;
using Postern.Core.Sessions;
using Postern.Server.Agents;
using Postern.Server.Flow;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Admin;

/// <summary>The conversations that are being held on this node, and the end of one, on whatever node, by an operator.</summary>
internal sealed class SessionsAdmin(AdminAccess access, LiveSessions live, SessionStore sessions)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/api/sessions", access.For(ListAsync));
        routes.MapPost("/api/sessions/{id}/end", access.For(EndAsync));
    }

    private Task ListAsync(HttpContext context, ApiKey key) => AdminAccess.AnswerAsync(context, json =>
    {
        json.WriteStartArray("sessions"u8);
        foreach (var session in live.All.Where(session => session.Agent.Project == key.Project).OrderBy(session => session.StartedAt))
        {
            json.WriteStartObject();
            json.WriteString("id"u8, session.Id);
            json.WriteString("agent"u8, session.Agent.Id.Value);
            json.WriteString("subject"u8, session.Terms.Subject);
            json.WriteString("since"u8, AgentSettings.Time(session.StartedAt));
            json.WriteString("end_by"u8, AgentSettings.Time(session.Terms.EndBy));
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });

    private async Task EndAsync(HttpContext context, ApiKey key)
    {
        var id = (string)context.Request.RouteValues["id"]!;
        if (live.End(session => session.Id == id && session.Agent.Project == key.Project, SessionEndReason.Operator) == 0)
        {
            if (sessions.FindOpen(id) is not { } elsewhere || elsewhere.Project != key.Project)
            {
                await Problem.WriteAsync(context, 404, "No such conversation is being held.");
                return;
            }
            await sessions.EndAsync(id, SessionEndReason.Operator);
        }
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }
}
