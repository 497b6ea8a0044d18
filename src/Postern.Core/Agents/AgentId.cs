namespace Postern.Core.Agents;

/// <summary>Names an agent: <c>agent_</c> and letters and digits.</summary>
public readonly record struct AgentId(string Value)
{
    /// <summary>A new random id.</summary>
    public static AgentId Create() => new("agent_" + RandomText.Base62(RandomText.IdLength));

    /// <inheritdoc/>
    public override string ToString() => Value;
}
