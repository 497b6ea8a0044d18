namespace Postern.Server.Settings;

/// <summary>The folder that holds what Postern keeps on this machine, closed to other users.</summary>
internal static class DataFolder
{
    /// <summary><c>$XDG_DATA_HOME/postern</c>, <c>~/.local/share/postern</c> or what the system has in their place.</summary>
    public static string OfUser()
    {
        var data = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        return Path.GetFullPath(data.Length == 0 ? "data" : Path.Combine(data, "postern"));
    }

    /// <summary>Makes the folder, with mode 700 where it is new; <see cref="RefusedException"/> where nothing can be written to it.</summary>
    public static void Open(string folder)
    {
        try
        {
            if (!Directory.Exists(folder))
            {
                if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
                else Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
            var probe = Path.Combine(folder, $".writable-{Environment.ProcessId}");
            File.WriteAllBytes(probe, []);
            File.Delete(probe);
        }
        catch (Exception cause) when (cause is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            throw new RefusedException($"The data folder {folder} cannot be written to: let the user that runs postern write there, or choose another folder with --data.");
        }
    }

    /// <summary>Writes a file that only this user can read, whole or not at all.</summary>
    public static void WriteSecret(string path, string text)
    {
        var fresh = $"{path}.{Environment.ProcessId}.new";
        File.Delete(fresh);
        var how = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) how.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using (var file = new FileStream(fresh, how))
        {
            file.Write(System.Text.Encoding.UTF8.GetBytes(text));
            file.Flush(flushToDisk: true);
        }
        File.Move(fresh, path, overwrite: true);
    }
}
