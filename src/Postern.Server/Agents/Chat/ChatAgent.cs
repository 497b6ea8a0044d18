using System.Runtime.CompilerServices;
using System.Text;
using Postern.Server.Observability;
using Postern.Server.Storage;
using Upstream = Postern.Core.Agents.Upstream;

namespace Postern.Server.Agents.Chat;

/// <summary>
/// An agent whose words come from a chat endpoint of the OpenAI kind. Every piece is passed on as it comes. What fails is told to the
/// user in a sentence that says nothing of the endpoint, and to the log in one that says what an operator needs.
/// </summary>
/// <param name="session">For the log.</param>
internal sealed class ChatAgent(
    ChatEndpoints endpoints, Upstream.Chat chat, ConversationPlan plan, AgentMemory? memory, string session, ChatOptions options, ILogger log, TimeProvider clock) : IHostedAgent
{
    private const int MostRounds = 4;

    private readonly Queue<long> asked = new();

    public bool HasVoice => false;

    public async IAsyncEnumerable<AgentAct> AnswerAsync(AgentTurn turn, [EnumeratorCancellation] CancellationToken ct)
    {
        using var time = new ChatTime(options, clock, ct);
        var said = new StringBuilder();
        var (input, output) = (0L, 0L);
        if (Ask(turn, out var messages) is { } unable)
        {
            yield return unable;
            yield break;
        }
        for (var left = MostRounds - 1; ; left--)
        {
            // In the last round there are no tools left: the endpoint has to answer.
            var offersMemory = memory is not null && left > 0;
            using var round = new ChatRound(endpoints, chat, form => messages!.Write(chat, offersMemory, form), options, time);
            var (before, isFull) = (said.Length, false);
            while (true)
            {
                var (chunk, failure) = await NextAsync(round, ct);
                if (failure is not null)
                {
                    yield return failure;
                    yield break;
                }
                if (chunk is null)
                {
                    break;
                }
                // What was said before a tool was used and what is said after it are two paragraphs.
                var text = before > 0 && said.Length == before ? "\n\n" + chunk.Text : chunk.Text;
                isFull = text.Length >= options.MaxAnswerCharacters - said.Length;
                if (Cut(text, options.MaxAnswerCharacters - said.Length) is { Length: > 0 } piece)
                {
                    said.Append(piece);
                    yield return new AgentAct.Piece(piece);
                }
                if (isFull)
                {
                    break;
                }
            }
            (input, output) = (input + (round.Tokens?.Input ?? 0), output + (round.Tokens?.Output ?? 0));
            var calls = round.Calls.ToList();
            if (calls.Count == 0 || isFull || left == 0)
            {
                yield return new AgentAct.Says(said.ToString())
                {
                    End = isFull || round.Finish == "length" ? AnswerEnd.Length : round.Finish == "content_filter" ? AnswerEnd.Filtered : AnswerEnd.Stop,
                    Tokens = input + output > 0 ? new TokenCount(input, output) : null,
                };
                yield break;
            }
            messages!.Add(said.ToString(before, said.Length - before), calls);
            foreach (var call in calls)
            {
                // Only what exists is shown: clients act upon the names of some tools, and hang up at one.
                var problem = "There is no such tool.";
                if (memory is not null && MemorizeTool.Read(call, out problem) is { } remembered)
                {
                    yield return new AgentAct.Calls(call.Id, call.Name, MemorizeTool.Arguments(remembered));
                    problem = await memory.MemorizeAsync(remembered);
                    yield return new AgentAct.Returned(call.Id, call.Name, problem ?? MemorizeTool.Done, problem is not null);
                }
                messages.AddResult(call.Id, problem is null ? MemorizeTool.Done : "Error: " + problem);
            }
        }
    }

    private AgentAct.Failed? Ask(AgentTurn turn, out ChatMessages? messages)
    {
        messages = null;
        if (IsTooOften())
        {
            return Failed(new ChatException(AgentFailure.Busy, "The session asked more often than Chat:MaxAnswersPerMinute."));
        }
        try
        {
            messages = new ChatMessages(plan.Prompt, memory?.Recall() ?? [], turn, options);
            return null;
        }
        catch (StorageException e)
        {
            return Failed(new ChatException(AgentFailure.Unreachable, "What is remembered could not be read: " + e.Message, e));
        }
    }

    // Every answer costs, one that is cut short at once as well.
    private bool IsTooOften()
    {
        while (asked.TryPeek(out var first) && clock.GetElapsedTime(first) >= TimeSpan.FromMinutes(1))
        {
            asked.Dequeue();
        }
        if (asked.Count >= options.MaxAnswersPerMinute)
        {
            return true;
        }
        asked.Enqueue(clock.GetTimestamp());
        return false;
    }

    private async ValueTask<(ChatChunk? Chunk, AgentAct.Failed? Failure)> NextAsync(ChatRound round, CancellationToken ct)
    {
        try
        {
            return (await round.NextAsync(), null);
        }
        catch (ChatException e) when (!ct.IsCancellationRequested)
        {
            return (null, Failed(e));
        }
        catch (ChatException e)
        {
            throw new OperationCanceledException(e.Message, e, ct);
        }
    }

    private AgentAct.Failed Failed(ChatException e)
    {
        Log.ChatFailed(log, session, e.Failure.ToString(), e.Message);
        return new AgentAct.Failed(e.Failure, ChatException.Sentence(e.Failure));
    }

    private static string Cut(string text, int room) =>
        text.Length <= room ? text : text[..(room > 0 && char.IsHighSurrogate(text[room - 1]) ? room - 1 : room)];
}
