using System.Text;
using Postern.Core;

namespace Postern.Server.Hosting;

/// <summary>
/// A node is a data folder, and one process at a time: what it has left open is its own to end at the next start, which a second
/// process over the same folder would do to the first one's live sessions. Held while the server runs; a killed process lets go of it.
/// </summary>
internal sealed class NodeFile : IDisposable
{
    private const int WouldBlock = 11; // what flock answers

    private readonly string folder;
    private readonly FileStream file;

    private NodeFile(string folder, FileStream file, string name) => (this.folder, this.file, Name) = (folder, file, name);

    /// <summary>The node's name in the records.</summary>
    public string Name { get; }

    /// <summary>Takes the folder for this process.</summary>
    /// <exception cref="RefusedException">Another process has it.</exception>
    public static NodeFile Claim(string folder)
    {
        FileStream file;
        try
        {
            file = new FileStream(Path.Combine(folder, "node"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (e.HResult == WouldBlock)
        {
            throw new RefusedException($"Another postern serves the data folder {folder}: stop it, or give this one a folder of its own with --data.");
        }
        var written = new byte[64];
        var name = Encoding.UTF8.GetString(written, 0, file.ReadAtLeast(written, written.Length, throwOnEndOfStream: false)).Trim();
        if (name.Length == 0)
        {
            name = "node_" + RandomText.Base62(12);
            file.Write(Encoding.UTF8.GetBytes(name));
            file.Flush(flushToDisk: true);
        }
        return new NodeFile(folder, file, name);
    }

    /// <summary>Leaves word for the commands of this machine where the server listens.</summary>
    public void Tell(IEnumerable<string> addresses) => File.WriteAllLines(Addresses(folder), addresses);

    /// <summary>Where the server listens that holds the folder now; nothing when none does.</summary>
    public static IReadOnlyList<string> Listening(string folder)
    {
        try
        {
            using var free = new FileStream(Path.Combine(folder, "node"), FileMode.Open, FileAccess.Read, FileShare.Read);
            return []; // what a killed process has left behind is no address
        }
        catch (FileNotFoundException)
        {
            return [];
        }
        catch (IOException e) when (e.HResult == WouldBlock)
        {
            return File.Exists(Addresses(folder)) ? File.ReadAllLines(Addresses(folder)) : [];
        }
    }

    public void Dispose()
    {
        try
        {
            File.Delete(Addresses(folder));
        }
        catch (DirectoryNotFoundException)
        {
            // Gone with its folder.
        }
        file.Dispose();
    }

    private static string Addresses(string folder) => Path.Combine(folder, "addresses");
}
