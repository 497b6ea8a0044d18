using Postern.Core.Audit;
using Postern.Core.Projects;
using Postern.Server.Agents;
using Postern.Server.Hosting;
using Postern.Server.Storage;

namespace Postern.Server.Admin;

/// <summary>The conversations that are being held, on whatever node, and the end of one by an operator.</summary>
internal sealed class SessionsAdmin(AdminAccess access, Database database, GroupedWriter writer, DirectoryFeed feed, TimeProvider clock)
{
    private const int Most = 1000;

    /// <summary>The kind of change that tells the node that holds a session to end it.</summary>
    public const string EndAsked = "session end";

    // A session whose time is up is still being told so for a moment; what a killed node has left open is listed no longer than that.
    private static readonly TimeSpan LastWords = TimeSpan.FromMinutes(1);

    private const string Live = "project_id = $1 and ended_at is null and end_by > $2";

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/api/sessions", access.For(ListAsync));
        routes.MapPost("/api/sessions/{id}/end", access.For(EndAsync));
    }

    private Task ListAsync(HttpContext context, ApiKey key) => AdminAccess.AnswerAsync(context, json =>
    {
        using var connection = database.Open();
        using var command = Database.Command(connection,
            $"select id, agent_id, subject, node, started_at, end_by from session where {Live} order by started_at, id limit {Most}", key.Project.Value, (clock.GetUtcNow() - LastWords).ToUnixTimeMilliseconds());
        using var reader = command.ExecuteReader();
        json.WriteStartArray("sessions"u8);
        while (reader.Read())
        {
            json.WriteStartObject();
            json.WriteString("id"u8, reader.GetString(0));
            json.WriteString("agent"u8, reader.GetString(1));
            json.WriteString("subject"u8, reader.Text(2));
            json.WriteString("node"u8, reader.GetString(3));
            json.WriteString("since"u8, AgentSettings.Time(reader.Time(4)));
            json.WriteString("end_by"u8, AgentSettings.Time(reader.Time(5)));
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });

    private async Task EndAsync(HttpContext context, ApiKey key)
    {
        var (id, now) = ((string)context.Request.RouteValues["id"]!, clock.GetUtcNow());
        var found = await writer.WriteAsync(transaction =>
        {
            if (transaction.Scalar($"select id from session where {Live} and id = $3", key.Project.Value, (now - LastWords).ToUnixTimeMilliseconds(), id) is null)
            {
                return false;
            }
            transaction.Changed(EndAsked, id);
            transaction.Audit(new AuditEvent(now, AuditNames.SessionEndAsked) { Project = key.Project, Key = key.Id, Session = id });
            return true;
        });
        if (!found)
        {
            await Problem.WriteAsync(context, 404, "No such conversation is being held.");
            return;
        }
        await feed.CatchUpAsync();
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }
}
