using System.Text;

namespace Postern.Tests.Durability;

/// <summary>What a client was told, on the disk before it goes on: the ids that must be in the database from then on.</summary>
internal sealed class Journal(string file) : IDisposable
{
    private readonly Lock gate = new();
    private readonly FileStream stream = new(file, FileMode.CreateNew, FileAccess.Write, FileShare.Read);
    private readonly List<(string Kind, string Id)> entries = [];

    /// <summary>How many acknowledgements there are.</summary>
    public int Count
    {
        get
        {
            lock (gate)
            {
                return entries.Count;
            }
        }
    }

    /// <summary>Notes an acknowledgement.</summary>
    public void Note(params ReadOnlySpan<(string Kind, string Id)> acknowledged)
    {
        lock (gate)
        {
            foreach (var (kind, id) in acknowledged)
            {
                stream.Write(Encoding.UTF8.GetBytes($"{kind} {id}\n"));
                entries.Add((kind, id));
            }
            stream.Flush(flushToDisk: true);
        }
    }

    /// <summary>The ids of one kind.</summary>
    public List<string> Of(string kind)
    {
        lock (gate)
        {
            return [.. entries.Where(entry => entry.Kind == kind).Select(entry => entry.Id)];
        }
    }

    public void Dispose() => stream.Dispose();
}
