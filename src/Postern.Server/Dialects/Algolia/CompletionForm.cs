using System.Text.Json;
using Postern.Core;
using Postern.Core.Conversations;
using Postern.Core.Projects;
using Postern.Server.Flow;

namespace Postern.Server.Dialects.Algolia;

/// <summary>
/// Reads requests for completions (contract, section 3): JSON whatever the content type says, messages of version 4 and 5 alike, and
/// unknown members ignored at every level, as each of the vendor's clients sends some of its own.
/// </summary>
internal static class CompletionForm
{
    private const string Version4 = "ai-sdk-4";
    private const string Version5 = "ai-sdk-5";

    /// <summary>Who asks, and which agent: nothing of the body.</summary>
    public static Decision<ConnectRequest> Connect(WireRequest request) =>
        AlgoliaAccess.Read(request, Scopes.Converse, AlgoliaAccess.Agent(request.Route["id"] as string)).IsDenied(out var denial, out var connect)
            ? denial : connect with { ChecksDomain = true, Referer = request.Header("Referer") };

    /// <summary>What is asked.</summary>
    public static Decision<Completion> Read(WireRequest request)
    {
        if (Query(request).IsDenied(out var denial, out var asked) || JsonForm.Document(request.Body).IsDenied(out denial, out var document))
        {
            return denial;
        }
        using (document)
        {
            var root = document.RootElement;
            var id = Member(root, "id");
            if (id is { } given && (given.ValueKind != JsonValueKind.String || !IsId(given.GetString()!)))
            {
                return Invalid("body id", ClientId.Rule);
            }
            if (string.Equals(id?.GetString(), UserConversationsRest.Export, StringComparison.OrdinalIgnoreCase))
            {
                return Invalid("body id", "The id 'export' is taken: its address gives all conversations");
            }
            if (CompletionMessages.Read(Member(root, "messages")).IsDenied(out denial, out var messages))
            {
                return denial;
            }
            var answerId = "alg_msg_" + RandomText.Base62(RandomText.IdLength);
            return new Completion(messages.Conversation, asked.IsVersion4 ? DataStream.Answer(answerId, asked.Stream) : MessageStream.Answer(answerId, asked.Stream))
            {
                Id = id?.GetString() is { Length: > 0 } text ? text : null, Messages = messages.ToKeep, AnswerId = messages.LastHasId ? answerId : null, Remembers = asked.Remembers,
            };
        }
    }

    /// <summary>Whether a text may be an id; an empty one counts as none.</summary>
    public static bool IsId(string text) => text.Length == 0 || ClientId.IsValid(text);

    private static Decision<Asked> Query(WireRequest request)
    {
        if (request.Repeated("compatibilityMode", "stream", "memory") is { } twice)
        {
            return Invalid("query " + twice, "Input should be given once");
        }
        var mode = request.Parameter("compatibilityMode");
        if (mode is not (Version4 or Version5))
        {
            return Invalid("query compatibilityMode", mode is null ? "Field required" : $"Input should be '{Version4}' or '{Version5}'");
        }
        if (Flag(request.Parameter("stream")) is not { } stream)
        {
            return Invalid("query stream", "Input should be a valid boolean");
        }
        return request.Parameter("memory") is { } memory && (memory.Length == 0 || Flag(memory) != false)
            ? Invalid("query memory", "Input should be false or absent")
            : new Asked(mode == Version4, stream, Remembers: request.Parameter("memory") is null);
    }

    private static bool? Flag(string? text) => text?.ToLowerInvariant() switch
    {
        null or "true" or "1" => true,
        "false" or "0" => false,
        _ => null,
    };

    private static JsonElement? Member(JsonElement element, string name) => element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static Denial Invalid(string place, string problem) => new(DenialReason.RequestInvalid, $"{place}: {problem}");

    private sealed record Asked(bool IsVersion4, bool Stream, bool Remembers);
}
