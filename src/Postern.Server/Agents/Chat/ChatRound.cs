using Upstream = Postern.Core.Agents.Upstream;

namespace Postern.Server.Agents.Chat;

/// <summary>One request to a chat endpoint, and what came of it so far.</summary>
internal sealed class ChatRound(ChatEndpoints endpoints, Upstream.Chat chat, Func<ChatForm, byte[]> body, ChatOptions options, ChatTime time) : IDisposable
{
    private ChatStream? stream;
    private bool hasBegun;

    /// <summary>The tools that it calls.</summary>
    public ToolCalls Calls { get; } = new();

    /// <summary>Why it ended, in the endpoint's word.</summary>
    public string? Finish { get; private set; }

    /// <summary>What it cost, where the endpoint said so.</summary>
    public TokenCount? Tokens { get; private set; }

    /// <summary>The next chunk that has a text; null when the answer is over.</summary>
    /// <exception cref="ChatException">It failed, or time is over.</exception>
    /// <exception cref="OperationCanceledException">Whoever wanted the answer does not any more.</exception>
    public async ValueTask<ChatChunk?> NextAsync()
    {
        try
        {
            while (true)
            {
                time.Wait(hasBegun ? options.BetweenTokens : options.FirstToken);
                var chunk = await ReadAsync();
                if (chunk is null || chunk.Text.Length > 0)
                {
                    return chunk;
                }
            }
        }
        // What was finished stays so, however the endpoint leaves.
        catch (Exception e) when (e is OperationCanceledException or ChatException && Finish is not null && (e is ChatException || time.Over is not null))
        {
            return null;
        }
        catch (OperationCanceledException e) when (time.Over is { } problem)
        {
            throw new ChatException(AgentFailure.Timeout, problem, e);
        }
        finally
        {
            time.Wait(Timeout.InfiniteTimeSpan);
        }
    }

    public void Dispose() => stream?.Dispose();

    // Signs of life that say nothing do not set the time back.
    private async ValueTask<ChatChunk?> ReadAsync()
    {
        stream ??= await endpoints.OpenAsync(chat, body, time.Token);
        ChatChunk? chunk;
        do
        {
            chunk = await stream.ReadAsync(time.Token);
            Tokens = chunk?.Tokens ?? Tokens;
        }
        while (chunk is { IsAlive: false });
        if (chunk is not null)
        {
            hasBegun = true;
            Calls.Add(chunk.Calls);
            Finish = chunk.Finish ?? Finish;
        }
        return chunk;
    }
}
