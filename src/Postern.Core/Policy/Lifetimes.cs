using Postern.Core.Credentials;

namespace Postern.Core.Policy;

/// <summary>How long credentials of one kind can start a session.</summary>
/// <param name="Default">When the mint says nothing.</param>
/// <param name="Shortest">The least that can be asked for.</param>
/// <param name="Longest">The most.</param>
public sealed record Lifetime(TimeSpan Default, TimeSpan Shortest, TimeSpan Longest);

/// <summary>The lifetimes of all kinds.</summary>
/// <param name="SignedUrl">Of signed URLs and conversation tokens; an agent's own default comes first.</param>
/// <param name="ClientSecret">Of client secrets.</param>
/// <param name="PersonalAccessToken">Of personal access tokens, from the mint or the last extension.</param>
/// <param name="PersonalAccessTokenAge">No extension carries a personal access token beyond this age.</param>
public sealed record Lifetimes(Lifetime SignedUrl, Lifetime ClientSecret, Lifetime PersonalAccessToken, TimeSpan PersonalAccessTokenAge)
{
    /// <summary>The lifetime of one kind.</summary>
    public Lifetime Of(CredentialKind kind) => kind switch
    {
        CredentialKind.SignedUrl or CredentialKind.ConversationToken => SignedUrl,
        CredentialKind.ClientSecret => ClientSecret,
        CredentialKind.PersonalAccessToken => PersonalAccessToken,
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };
}
