namespace Postern.Core.Projects;

/// <summary>What an API key may do. A key holds any set of these.</summary>
[Flags]
public enum Scopes
{
    /// <summary>Nothing.</summary>
    None = 0,
    /// <summary>Mint credentials.</summary>
    Mint = 1,
    /// <summary>Read agents.</summary>
    AgentsRead = 2,
    /// <summary>Create, change and delete agents.</summary>
    AgentsWrite = 4,
    /// <summary>Read and delete conversations.</summary>
    ConversationsRead = 8,
    /// <summary>Postern's own management API.</summary>
    Admin = 16,
    /// <summary>Converse by plain requests that bring the key itself: what a page may be given. It mints nothing and reads nothing but the caller's own.</summary>
    Converse = 32,
    /// <summary>All of them.</summary>
    All = Mint | AgentsRead | AgentsWrite | ConversationsRead | Admin | Converse,
}

/// <summary>How an application proves itself. The text is shown once, only its SHA-256 is kept.</summary>
/// <param name="Id">Public name of the key, safe in logs.</param>
/// <param name="Project">The only project in which the key works.</param>
/// <param name="Name">For people.</param>
/// <param name="Prefix">The first characters of the text, to recognise it by.</param>
/// <param name="Hash">SHA-256 of the text.</param>
/// <param name="Scopes">What it may do.</param>
/// <param name="CreatedAt">When it was created.</param>
/// <param name="RevokedAt">When it was revoked, if it was.</param>
public sealed record ApiKey(
    string Id, ProjectId Project, string Name, string Prefix, byte[] Hash, Scopes Scopes, DateTimeOffset CreatedAt, DateTimeOffset? RevokedAt)
{
    /// <summary>The scope names as written in commands and answers.</summary>
    public static readonly IReadOnlyDictionary<string, Scopes> ScopeNames = new Dictionary<string, Scopes>(StringComparer.Ordinal)
    {
        ["mint"] = Scopes.Mint,
        ["agents_read"] = Scopes.AgentsRead,
        ["agents_write"] = Scopes.AgentsWrite,
        ["conversations_read"] = Scopes.ConversationsRead,
        ["admin"] = Scopes.Admin,
        ["converse"] = Scopes.Converse,
    };

    /// <summary>ScopeMissing when the key lacks any of <paramref name="needed"/>; the detail names them.</summary>
    public Denial? WhyRefused(Scopes needed) =>
        (Scopes & needed) == needed ? null : new Denial(DenialReason.ScopeMissing, string.Join(", ", Names(needed & ~Scopes)));

    /// <summary>The names of the scopes in <paramref name="scopes"/>, in declaration order.</summary>
    public static IEnumerable<string> Names(Scopes scopes) => ScopeNames.Where(s => scopes.HasFlag(s.Value)).Select(s => s.Key);
}
