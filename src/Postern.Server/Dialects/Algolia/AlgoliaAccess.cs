using System.Data.Common;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Flow;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.Algolia;

/// <summary>
/// What every route of the vendor begins with (contract, section 10): application id and key, the user token if one is sent, the key's
/// scope. The core decides and records; here the request is read and the refusal put into the vendor's words.
/// </summary>
internal sealed class AlgoliaAccess(Func<ConnectRequest, Decision<Caller>> identify, Func<Denial, string?, Denial> record, RefusalLimiter limiter)
{
    private const string ApplicationName = "x-algolia-application-id";
    /// <summary>The header, or the parameter, with the API key.</summary>
    public const string KeyName = "x-algolia-api-key";
    /// <summary>The one place of a user token.</summary>
    public const string TokenHeader = "X-Algolia-Secure-User-Token";
    /// <summary>The detail of a refusal because a user token came beside a request that is no single user's.</summary>
    public const string Narrowed = "user token: the request is no single user's";
    /// <summary>The detail of a refusal because a user token stood in the query.</summary>
    public const string InQuery = "user token: in the query";

    /// <summary>Who calls, if the key holds <paramref name="scope"/>; beside a user token it may hold <paramref name="withUser"/> instead.</summary>
    /// <param name="context">The request.</param>
    /// <param name="scope">What the key needs.</param>
    /// <param name="agent">The agent that the route concerns: a user token must be of a key for it.</param>
    /// <param name="withUser">What the key needs for a user's own.</param>
    public Decision<Caller> Verify(HttpContext context, Scopes scope, AgentId? agent = null, Scopes? withUser = null) =>
        Read(WireRequest.From(context), scope, agent).IsDenied(out var denial, out var request) ? Record(context, denial) : identify(request with { KeyScopeWithUser = withUser });

    /// <summary>The request in the core's words: the same for a route of REST and for a completion.</summary>
    public static Decision<ConnectRequest> Read(WireRequest request, Scopes scope, AgentId? agent = null)
    {
        if (Twice(request, ApplicationName) || Twice(request, KeyName))
        {
            return new Denial(DenialReason.ConflictingCredentials, "the application id or the key was sent twice");
        }
        if (request.Query.ContainsKey(TokenHeader))
        {
            return new Denial(DenialReason.CredentialMalformed, InQuery); // passed over, it would leave the request anonymous
        }
        var (application, key) = (Once(request, ApplicationName), Once(request, KeyName));
        var token = request.Headers[TokenHeader];
        var origin = request.Headers.Origin;
        return new ConnectRequest(CredentialKind.SignedUrl, null, agent, origin.Count == 0 ? null : origin.ToString(), request.Address)
        {
            Key = application is null ? "" : key ?? "",
            KeyScope = scope,
            Project = ProjectOf(application, AlgoliaPaths.Prefix(request)),
            UserToken = token.Count switch { 0 => null, 1 => token[0] ?? "", _ => "" }, // sent twice is not sent: it must not count as anonymous
            Dialect = AlgoliaDialect.Tag,
        };
    }

    /// <summary>The agent that a path names, by whichever of its names. What is no form of a name is nobody's.</summary>
    public static AgentId Agent(string? named) =>
        named is null || !AgentIdText.IsValid(named) ? new AgentId("") : new AgentId(AgentId.IsUuid(named) ? named.ToLowerInvariant() : named);

    /// <summary>The agent that a body or a query names, in <paramref name="place"/>: one of the caller's project that the user token opens.</summary>
    public Decision<Agent> Find(HttpContext context, Core.Directory directory, Caller caller, string named, string place) =>
        directory.Find(caller.Project, Agent(named)) is not { } agent
            ? AgentId.IsUuid(named) ? new Denial(DenialReason.AgentUnknown, named) : new Denial(DenialReason.RequestInvalid, $"{place}: {Wire.NoUuid}")
        : caller.Token is { } token && !token.Opens(agent.Id) ? Record(context, new Denial(DenialReason.AgentMismatch, $"user token: secret key {token.Key.Id} is not for this agent"))
        : agent;

    /// <summary>What the vendor's clients call an agent; one that is no more has left what was said with it.</summary>
    public static string Uuid(Core.Directory directory, AgentId agent) => directory.Find(agent)?.Uuid ?? agent.Uuid;

    /// <summary>
    /// Who calls for what is no single user's. A user token narrows a request to that user's own, whatever the key may do, and here is nothing of the kind.
    /// </summary>
    public Decision<Caller> VerifyOperator(HttpContext context, Scopes scope) =>
        Verify(context, scope).IsDenied(out var denial, out var caller) ? denial
        : caller.Token is null ? caller : Record(context, new Denial(DenialReason.ScopeMissing, Narrowed));

    /// <summary>Records a refusal that a route itself has found.</summary>
    public Denial Record(HttpContext context, Denial denial) => record(denial, AddressOf(context));

    /// <summary>The refusal in the vendor's words; whoever tries keys and tokens is slowed down.</summary>
    public HttpAnswer Refuse(HttpContext context, Denial denial) => Refusals.Answer(
        denial.Reason is not (DenialReason.RequestInvalid or DenialReason.AgentUnknown or DenialReason.ConversationUnknown or DenialReason.CredentialUnknown)
        && limiter.Exceeds(context.Connection.RemoteIpAddress, denial)
            ? new Denial(DenialReason.TooManyRefusals, $"{limiter.RetryAfter}")
            : denial);

    /// <summary>A handler of a route that waits for nothing.</summary>
    public RequestDelegate Answering(Func<HttpContext, Decision<HttpAnswer>> handler) => Answering(context => Task.FromResult(handler(context)));

    /// <summary>A handler of a route: what it refuses is put into the vendor's words, and an outage of the database denies.</summary>
    public RequestDelegate Answering(Func<HttpContext, Task<Decision<HttpAnswer>>> handler) => async context =>
    {
        HttpAnswer answer;
        try
        {
            answer = (await handler(context)).IsDenied(out var denial, out var granted) ? Refuse(context, denial) : granted;
        }
        catch (Exception e) when (e is StorageException or DbException)
        {
            answer = Refusals.Answer(new Denial(DenialReason.Unavailable));
        }
        catch (BadHttpRequestException e)
        {
            answer = Wire.Error(e.StatusCode, e.Message);
        }
        await HttpAnswers.WriteAsync(context, answer);
    };

    /// <summary>The handler's end that has nothing to wait for.</summary>
    public static Task<Decision<HttpAnswer>> Done(HttpAnswer answer) => Task.FromResult<Decision<HttpAnswer>>(answer);

    // Browsers' clients send them in the query, the others as headers; the same in both is one.
    private static bool Twice(WireRequest request, string name) =>
        request.Headers[name] is var header && request.Query[name] is var query
        && (header.Count > 1 || query.Count > 1 || (header.Count == 1 && query.Count == 1 && header[0] != query[0]));

    private static string? Once(WireRequest request, string name) => request.Headers[name] is [var header] ? header : request.Query[name] is [var query] ? query : null;

    private static string? AddressOf(HttpContext context) => context.Connection.RemoteIpAddress?.ToString();

    // The form HOST:PORT/x came to the path /x.algolia.net/…: it is an alias of whichever project the key is of.
    private static ProjectId? ProjectOf(string? application, string? prefix) =>
        application is null || (prefix is not null && application.EndsWith("/" + prefix, StringComparison.Ordinal)) ? null : new ProjectId(application);
}
