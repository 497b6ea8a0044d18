using System.Text.Json;
using Postern.Core.Conversations;
using Postern.Server.Dialects.Algolia;

namespace Postern.Tests.Fuzz;

/// <summary>Changed bodies of completions: refused with a 422, or read to what an agent can hear and the store can keep.</summary>
internal sealed class CompletionBodies : Target
{
    public override int Share => 2;

    public override IReadOnlyList<byte[]> Seeds { get; } =
    [
        Utf8("""{"id":"c","messages":[{"id":"m","role":"user","parts":[{"type":"text","text":"hello"},{"text":"there"}],"metadata":{"turnContext":{"page":"home"}}}],"trigger":"submit-message"}"""),
        Utf8("""{"id":"c","messages":[{"id":"m","role":"user","content":"find it"},{"id":"a","role":"assistant","content":"","parts":[{"type":"step-start"},{"type":"reasoning","reasoning":"hm"},{"type":"tool-invocation","toolInvocation":{"toolCallId":"t","toolName":"search","args":{"q":1},"state":"result","result":[1,2]}}]},{"id":"n","role":"user","content":"again"}]}"""),
        Utf8("""{"id":"c","messages":[{"id":"a","role":"assistant","parts":[{"type":"tool-search","toolCallId":"t","state":"output-available","input":{"q":"x"},"output":null},{"type":"tool-x","toolCallId":"u","state":"output-error","errorText":"no"},{"type":"data-x","data":{}}]},{"role":"user","parts":[{"type":"text","text":"\u00e9\ud83d\ude00"}]}],"toolApprovals":{"t":true},"algolia":{}}"""),
    ];

    public override void Try(ReadOnlySpan<byte> input, Dice dice)
    {
        var request = Wires.Request(dice.Of(["compatibilityMode=ai-sdk-5", "compatibilityMode=ai-sdk-4&stream=false", "compatibilityMode=ai-sdk-5&memory=false"])) with { Body = input.ToArray() };
        if (CompletionForm.Read(request).IsDenied(out var denial, out var completion))
        {
            Require(Refusals.Answer(denial).Status == 422, $"status {Refusals.Answer(denial).Status} for {denial.Reason}");
            return;
        }
        Require(completion.Conversation.Count > 0 || SaysNothing(input), "nothing to answer");
        Require(completion.Id is null || ClientId.IsValid(completion.Id), "an id that is none");
        foreach (var message in completion.Messages)
        {
            Require(ClientId.IsValid(message.Id) && !message.FromAgent, "a message that nobody sent");
            using var parts = JsonDocument.Parse(message.Parts);
            Require(message.Text is not null && parts.RootElement.ValueKind == JsonValueKind.Array, "parts that cannot be read back");
        }
    }

    // A request without messages is allowed, and answered with nothing.
    private static bool SaysNothing(ReadOnlySpan<byte> input)
    {
        using var body = JsonDocument.Parse(input.ToArray());
        return !body.RootElement.TryGetProperty("messages", out var messages) || messages is { ValueKind: JsonValueKind.Null } || messages.GetArrayLength() == 0;
    }
}
