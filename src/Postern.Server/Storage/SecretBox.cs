using System.Security.Cryptography;
using System.Text;
using Postern.Core;

namespace Postern.Server.Storage;

/// <summary>
/// Seals secrets that must be read again (signing keys, upstream headers) with AES-256-GCM under a key that is not in the database.
/// What is sealed for one name opens under no other.
/// </summary>
internal sealed class SecretBox(byte[] key)
{
    private const int NonceLength = 12;
    private const int TagLength = 16;
    private const byte Version = 1;

    // To make one costs more than to seal a short text with it, and none may be used by two threads at once.
    [ThreadStatic]
    private static (SecretBox Box, AesGcm Cipher)? kept;

    /// <summary>The key's length in bytes.</summary>
    public const int KeyLength = 32;

    /// <summary>
    /// The box of one thing among very many, under a key that only this name leads to: nonces drawn at random must not meet, and of
    /// one key's they would after some billions of texts (SP 800-38D, 8.3).
    /// </summary>
    public SecretBox For(string name) => new(KeyFor(name));

    /// <summary>A key that only this name leads to.</summary>
    public byte[] KeyFor(string name) => HKDF.DeriveKey(HashAlgorithmName.SHA256, key, KeyLength, info: Encoding.UTF8.GetBytes(name));

    /// <summary>Version, nonce, tag, ciphertext.</summary>
    public byte[] Seal(string name, ReadOnlySpan<byte> secret)
    {
        var box = new byte[1 + NonceLength + TagLength + secret.Length];
        box[0] = Version;
        var nonce = box.AsSpan(1, NonceLength);
        RandomText.Bytes(nonce);
        Cipher().Encrypt(nonce, secret, box.AsSpan(1 + NonceLength + TagLength), box.AsSpan(1 + NonceLength, TagLength), Encoding.UTF8.GetBytes(name));
        return box;
    }

    /// <summary>The secret.</summary>
    /// <exception cref="StorageException">Another key or another name sealed it, or it was changed.</exception>
    public byte[] Open(string name, byte[] box)
    {
        var secret = new byte[Math.Max(0, box.Length - 1 - NonceLength - TagLength)];
        try
        {
            if (box.Length == 0 || box[0] != Version)
            {
                throw new CryptographicException("Another version sealed it.");
            }
            Cipher().Decrypt(box.AsSpan(1, NonceLength), box.AsSpan(1 + NonceLength + TagLength), box.AsSpan(1 + NonceLength, TagLength), secret, Encoding.UTF8.GetBytes(name));
            return secret;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new StorageException($"The stored secret '{name}' does not open with the key in Secrets:Key: restore the key file that belongs to this database.", e);
        }
    }

    private AesGcm Cipher()
    {
        if (kept is not var (box, cipher) || box != this)
        {
            kept?.Cipher.Dispose();
            kept = (this, cipher = new AesGcm(key, TagLength));
        }
        return cipher;
    }

    /// <summary>The key in <paramref name="file"/>, made at the first start with mode 600.</summary>
    public static SecretBox FromFile(string file)
    {
        try
        {
            if (!File.Exists(file))
            {
                Create(file);
            }
            var key = File.ReadAllBytes(file);
            return key.Length == KeyLength ? new SecretBox(key) : throw new StorageException($"{file} does not hold {KeyLength} bytes: restore the key file that belongs to this database.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"The key file {file} cannot be used: {e.Message}", e);
        }
    }

    // Written beside and moved into place: a start that is killed meanwhile leaves no half key that nobody can mend. Of two starts at
    // once the first one's key stays: moving would replace it (the check before is not atomic), so only one of them makes a key at all.
    private static void Create(string file)
    {
        using var turn = Wait(file + ".lock");
        if (File.Exists(file))
        {
            return;
        }
        var made = $"{file}.{RandomNumberGenerator.GetHexString(16)}";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }
        using (var stream = new FileStream(made, options))
        {
            stream.Write(RandomNumberGenerator.GetBytes(KeyLength));
            stream.Flush(flushToDisk: true);
        }
        File.Move(made, file);
    }

    private static FileStream Wait(string file)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
            }
            catch (IOException) when (attempt < 500)
            {
                Thread.Sleep(10);
            }
        }
    }
}
