namespace Postern.Server.Agents;

/// <summary>The last part of a conversation, as much of it as an agent is sent; the latest word always.</summary>
internal sealed class History(ChatOptions limits)
{
    private readonly Queue<Said> said = new();
    private long characters;

    /// <summary>As it is now, oldest first.</summary>
    public IReadOnlyList<Said> Now => [.. said];

    public void Add(Said word)
    {
        said.Enqueue(word);
        characters += word.Text.Length;
        while (said.Count > limits.MaxHistoryMessages || (characters > limits.MaxHistoryCharacters && said.Count > 1))
        {
            characters -= said.Dequeue().Text.Length;
        }
    }
}
