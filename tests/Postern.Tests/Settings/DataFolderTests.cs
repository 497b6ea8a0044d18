using Postern.Server;
using Postern.Server.Settings;

namespace Postern.Tests.Settings;

/// <summary>What Postern keeps on a machine is closed to its other users.</summary>
public sealed class DataFolderTests : IDisposable
{
    private readonly string parent = Directory.CreateTempSubdirectory("postern-folder-").FullName;

    [Fact]
    public void Open_NewFolder_IsForThisUserAlone()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no file modes.");
        var folder = Path.Combine(parent, "a", "data");
        DataFolder.Open(folder);

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, Mode(folder));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder));
    }

    [Fact]
    public void WriteSecret_NewOrOld_IsForThisUserAlone()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no file modes.");
        var file = Path.Combine(parent, "secret");
        File.WriteAllText(file, "old, open to all");
        DataFolder.WriteSecret(file, "new");

        Assert.Equal("new", File.ReadAllText(file));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, Mode(file));
        Assert.Single(Directory.EnumerateFileSystemEntries(parent));
    }

    [Fact]
    public void Open_BelowAFile_IsRefusedWithTheOption()
    {
        var file = Path.Combine(parent, "file");
        File.WriteAllText(file, "");
        var refused = Assert.Throws<RefusedException>(() => DataFolder.Open(Path.Combine(file, "data")));

        Assert.Equal(RefusedException.Refused, refused.ExitCode);
        Assert.Contains("--data", refused.Message, StringComparison.Ordinal);
    }

    private static UnixFileMode Mode(string path) => OperatingSystem.IsWindows() ? UnixFileMode.None : File.GetUnixFileMode(path);

    public void Dispose() => Directory.Delete(parent, recursive: true);
}
