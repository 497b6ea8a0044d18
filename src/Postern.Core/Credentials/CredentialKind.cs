namespace Postern.Core.Credentials;

/// <summary>The kinds of credential. One kind never works in another's place: prefix and <c>typ</c> differ.</summary>
public enum CredentialKind
{
    /// <summary>Inside a URL that opens a WebSocket.</summary>
    SignedUrl,
    /// <summary>For a WebRTC session.</summary>
    ConversationToken,
    /// <summary>For the realtime protocol, by bearer header or subprotocol.</summary>
    ClientSecret,
    /// <summary>Opaque text in an API key's place; only its hash is kept, its time lives in the ledger.</summary>
    PersonalAccessToken,
}

/// <summary>What tells the kinds apart.</summary>
public static class CredentialKinds
{
    /// <summary>
    /// Whether a longest duration is that of all its sessions together: clients of this kind connect again by themselves, and each
    /// session would only start anew.
    /// </summary>
    public static bool CountsTime(this CredentialKind kind) => kind == CredentialKind.ClientSecret;

    /// <summary>Whether a text looks like a credential of any kind, and is therefore no API key.</summary>
    public static bool IsCredential(string text)
    {
        foreach (var kind in Enum.GetValues<CredentialKind>())
        {
            if (text.StartsWith(kind.Prefix(), StringComparison.Ordinal))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Whether it is a signed text; the others are random texts that the ledger knows.</summary>
    public static bool IsSigned(this CredentialKind kind) => kind switch
    {
        CredentialKind.SignedUrl or CredentialKind.ConversationToken or CredentialKind.ClientSecret => true,
        CredentialKind.PersonalAccessToken => false,
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    /// <summary>The <c>typ</c> of a signed one.</summary>
    public static string Type(this CredentialKind kind) => kind switch
    {
        CredentialKind.SignedUrl => "postern-url",
        CredentialKind.ConversationToken => "postern-conversation",
        CredentialKind.ClientSecret => "postern-secret",
        CredentialKind.PersonalAccessToken => "",
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    /// <summary>What a scanner for leaked secrets looks for, and what tells the kinds apart before anything is decoded.</summary>
    public static string Prefix(this CredentialKind kind) => kind switch
    {
        CredentialKind.SignedUrl => "psu_",
        CredentialKind.ConversationToken => "pct_",
        CredentialKind.ClientSecret => "ek_",
        CredentialKind.PersonalAccessToken => "pat_",
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };
}
