using Postern.Server.Dialects.Algolia;
using Postern.Server.Dialects.Convai;
using Postern.Server.Dialects.ElevenLabs;
using Postern.Server.Dialects.Own;
using Postern.Server.Dialects.Realtime;
using Postern.Server.Dialects.Xuna;

namespace Postern.Server.Dialects;

/// <summary>The list. A further vendor is one folder, one folder of transcripts, and one line here; its REST, where it has any, is put together in PosternHost.</summary>
internal static class Dialects
{
    public static readonly IReadOnlyList<Dialect> All = [new ElevenLabsDialect(), new XunaDialect(), RealtimeDialect.OpenAI, RealtimeDialect.Xai, new ConvaiDialect(), new AlgoliaDialect(), new OwnDialect()];

    /// <summary>The dialect of this name, null when there is none.</summary>
    public static Dialect? Named(string name) => All.FirstOrDefault(dialect => dialect.Name == name);
}
