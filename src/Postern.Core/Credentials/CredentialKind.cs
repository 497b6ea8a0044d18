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
}

internal static class CredentialKinds
{
    public static string Type(this CredentialKind kind) => kind switch
    {
        CredentialKind.SignedUrl => "postern-url",
        CredentialKind.ConversationToken => "postern-conversation",
        CredentialKind.ClientSecret => "postern-secret",
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    /// <summary>What a scanner for leaked secrets looks for, and what tells the kinds apart before anything is decoded.</summary>
    public static string Prefix(this CredentialKind kind) => kind switch
    {
        CredentialKind.SignedUrl => "psu_",
        CredentialKind.ConversationToken => "pct_",
        CredentialKind.ClientSecret => "ek_",
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };
}
