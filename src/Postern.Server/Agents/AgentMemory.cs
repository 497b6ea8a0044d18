namespace Postern.Server.Agents;

/// <summary>What an agent remembers of one user: bound to the project, the agent and the user whom the credential names, and to no other.</summary>
internal sealed class AgentMemory(Func<IReadOnlyList<string>> recall, Func<string, Task<string?>> memorize)
{
    /// <summary>What is remembered, the newest first.</summary>
    /// <exception cref="Storage.StorageException">The database is away.</exception>
    public IReadOnlyList<string> Recall() => recall();

    /// <summary>Remembers something more: null when it is committed, else a sentence that says why it is not.</summary>
    public async Task<string?> MemorizeAsync(string text)
    {
        try
        {
            return await memorize(text);
        }
        catch (Storage.StorageException)
        {
            return "It could not be remembered: try again later.";
        }
    }
}
