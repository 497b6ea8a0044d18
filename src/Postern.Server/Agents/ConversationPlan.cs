using System.Text.Json;
using Postern.Core;
using Postern.Core.Sessions;
using Postern.Server.Dialects;

namespace Postern.Server.Agents;

/// <summary>How one conversation with a hosted agent goes: the agent's configuration under what the client may set and did.</summary>
/// <param name="FirstMessage">What the agent says first; empty when it waits.</param>
/// <param name="LastMessage">What the agent says when the longest duration is over; its variables are filled in then.</param>
/// <param name="TextOnly">No sound travels either way.</param>
/// <param name="Input">The caller's sound.</param>
/// <param name="Output">The agent's sound.</param>
/// <param name="EndBy">The end, never later than the session's own.</param>
/// <param name="Variables">What stands for <c>{{name}}</c>.</param>
internal sealed record ConversationPlan(
    string FirstMessage, string LastMessage, bool TextOnly, AudioFormat Input, AudioFormat Output, DateTimeOffset EndBy, DynamicVariables Variables)
{
    /// <summary>What the agent is told about itself, its variables filled in.</summary>
    public string Prompt { get; init; } = "";

    /// <summary>The echo agent takes its time between words and between sounds, so that it can be interrupted.</summary>
    public bool IsPaced { get; init; }

    /// <summary>The plan, or VariableMissing when the first message needs a variable that nobody gave.</summary>
    public static Decision<ConversationPlan> From(Session session, Opening opening)
    {
        var variables = DynamicVariables.From(session, opening);
        var greeting = Text(session, opening, "agent.first_message") ?? "";
        if (variables.Missing(greeting) is { Count: > 0 } missing)
        {
            return new Denial(DenialReason.VariableMissing, string.Join("', '", missing));
        }
        return new ConversationPlan(
            variables.Fill(greeting, session.StartedAt),
            Text(session, opening, "agent.max_conversation_duration_message") ?? "",
            Leaf(session, opening, "conversation.text_only") is { ValueKind: JsonValueKind.True },
            AudioFormat.Parse(Text(session, opening, "asr.user_input_audio_format")),
            AudioFormat.Parse(Text(session, opening, "tts.agent_output_audio_format")),
            Ending(session, opening), variables)
        { Prompt = PromptOf(session, opening, variables) };
    }

    /// <summary>The plan of a session in which texts are answered and nobody is greeted.</summary>
    public static ConversationPlan OfTexts(Session session)
    {
        var variables = DynamicVariables.From(session, Opening.None);
        return new("", "", TextOnly: true, AudioFormat.Parse(null), AudioFormat.Parse(null), session.Terms.EndBy, variables)
        { Prompt = PromptOf(session, Opening.None, variables) };
    }

    private static string PromptOf(Session session, Opening opening, DynamicVariables variables) =>
        variables.Fill(Text(session, opening, "agent.prompt.prompt") ?? "", session.StartedAt);

    // A client may be allowed to shorten its session; the gate has fixed the end, and no override moves it out.
    private static DateTimeOffset Ending(Session session, Opening opening) =>
        opening.Overrides.TryGetValue("conversation.max_duration_seconds", out var seconds) && seconds.TryGetInt32(out var value) && value > 0
        && session.StartedAt.AddSeconds(value) < session.Terms.EndBy
            ? session.StartedAt.AddSeconds(value) : session.Terms.EndBy;

    private static string? Text(Session session, Opening opening, string path) =>
        Leaf(session, opening, path) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static JsonElement? Leaf(Session session, Opening opening, string path) =>
        opening.Overrides.TryGetValue(path, out var value) ? value : AgentDocument.Member(session.Agent.Configuration, path.Split('.'));
}
