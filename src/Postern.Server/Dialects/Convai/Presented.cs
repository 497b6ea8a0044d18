using Postern.Core;
using Postern.Core.Credentials;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.Convai;

/// <summary>The one credential of a request. Any of the vendor's three headers may hold an API key or a personal access token.</summary>
internal sealed record Presented(string Text)
{
    /// <summary>The vendor's headers.</summary>
    public static readonly string[] Slots = ["CONVAI-API-KEY", "X-API-Key", "API-AUTH-TOKEN"];

    private static readonly string TokenPrefix = CredentialKind.PersonalAccessToken.Prefix();

    /// <summary>The text as a personal access token, if it is one.</summary>
    public CredentialText? Token => Text.StartsWith(TokenPrefix, StringComparison.Ordinal) ? new CredentialText(Text) : null;

    /// <summary>The text as an API key, if it is no token.</summary>
    public string? Key => Token is null ? Text : null;

    /// <summary>What was presented; KeyMissing, or ConflictingCredentials when two headers differ or one came twice.</summary>
    public static Decision<Presented> Read(WireRequest request)
    {
        if (request.Repeated(Slots) is not null)
        {
            return new Denial(DenialReason.ConflictingCredentials);
        }
        string? only = null;
        foreach (var slot in Slots)
        {
            // Clients send the slots that they do not use empty.
            if (request.Header(slot)?.Trim() is not { Length: > 0 } text || string.Equals(text, only, StringComparison.Ordinal))
            {
                continue;
            }
            if (only is not null)
            {
                return new Denial(DenialReason.ConflictingCredentials);
            }
            only = text;
        }
        return only is null ? new Denial(DenialReason.KeyMissing) : new Presented(only);
    }
}
