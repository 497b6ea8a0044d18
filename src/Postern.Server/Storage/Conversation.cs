using System.Globalization;
using System.Text.Json;
using Postern.Core;
using Postern.Core.Conversations;
using Postern.Core.Sessions;

namespace Postern.Server.Storage;

/// <summary>Who said something.</summary>
internal enum TurnRole
{
    /// <summary>The end user.</summary>
    User,
    /// <summary>The agent.</summary>
    Agent,
}

/// <summary>One thing said in a session.</summary>
internal sealed record Turn(int Position, TurnRole Role, string Message, DateTimeOffset At);

/// <summary>One message of a conversation.</summary>
/// <param name="Id">Unique inside its conversation.</param>
/// <param name="Parts">A JSON array of the parts of contract <c>algolia.md</c>, section 5.</param>
internal sealed record Message(string Id, TurnRole Role, string Parts, DateTimeOffset At)
{
    /// <summary>An agent here said it, under an id that it drew at random: whoever names that id has heard it. What clients send back is never so.</summary>
    public bool FromAgent { get; init; }
    /// <summary>The model that made it.</summary>
    public string? Model { get; init; }
    /// <summary>The tokens that it took, if known.</summary>
    public int? InputTokens { get; init; }
    /// <summary>The tokens that it has, if known.</summary>
    public int? OutputTokens { get; init; }
    /// <summary>What the client told with it.</summary>
    public IReadOnlyDictionary<string, string>? TurnContext { get; init; }

    /// <summary>The text of its text parts.</summary>
    public string Text
    {
        get
        {
            using var parts = JsonDocument.Parse(Parts, StrictJson.Document);
            return string.Concat(parts.RootElement.EnumerateArray()
                .Where(part => part.GetProperty("type"u8).ValueEquals("text"u8)).Select(part => part.GetProperty("text"u8).GetString()));
        }
    }

    /// <summary>A message of one text.</summary>
    public static Message Of(string id, TurnRole role, string text, DateTimeOffset at) =>
        new(id, role, JsonSerializer.Serialize(new[] { new { type = "text", text } }, JsonSerializerOptions.Strict), at);
}

/// <summary>A session's conversation as it begins.</summary>
/// <param name="AuthorizationMethod">What opened it, in the words of <c>elevenlabs.md</c> section 8.</param>
/// <param name="Initiation">The client's first message as it came; empty when there was none.</param>
internal sealed record ConversationStart(Session Session, string AuthorizationMethod, string? ClaimedSubject, string Initiation, bool TextOnly);

/// <summary>What is new in a session's conversation: written in one transaction, harmless when written twice.</summary>
/// <param name="Owner">The end user that the credential names; one whom the client merely claims to be owns nothing.</param>
internal sealed record ConversationChange(Owner Owner, string Id, ConversationStart? Start, IReadOnlyList<Turn> Turns)
{
    public (SessionEnd End, DateTimeOffset At, int Likes, int Dislikes)? End { get; init; }

    /// <summary>The session that says it, where that is not the one whose conversation it is: it has taken up an earlier one.</summary>
    public string? By { get; init; }

    /// <summary>The id of a turn, unique in the conversation: two sessions may take up one at the same time.</summary>
    public string IdOf(Turn turn) => By is null ? string.Create(CultureInfo.InvariantCulture, $"turn_{turn.Position}") : string.Create(CultureInfo.InvariantCulture, $"turn_{By}_{turn.Position}");
}

/// <summary>A conversation as stored.</summary>
/// <param name="Seq">Its number in this database: never shown.</param>
/// <param name="IsSession">It is a session's, under the session's id; else it is kept under the id that its client chose.</param>
internal sealed record ConversationRow(
    long Seq, Owner Owner, string Id, bool IsSession, string? ClaimedSubject, string AuthorizationMethod, bool TextOnly, string Initiation, string? Title,
    DateTimeOffset StartedAt, DateTimeOffset ActiveAt, DateTimeOffset? EndedAt, string? EndReason, int? CloseCode, string? Detail, int MessageCount,
    long InputTokens, long OutputTokens, int Likes, int Dislikes, string? Feedback, int? Rating, string? Comment)
{
    /// <summary>Whom the credential named.</summary>
    public string? Subject => Owner.IsAnonymous ? null : Owner.Subject;

    /// <summary>The end user: whom the credential named, else whom the client claimed to be.</summary>
    public string? User => Subject ?? ClaimedSubject;
}

/// <summary>What a user thinks of a conversation as a whole; null members stay as they are.</summary>
internal sealed record ConversationFeedback(string? Verdict, int? Rating, string? Comment);
