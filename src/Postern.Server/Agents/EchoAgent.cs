using System.Runtime.CompilerServices;
using Postern.Server.Agents.Chat;
using Postern.Server.Storage;

namespace Postern.Server.Agents;

/// <summary>
/// The built-in agent: it answers a text with the same text, and what it hears with the same sound. Where there is a memory it understands
/// "remember that …" and "what do you remember?".
/// </summary>
internal sealed class EchoAgent(ConversationPlan plan, AgentMemory? memory, TimeProvider clock) : IHostedAgent
{
    private const int ChunksPerSecond = 10;
    private const string Remember = "remember that ";
    private const string Question = "what do you remember";
    private static readonly TimeSpan BetweenWords = TimeSpan.FromMilliseconds(5);

    // Faster than it is heard, so that the client never runs dry; slow enough to be interrupted.
    private static readonly TimeSpan BetweenChunks = TimeSpan.FromMilliseconds(1000 / ChunksPerSecond / 2);

    public bool HasVoice => true;

    public async IAsyncEnumerable<AgentAct> AnswerAsync(AgentTurn turn, [EnumeratorCancellation] CancellationToken ct)
    {
        var text = "echo: " + turn.LastWord;
        if (memory is not null && turn.LastWord.StartsWith(Remember, StringComparison.OrdinalIgnoreCase) && turn.LastWord[Remember.Length..].Trim() is { Length: > 0 } what)
        {
            yield return new AgentAct.Calls("call_1", MemorizeTool.Name, MemorizeTool.Arguments(what));
            var problem = await memory.MemorizeAsync(what);
            yield return new AgentAct.Returned("call_1", MemorizeTool.Name, problem ?? MemorizeTool.Done, problem is not null);
            text = problem ?? "I will remember that " + what;
        }
        else if (memory is not null && turn.LastWord.Trim().TrimEnd('?').Equals(Question, StringComparison.OrdinalIgnoreCase))
        {
            text = Recall(memory);
        }
        foreach (var piece in plan.IsPaced && turn.PlayAt is null ? Words(text) : [text])
        {
            yield return new AgentAct.Piece(piece);
            await PauseAsync(BetweenWords, ct);
        }
        yield return new AgentAct.Says(text);
        if (turn.PlayAt is { } rate)
        {
            // A spoken word is answered with its own sound, a written one with a hum.
            var sound = turn.Heard is { } heard ? AudioFormat.Resample(heard.Samples, heard.Rate, rate) : Hum.For(turn.LastWord, rate);
            foreach (var chunk in sound.Chunk(rate / ChunksPerSecond))
            {
                yield return new AgentAct.Plays(chunk);
                await PauseAsync(BetweenChunks, ct);
            }
        }
    }

    private static string Recall(AgentMemory memory)
    {
        try
        {
            return memory.Recall() is { Count: > 0 } remembered ? "I remember: " + string.Join("; ", remembered) : "I remember nothing.";
        }
        catch (StorageException)
        {
            return "I cannot say at the moment what I remember.";
        }
    }

    private Task PauseAsync(TimeSpan time, CancellationToken ct) => plan.IsPaced ? Task.Delay(time, clock, ct) : Task.CompletedTask;

    private static IEnumerable<string> Words(string text)
    {
        for (var at = 0; at < text.Length;)
        {
            var end = text.IndexOf(' ', at + 1);
            end = end < 0 ? text.Length : end;
            yield return text[at..end];
            at = end;
        }
    }
}
