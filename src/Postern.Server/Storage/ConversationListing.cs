using System.Globalization;
using Postern.Core.Agents;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>Which of an agent's conversations to list by pages; a null member does not narrow.</summary>
internal sealed record ConversationListing(ProjectId Project, AgentId Agent)
{
    /// <summary>Whose alone; empty is nobody in particular.</summary>
    public string? Subject { get; init; }
    /// <summary>Begun then or later.</summary>
    public DateTimeOffset? From { get; init; }
    /// <summary>Begun before then.</summary>
    public DateTimeOffset? Before { get; init; }
    /// <summary>With a vote of this value on one of its messages.</summary>
    public int? Vote { get; init; }
    public int Limit { get; init; } = int.MaxValue;
    public long Offset { get; init; }

    /// <summary>What a connection must see for it.</summary>
    public Sight Sight => Subject is null ? Sight.OfProject(Project) : Sight.Of(Project, Subject);

    /// <summary>The condition, its values appended to <paramref name="values"/>.</summary>
    public string Where(List<object?> values)
    {
        var conditions = new List<string>();
        Add("project_id = $", Project.Value);
        Add("agent_id = $", Agent.Value);
        Add("subject = $", Subject);
        Add("started_at >= $", From?.ToUnixTimeMilliseconds());
        Add("started_at < $", Before?.ToUnixTimeMilliseconds());
        Add("exists (select 1 from vote where vote.conversation = conversation.seq and vote.value = $", Vote, ")");
        return string.Join(" and ", conditions);

        void Add(string condition, object? value, string rest = "")
        {
            if (value is not null)
            {
                values.Add(value);
                conditions.Add(string.Create(CultureInfo.InvariantCulture, $"{condition}{values.Count}{rest}"));
            }
        }
    }
}
