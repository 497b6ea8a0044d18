using Postern.Core.Agents;
using System.Text.Json;

namespace Postern.Server.Dialects.Realtime;

/// <summary>A minted client secret in OpenAI's shape, of which xAI's clients read what they know (contract, section 2).</summary>
internal static class MintAnswer
{
    /// <summary>The secret with the session it opens. <paramref name="model"/> is the name that was asked for.</summary>
    public static HttpAnswer Write(Minted minted, string? model) => new(200, JsonText.Object(json =>
    {
        WriteSecret(json, minted);
        json.WriteStartObject("session"u8);
        WriteSession(json, minted, model);
        json.WriteEndObject();
    }));

    /// <summary>The older form: the session with the secret inside.</summary>
    public static HttpAnswer WriteBeta(Minted minted, string? model) => new(200, JsonText.Object(json =>
    {
        WriteSession(json, minted, model);
        json.WriteStartObject("client_secret"u8);
        WriteSecret(json, minted);
        json.WriteEndObject();
    }));

    private static void WriteSecret(Utf8JsonWriter json, Minted minted)
    {
        json.WriteString("value"u8, minted.Credential.Text.Value);
        json.WriteNumber("expires_at"u8, minted.Credential.Grant.StartBy.ToUnixTimeSeconds());
    }

    private static void WriteSession(Utf8JsonWriter json, Minted minted, string? model)
    {
        var (values, hasVoice) = (minted.Request.Fixed, minted.Agent?.Upstream is not Upstream.Chat);
        var (id, named) = ("sess_" + minted.Credential.Id.Value, model ?? minted.Credential.Grant.Agent?.Value ?? "");
        if (values.IsEmpty)
        {
            SessionConfiguration.WriteDefaults(json, hasVoice, id, named);
        }
        else
        {
            new SessionConfiguration(values, hasVoice, id, named, 0).WriteMembers(json);
        }
    }
}
