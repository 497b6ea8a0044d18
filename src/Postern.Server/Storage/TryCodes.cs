using System.Security.Cryptography;
using System.Text;
using Postern.Core;
using Postern.Core.Audit;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>The one-time codes that open the page on which Postern is tried. Only their hashes are kept.</summary>
internal sealed class TryCodes(Database database, GroupedWriter writer, TimeProvider clock)
{
    /// <summary>How long after its making a code can be used.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(24);

    private static readonly TimeSpan Kept = TimeSpan.FromDays(7);

    /// <summary>A new code of 256 random bits, which is not to be had again; those long expired are forgotten.</summary>
    public async Task<string> CreateAsync()
    {
        var code = RandomText.Base62(RandomText.SecretLength);
        var now = clock.GetUtcNow();
        await writer.WriteAsync(transaction =>
        {
            transaction.Execute("delete from try_code where expires_at < $1", (now - Kept).ToUnixTimeMilliseconds());
            transaction.Execute("insert into try_code (hash, created_at, expires_at) values ($1, $2, $3)",
                Hash(code), now.ToUnixTimeMilliseconds(), (now + Lifetime).ToUnixTimeMilliseconds());
        });
        return code;
    }

    /// <summary>
    /// Spends a code and records the key that its holder mints with, in one transaction; null when it was spent. CredentialMalformed,
    /// CredentialUnknown, Expired or AlreadyUsed otherwise.
    /// </summary>
    public async Task<DenialReason?> RedeemAsync(string code, ApiKey key, string? address)
    {
        if (code.Length != RandomText.SecretLength || !code.All(char.IsAsciiLetterOrDigit))
        {
            return DenialReason.CredentialMalformed;
        }
        var hash = Hash(code);
        if (!IsKnown(hash))
        {
            return DenialReason.CredentialUnknown; // a guess costs a read: it does not queue behind those who write
        }
        var now = clock.GetUtcNow();
        var at = now.ToUnixTimeMilliseconds();
        return await writer.WriteAsync(transaction =>
        {
            if (transaction.Execute("update try_code set used_at = $1 where hash = $2 and used_at is null and expires_at > $1", at, hash) == 1)
            {
                transaction.Audit(new AuditEvent(now, AuditNames.KeyCreated)
                {
                    Project = key.Project, Key = key.Id, Address = address, Detail = "mint; for the page to try it on, kept in memory",
                });
                return (DenialReason?)null;
            }
            return transaction.Scalar("select case when used_at is null then 'expired' else 'used' end from try_code where hash = $1", hash) switch
            {
                "used" => DenialReason.AlreadyUsed,
                "expired" => DenialReason.Expired,
                _ => DenialReason.CredentialUnknown,
            };
        });
    }

    private bool IsKnown(byte[] hash)
    {
        using var connection = database.Open();
        using var command = Database.Command(connection, "select 1 from try_code where hash = $1", hash);
        return command.ExecuteScalar() is not null;
    }

    private static byte[] Hash(string code) => SHA256.HashData(Encoding.ASCII.GetBytes(code));
}
