using System.Text;

namespace Postern.Server.Agents.Chat;

/// <summary>A call of a tool, put together.</summary>
/// <param name="Arguments">As the endpoint wrote them: meant to be a JSON object.</param>
internal sealed record ToolCall(string Id, string Name, string Arguments);

/// <summary>The calls of one round, which come in fragments.</summary>
internal sealed class ToolCalls
{
    private const int Most = 16;
    private const int LongestArguments = 64 * 1024;
    private const int LongestName = 128;

    private readonly SortedDictionary<int, (string Id, string Name, StringBuilder Arguments)> calls = [];

    /// <summary>Takes the fragments of a chunk.</summary>
    /// <exception cref="ChatException">They are more than any answer needs.</exception>
    public void Add(IReadOnlyList<ToolFragment> fragments)
    {
        foreach (var fragment in fragments)
        {
            var (id, name, arguments) = calls.GetValueOrDefault(fragment.Index, ("", "", new StringBuilder()));
            calls[fragment.Index] = (id.Length > 0 ? id : fragment.Id ?? "", name.Length > 0 ? name : fragment.Name ?? "", arguments.Append(fragment.Arguments));
            if (calls.Count > Most || arguments.Length > LongestArguments || fragment.Id?.Length > LongestName || fragment.Name?.Length > LongestName)
            {
                throw new ChatException(AgentFailure.Broken, "The endpoint called too many tools, or one with too much.");
            }
        }
    }

    /// <summary>The calls, in order; one without an id gets one.</summary>
    public List<ToolCall> ToList() => [.. calls.Select(call => new ToolCall(call.Value.Id.Length > 0 ? call.Value.Id : $"call_{call.Key}", call.Value.Name, call.Value.Arguments.ToString()))];
}
