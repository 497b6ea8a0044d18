using System.Text.Json;
using System.Text.Json.Nodes;
using Postern.Core.Agents;
using Postern.Core.Projects;
using Postern.Server.Storage;

namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>
/// What becomes of an agent's document: members nobody here knows stay as they were written, numbers too; only access and name are
/// settled. Pure functions over what <see cref="AgentForm"/> has passed.
/// </summary>
internal static class AgentDraft
{
    public const string DefaultName = "New agent";
    private static readonly JsonElement Empty = JsonElement.Parse("{}", Core.StrictJson.Document);

    /// <summary>A new agent.</summary>
    /// <param name="openByDefault">Whether the project makes an agent public that says nothing about its access.</param>
    public static AgentRow Create(AgentId id, ProjectId project, string dialect, bool openByDefault, JsonElement body, DateTimeOffset now)
    {
        var row = new AgentRow(id, project, "", dialect, "{}", false, new Upstream.Echo(), now, now);
        return Settle(row, JsonObject.Create(body)!, openByDefault, accessNamed: true);
    }

    /// <summary>
    /// A changed agent: objects merge, arrays and scalars replace, null is the default. The null itself is kept: the vendor's command
    /// line tool reads back what it has written, and reports every member that it misses.
    /// </summary>
    public static AgentRow Change(AgentRow row, JsonElement patch, bool openByDefault)
    {
        var merged = JsonText.Value(json => Merge(json, Element(row.Document), patch));
        var document = JsonObject.Create(JsonElement.Parse(merged, Core.StrictJson.Document))!;
        var auth = Member(patch, "platform_settings") is { } settings ? Member(settings, "auth") : null;
        var named = auth is { } said && (Member(said, "enable_auth") is not null || Member(said, "allowlist") is not null);
        return Settle(row, document, openByDefault, named);
    }

    /// <summary>A copy with an identity of its own.</summary>
    public static AgentRow Copy(AgentRow row, AgentId id, string? name, DateTimeOffset now)
    {
        var document = JsonObject.Create(Element(row.Document))!;
        var chosen = name ?? Cut(row.Name + " (copy)");
        document["name"] = chosen;
        return row with { Id = id, Name = chosen, Document = Text(document), CreatedAt = now, UpdatedAt = now };
    }

    private static AgentRow Settle(AgentRow row, JsonObject document, bool openByDefault, bool accessNamed)
    {
        var name = document["name"] is JsonValue text ? text.GetValue<string>() : DefaultName;
        document["name"] = name;
        var byDefault = SettleAccess(document, Dialects.Named(row.Dialect) is ElevenLabsDialect { PublicMustBeSaid: true }, openByDefault)
            ?? (row.PrivateByDefault && !accessNamed);
        return row with { Name = name, Document = Text(document), PrivateByDefault = byDefault };
    }

    // Where nothing is said about access, the default is written down, so that the answer shows it. It is asked again after every
    // change: emptying an allowlist must not open an agent that was closed by it alone. Null where something was said.
    private static bool? SettleAccess(JsonObject document, bool publicMustBeSaid, bool openByDefault)
    {
        var settings = document["platform_settings"] as JsonObject;
        var auth = settings?["auth"] as JsonObject;
        if (auth?["enable_auth"] is not null || (auth?["allowlist"] is JsonArray { Count: > 0 } && !publicMustBeSaid))
        {
            return null;
        }
        if (settings is null)
        {
            document["platform_settings"] = settings = [];
        }
        if (auth is null)
        {
            settings["auth"] = auth = [];
        }
        var isPrivate = publicMustBeSaid || !openByDefault;
        auth["enable_auth"] = isPrivate;
        return isPrivate;
    }

    // Written anew, member by member, and not changed in place: that would cost the square of a large document.
    private static void Merge(Utf8JsonWriter json, JsonElement target, JsonElement patch)
    {
        var changes = patch.EnumerateObject().ToDictionary(member => member.Name, member => member.Value, StringComparer.Ordinal);
        json.WriteStartObject();
        foreach (var member in target.EnumerateObject())
        {
            if (changes.Remove(member.Name, out var change))
            {
                Put(json, member.Name, member.Value, change);
            }
            else
            {
                member.WriteTo(json);
            }
        }
        foreach (var member in patch.EnumerateObject().Where(member => changes.ContainsKey(member.Name)))
        {
            Put(json, member.Name, Empty, member.Value);
        }
        json.WriteEndObject();
    }

    private static void Put(Utf8JsonWriter json, string name, JsonElement old, JsonElement change)
    {
        json.WritePropertyName(name);
        if (change.ValueKind == JsonValueKind.Object)
        {
            Merge(json, old.ValueKind == JsonValueKind.Object ? old : Empty, change);
        }
        else
        {
            change.WriteTo(json);
        }
    }

    private static JsonElement Element(string document) => JsonElement.Parse(document, Core.StrictJson.Document);

    private static string Text(JsonObject document) => System.Text.Encoding.UTF8.GetString(JsonText.Value(document));

    private static JsonElement? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var member) ? member : null;

    private static string Cut(string name) => name.Length <= AgentForm.LongestName ? name
        : name[..(AgentForm.LongestName - (char.IsHighSurrogate(name[AgentForm.LongestName - 1]) ? 1 : 0))];
}
