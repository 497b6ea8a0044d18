using Postern.Core.Conversations;
using Postern.Server.Storage;

namespace Postern.Server.Agents;

/// <summary>What an agent remembers of one user: bound to the project, the agent and the user whom the credential names, and to no other.</summary>
internal sealed class AgentMemory(MemoryStore store, Owner owner, TimeProvider clock)
{
    private const int Longest = 2000;

    /// <summary>What is remembered, the newest first.</summary>
    /// <exception cref="StorageException">The database is away.</exception>
    public IReadOnlyList<string> Recall() => [.. store.Read(owner).Select(record => record.Content.Text)];

    /// <summary>Remembers something more: null when it is committed, else a sentence that says why it is not.</summary>
    public async Task<string?> MemorizeAsync(string text)
    {
        if (text.Length > Longest)
        {
            return $"That is too long to be remembered: at most {Longest} characters.";
        }
        try
        {
            return (await store.AddAsync(owner, MemoryDraft.Of(text), clock.GetUtcNow())).IsDenied(out var denial, out _) ? denial.Detail ?? "It cannot be remembered." : null;
        }
        catch (StorageException)
        {
            return "It could not be remembered: try again later.";
        }
    }
}
