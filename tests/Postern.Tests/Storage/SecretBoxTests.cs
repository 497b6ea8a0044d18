using System.Security.Cryptography;
using Postern.Server.Storage;

namespace Postern.Tests.Storage;

public sealed class SecretBoxTests
{
    private static readonly SecretBox Box = new(Node.SecretsKey);

    [Fact]
    public void Sealed_SameKeyAndName_Opens()
    {
        Assert.Equal("secret"u8.ToArray(), Box.Open("a", Box.Seal("a", "secret"u8)));
        Assert.Empty(Box.Open("a", Box.Seal("a", [])));
        Assert.NotEqual(Convert.ToHexString(Box.Seal("a", "secret"u8)), Convert.ToHexString(Box.Seal("a", "secret"u8)));
    }

    [Fact]
    public void Sealed_OtherKeyOrName_IsRefused()
    {
        var sealed1 = Box.Seal("a", "secret"u8);

        Assert.Throws<StorageException>(() => Box.Open("b", sealed1));
        var refused = Assert.Throws<StorageException>(() => new SecretBox(RandomNumberGenerator.GetBytes(32)).Open("a", sealed1));
        Assert.Contains("restore the key file", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Sealed_AnyBitChangedOrCut_IsRefused()
    {
        var box = Box.Seal("a", "secret"u8);
        for (var bit = 0; bit < box.Length * 8; bit++)
        {
            var changed = box.ToArray();
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Throws<StorageException>(() => Box.Open("a", changed));
        }
        for (var length = 0; length < box.Length; length++)
        {
            Assert.Throws<StorageException>(() => Box.Open("a", box[..length]));
        }
    }

    [Fact]
    public async Task File_FirstStart_IsMadeOnceForTheOwnerAlone()
    {
        var folder = System.IO.Directory.CreateTempSubdirectory("postern-key-").FullName;
        try
        {
            var file = Path.Combine(folder, "secrets.key");

            // Several processes at once: whoever is first makes it, all use that one.
            var boxes = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => SecretBox.FromFile(file))));

            Assert.All(boxes, box => Assert.Equal("x"u8.ToArray(), box.Open("n", boxes[0].Seal("n", "x"u8))));
            Assert.Equal(SecretBox.KeyLength, File.ReadAllBytes(file).Length);
            Assert.Single(System.IO.Directory.GetFiles(folder));
            if (!OperatingSystem.IsWindows())
            {
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
            }
            File.WriteAllBytes(file, new byte[31]);
            Assert.Contains("32 bytes", Assert.Throws<StorageException>(() => SecretBox.FromFile(file)).Message, StringComparison.Ordinal);
            Assert.Throws<StorageException>(() => SecretBox.FromFile(Path.Combine(folder, "absent", "x")));
        }
        finally
        {
            System.IO.Directory.Delete(folder, recursive: true);
        }
    }
}
