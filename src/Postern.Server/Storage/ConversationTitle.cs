namespace Postern.Server.Storage;

/// <summary>What a conversation is called: how its first user message begins.</summary>
internal static class ConversationTitle
{
    private const int Longest = 60;

    /// <summary>At most 60 characters; no surrogate pair is split. Null for a message without text.</summary>
    public static string? Of(string text) => text.Length == 0 ? null
        : text.Length <= Longest ? text
        : text[..(char.IsHighSurrogate(text[Longest - 1]) ? Longest - 1 : Longest)];
}
