using Postern.Server.Storage;

namespace Postern.Server.Dialects.Algolia;

/// <summary>What a request gives to be remembered; what it leaves out stays as it was (contract, sections 5 and 8).</summary>
internal static class MemoryForm
{
    private const int LongestText = 2000;
    private const int LongestExtract = 5000;
    private const int MostTexts = 50;
    private const int LongestWord = 200;

    private static readonly string[] Topics =
        ["complaints", "entertainment", "family", "feedback", "finance", "food", "goals", "health", "history", "hobbies", "learning", "praise", "preferences", "schedule", "shopping", "technical", "travel", "work"];

    /// <summary>A new record; the form notes what is wrong.</summary>
    public static MemoryDraft New(JsonForm form, bool episodic) => Words(form, new MemoryDraft(form.Needed("text", LongestText), form.Needed("rawExtract", LongestExtract))
    {
        Episode = episodic
            ? new MemoryEpisode(form.Needed("observation", LongestExtract), form.Needed("thoughts", LongestExtract), form.Needed("action", LongestExtract), form.Needed("result", LongestExtract))
            : null,
    });

    /// <summary>The record with what the form changes.</summary>
    public static MemoryDraft Changed(JsonForm form, MemoryDraft present)
    {
        var draft = Words(form, present with { Text = form.Text("text", LongestText) ?? present.Text, RawExtract = form.Text("rawExtract", LongestExtract) ?? present.RawExtract });
        return present.Episode is not { } episode ? draft : draft with
        {
            Episode = new MemoryEpisode(
                form.Text("observation", LongestExtract) ?? episode.Observation, form.Text("thoughts", LongestExtract) ?? episode.Thoughts,
                form.Text("action", LongestExtract) ?? episode.Action, form.Text("result", LongestExtract) ?? episode.Result),
        };
    }

    /// <summary>What to look for.</summary>
    public static MemorySearch Search(JsonForm form)
    {
        var queries = form.Texts("queries", 5, LongestText) ?? [];
        if (queries.Count == 0)
        {
            form.Refuse("queries", "Input should be a list of 1 to 5 strings");
        }
        return new MemorySearch([.. queries, .. form.Texts("keywords", MostTexts, LongestWord) ?? []], form.Within("limit", 1, 100) ?? 20)
        {
            Topics = ReadTopics(form) ?? [], Kind = Kind(form.Text("memoryType", LongestWord), problem => form.Refuse("memoryType", problem)),
        };
    }

    /// <summary>One of the two kinds, or none.</summary>
    public static string? Kind(string? text, Action<string> refuse)
    {
        if (text is null or "semantic" or "episodic")
        {
            return text;
        }
        refuse("Input should be 'semantic' or 'episodic'");
        return null;
    }

    private static MemoryDraft Words(JsonForm form, MemoryDraft draft) => draft with
    {
        Keywords = form.Texts("keywords", MostTexts, LongestWord) ?? draft.Keywords,
        Topics = ReadTopics(form) ?? draft.Topics,
        Tags = form.Texts("tags", MostTexts, LongestWord) ?? draft.Tags,
        RecallTriggers = form.Texts("recallTriggers", MostTexts, LongestWord) ?? draft.RecallTriggers,
    };

    private static IReadOnlyList<string>? ReadTopics(JsonForm form)
    {
        var topics = form.Texts("topics", MostTexts, LongestWord);
        if (topics?.FirstOrDefault(topic => !Topics.Contains(topic, StringComparer.Ordinal)) is not null)
        {
            form.Refuse("topics", $"Input should be out of {string.Join(", ", Topics)}");
        }
        return topics;
    }
}
