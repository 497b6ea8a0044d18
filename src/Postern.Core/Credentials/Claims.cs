using System.Collections.Immutable;
using System.Text.Json;
using Postern.Core.Agents;
using Postern.Core.Projects;

namespace Postern.Core.Credentials;

/// <summary>The claims of our own credentials: a closed set, each at most once, integers only (RFC 7519 names where it has them).</summary>
internal static class Claims
{
    // 9999-12-31: beyond, DateTimeOffset throws.
    private const long LatestTime = 253402300799;

    public static void Write(Utf8JsonWriter json, CredentialId id, Grant grant, DateTimeOffset now)
    {
        json.WriteStartObject();
        json.WriteString("jti"u8, id.Value);
        json.WriteString("prj"u8, grant.Project.Value);
        json.WriteString("agt"u8, grant.Agent!.Value.Value);
        if (grant.Subject is not null)
        {
            json.WriteString("sub"u8, grant.Subject);
        }
        json.WriteNumber("iat"u8, now.ToUnixTimeSeconds());
        json.WriteNumber("exp"u8, grant.StartBy.ToUnixTimeSeconds());
        if (grant.Uses is { } uses)
        {
            json.WriteNumber("use"u8, uses);
        }
        if (grant.MaxDuration is { } duration)
        {
            json.WriteNumber("dur"u8, (long)duration.TotalSeconds);
        }
        if (grant.ConversationId is not null)
        {
            json.WriteString("cid"u8, grant.ConversationId);
        }
        if (grant.HasFixed)
        {
            json.WriteNumber("fix"u8, 1);
        }
        if (!grant.Origins.IsDefaultOrEmpty)
        {
            json.WriteStartArray("org"u8);
            foreach (var origin in grant.Origins)
            {
                json.WriteStringValue(origin);
            }
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    /// <summary>Null for anything but the closed set above, well-typed.</summary>
    public static (CredentialId Id, Grant Grant)? Read(ReadOnlySpan<byte> payload)
    {
        try
        {
            return ReadStrictly(payload);
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            return null;
        }
    }

    private static (CredentialId Id, Grant Grant)? ReadStrictly(ReadOnlySpan<byte> payload)
    {
        var reader = new Utf8JsonReader(payload, new JsonReaderOptions { MaxDepth = 2 });
        string? id = null, project = null, agent = null, subject = null, conversation = null;
        long? issued = null, startBy = null, uses = null, duration = null, hasFixed = null;
        ImmutableArray<string> origins = default;
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return null;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var known = reader.ValueTextEquals("jti"u8) ? ReadText(ref reader, ref id)
                : reader.ValueTextEquals("prj"u8) ? ReadText(ref reader, ref project)
                : reader.ValueTextEquals("agt"u8) ? ReadText(ref reader, ref agent)
                : reader.ValueTextEquals("sub"u8) ? ReadText(ref reader, ref subject)
                : reader.ValueTextEquals("iat"u8) ? ReadInteger(ref reader, ref issued)
                : reader.ValueTextEquals("exp"u8) ? ReadInteger(ref reader, ref startBy)
                : reader.ValueTextEquals("use"u8) ? ReadInteger(ref reader, ref uses)
                : reader.ValueTextEquals("dur"u8) ? ReadInteger(ref reader, ref duration)
                : reader.ValueTextEquals("fix"u8) ? ReadInteger(ref reader, ref hasFixed)
                : reader.ValueTextEquals("cid"u8) ? ReadText(ref reader, ref conversation)
                : reader.ValueTextEquals("org"u8) && ReadTexts(ref reader, ref origins);
            if (!known)
            {
                return null;
            }
        }
        var complete = reader.TokenType == JsonTokenType.EndObject && !reader.Read()
            && id is not null && project is not null && agent is not null && issued is not null
            && startBy is > 0 and <= LatestTime && uses is null or > 0 and <= int.MaxValue && hasFixed is null or 1 && duration is null or > 0 and <= int.MaxValue;
        return complete
            ? (new CredentialId(id!), new Grant(new ProjectId(project!), new AgentId(agent!), subject, DateTimeOffset.FromUnixTimeSeconds(startBy!.Value),
                (int?)uses, duration is { } seconds ? TimeSpan.FromSeconds(seconds) : null, origins.IsDefault ? [] : origins, conversation)
            { HasFixed = hasFixed is 1 })
            : null;
    }

    // Each reader is false for a second occurrence: duplicates are refused, escaped ones too.
    private static bool ReadText(ref Utf8JsonReader reader, ref string? value) =>
        value is null && reader.Read() && reader.TokenType == JsonTokenType.String && (value = reader.GetString()) is { Length: > 0 };

    private static bool ReadInteger(ref Utf8JsonReader reader, ref long? value)
    {
        if (value is not null || !reader.Read() || reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var number))
        {
            return false;
        }
        value = number;
        return true;
    }

    private static bool ReadTexts(ref Utf8JsonReader reader, ref ImmutableArray<string> values)
    {
        if (!values.IsDefault || !reader.Read() || reader.TokenType != JsonTokenType.StartArray)
        {
            return false;
        }
        var builder = ImmutableArray.CreateBuilder<string>();
        while (reader.Read() && reader.TokenType == JsonTokenType.String)
        {
            builder.Add(reader.GetString()!);
        }
        values = builder.ToImmutable();
        return reader.TokenType == JsonTokenType.EndArray;
    }
}
