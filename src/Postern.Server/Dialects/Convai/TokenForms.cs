using System.Text.Json;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Credentials;
using Postern.Core.Projects;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.Convai;

/// <summary>Reads the requests of the token endpoints. A member that is not known is refused: a binding dropped in silence is a hole.</summary>
internal static class TokenForms
{
    private const string User = "end_user_id";
    private const string Character = "character_id";
    private const string Token = "apiAuthToken";

    /// <summary>A personal access token, bound to an end user and a character where the body says so.</summary>
    public static Decision<MintRequest> Mint(WireRequest request)
    {
        if (Presented.Read(request).IsDenied(out var denial, out var presented) || RequestFields.Read(request).IsDenied(out denial, out var fields))
        {
            return denial;
        }
        if (Wrong(fields, User, Character) is { } wrong)
        {
            return wrong;
        }
        var (user, character) = (fields.Value(User)?.GetString(), fields.Value(Character)?.GetString());
        if (user is not null && !Subject.IsValid(user))
        {
            return Invalid($"{User}: {Subject.Rule}.");
        }
        return character is not null && !AgentIdText.IsValid(character)
            ? new Denial(DenialReason.AgentUnknown)
            : new MintRequest(presented.Text, character is null ? null : new AgentId(character), CredentialKind.PersonalAccessToken, request.Address)
            {
                Subject = user, Dialect = ConvaiDialect.Tag,
            };
    }

    /// <summary>The token that is to be extended or revoked.</summary>
    public static Decision<ChangeRequest> Change(WireRequest request)
    {
        if (Presented.Read(request).IsDenied(out var denial, out var presented) || RequestFields.Read(request).IsDenied(out denial, out var fields))
        {
            return denial;
        }
        return Wrong(fields, Token) is { } wrong ? wrong
            : fields.Text(Token) is { } token ? new ChangeRequest(presented.Text, null, token, request.Address)
            : Invalid($"{Token} is missing.");
    }

    private static Denial? Wrong(RequestFields fields, params string[] known)
    {
        foreach (var name in fields.Names)
        {
            if (!known.Contains(name, StringComparer.Ordinal))
            {
                return Invalid($"{name} is not known here: the members are {string.Join(", ", known)}.");
            }
            if (fields.Value(name) is not { ValueKind: JsonValueKind.String })
            {
                return Invalid($"{name} must be a string.");
            }
        }
        return null;
    }

    private static Denial Invalid(string sentence) => new(DenialReason.RequestInvalid, sentence);
}
