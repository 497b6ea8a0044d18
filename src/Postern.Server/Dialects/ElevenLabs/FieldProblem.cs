namespace Postern.Server.Dialects.ElevenLabs;

/// <summary>One thing wrong with a request, as the vendor's 422 lists it.</summary>
/// <param name="Type">The vendor's word for the kind of mistake, such as <c>missing</c>.</param>
/// <param name="Place">Where: <c>body</c> or <c>query</c>, then names and indexes.</param>
/// <param name="Message">What to write instead.</param>
internal sealed record FieldProblem(string Type, IReadOnlyList<object> Place, string Message)
{
    public static FieldProblem Missing(params IReadOnlyList<object> place) => new("missing", place, "Field required");

    public static FieldProblem Value(string message, params IReadOnlyList<object> place) => new("value_error", place, message);
}
