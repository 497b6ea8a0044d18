using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Policy;
using Postern.Core.Projects;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>What a page must know to show an agent's widget. Needs no key: whoever may begin a conversation may read it, nothing is used up.</summary>
internal sealed class WidgetRest(RestAccess access, Core.Directory directory, AgentStore store, TimeProvider clock)
{
    private const string Path = "/v1/convai/agents/{id}/widget";

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(Path, RestAccess.Answering(context => Task.FromResult(OpenToPages.Allow(Show(context)))));
        routes.MapMethods(Path, [HttpMethods.Options], RestAccess.Answering(static _ => Task.FromResult(OpenToPages.Preflight("GET"))));
    }

    private HttpAnswer Show(HttpContext context)
    {
        var request = WireRequest.From(context);
        if (request.Repeated("conversation_signature", "Origin", ElevenLabsDialect.KeyHeader) is { } repeated)
        {
            return Wire.Invalid([FieldProblem.Value("Must be given once", "query", repeated)]);
        }
        var id = context.Request.RouteValues["id"] as string ?? "";
        if (!AgentIdText.IsValid(id) || directory.Find(new AgentId(id)) is not { } agent)
        {
            return RestAccess.Unknown(id);
        }
        if (Judge(context, request, agent) is { } denial)
        {
            return denial.Reason == DenialReason.AgentUnknown ? RestAccess.Unknown(id) : access.Refuse(context, denial);
        }
        return store.Read(agent.Id) is { } row ? AgentAnswers.Widget(row, agent) : RestAccess.Unknown(id);
    }

    private Denial? Judge(HttpContext context, WireRequest request, Agent agent)
    {
        if (request.Header(ElevenLabsDialect.KeyHeader) is { Length: > 0 })
        {
            return access.Verify(context, Scopes.AgentsRead).IsDenied(out var keyDenial, out var key) ? keyDenial
                : key.Project == agent.Project ? null : new Denial(DenialReason.AgentUnknown);
        }
        var now = clock.GetUtcNow();
        VerifiedCredential? credential = null;
        if (request.Parameter("conversation_signature") is { Length: > 0 } signature)
        {
            if (CredentialVerifier.Verify(directory.Ring, new CredentialText(signature), CredentialKind.SignedUrl, now).IsDenied(out var denial, out credential))
            {
                return denial;
            }
            if (credential.Grant.Agent != agent.Id || credential.Grant.Project != agent.Project)
            {
                return new Denial(DenialReason.AgentMismatch);
            }
        }
        var connect = new ConnectRequest(CredentialKind.SignedUrl, null, agent.Id, request.Header("Origin"), request.Address);
        return SessionPolicy.Decide(agent, credential, connect, now).Denial;
    }
}
