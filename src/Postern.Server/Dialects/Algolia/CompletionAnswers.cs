using System.Text.Json;
using Postern.Server.Agents;
using Postern.Server.Agents.Chat;

namespace Postern.Server.Dialects.Algolia;

/// <summary>What the answers of both versions have in common.</summary>
internal static class CompletionAnswers
{
    public const string EventStream = "text/event-stream";

    /// <summary>The vendor's clients give up after 25 seconds.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    // Nothing is cached: one user's answer must never be another's.
    private static readonly KeyValuePair<string, string>[] NotCached = [KeyValuePair.Create("X-Cache", "MISS"), KeyValuePair.Create("Cache-Status", "AgentStudio; fwd=miss")];

    /// <summary>Headers of every stream: what stands between is to pass each piece on and keep none.</summary>
    public static readonly IReadOnlyList<KeyValuePair<string, string>> StreamHeaders =
        [.. NotCached, KeyValuePair.Create("Cache-Control", "no-cache, no-store"), KeyValuePair.Create("X-Accel-Buffering", "no")];

    /// <summary>One body, or why there is no answer: never a 5xx, on which the vendor's clients ask again elsewhere and show nothing.</summary>
    public static HttpAnswer Whole(IReadOnlyList<AgentAct> acts, Action<Utf8JsonWriter> members) => acts.OfType<AgentAct.Failed>().FirstOrDefault() switch
    {
        null => Wire.Json(200, members) with { Headers = NotCached },
        { Failure: AgentFailure.Busy } busy => Wire.Error(429, busy.Sentence) with { Headers = [KeyValuePair.Create("Retry-After", "1")] },
        var failed => Wire.Error(424, failed.Sentence),
    };

    /// <summary>The vendor's name of a tool: its pages show what is remembered by it.</summary>
    public static string Tool(string name) => name == MemorizeTool.Name ? "algolia_memorize" : name;

    /// <summary>All that was said.</summary>
    public static string Text(IReadOnlyList<AgentAct> acts) => string.Concat(acts.OfType<AgentAct.Piece>().Select(piece => piece.Text));

    /// <summary>The vendor's word, out of its closed list.</summary>
    public static string Reason(AnswerEnd end) => end switch
    {
        AnswerEnd.Stop => "stop",
        AnswerEnd.Length => "length",
        AnswerEnd.Filtered => "content-filter",
    };
}
