namespace Postern.Server.Agents.Chat;

/// <summary>How a request is written: endpoints and models differ in what they take, and refuse what they do not know. Asked in the first form, unless they have shown another.</summary>
/// <param name="CountsThoughts">The longest answer is named <c>max_completion_tokens</c>, as models that think want it; else <c>max_tokens</c>, which every other one knows.</param>
/// <param name="IsUncounted">Without <c>stream_options</c>, which asks what the answer cost.</param>
internal readonly record struct ChatForm(bool CountsThoughts, bool IsUncounted)
{
    /// <summary>The form to try when this one was refused so; null when there is none.</summary>
    public ChatForm? After(ChatException refusal) =>
        !CountsThoughts && refusal.Names.Contains("max_tokens", StringComparer.Ordinal) ? this with { CountsThoughts = true }
        : IsUncounted ? null : this with { IsUncounted = true };
}
