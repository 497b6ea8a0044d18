using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Keys;
using Postern.Core.Projects;
using Postern.Server.Agents;

namespace Postern.Server.Storage;

/// <summary>
/// Keeps the directory in memory equal to the database: everything once, then the numbered changes, whichever process wrote them.
/// A change made here is seen before it is answered, one made elsewhere within <see cref="Interval"/>.
/// </summary>
internal sealed class DirectoryFeed(Database database, AgentStore agents, KeyStore keys, CredentialStore credentials, UserTokenKeyStore userTokenKeys, PosternOptions options, TimeProvider clock) : IAsyncDisposable
{
    /// <summary>How often changes of other processes are looked for.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    private readonly SemaphoreSlim catchingUp = new(1, 1);
    private readonly CancellationTokenSource stopping = new();
    private Core.Directory? directory;
    private Task polling = Task.CompletedTask;
    private long seen;

    /// <summary>Called with each change, after the directory shows it.</summary>
    public event Action<string, string>? Changed;

    /// <summary>When the directory was last known to equal the database.</summary>
    public DateTimeOffset FreshAt { get; private set; }

    /// <summary>Reads everything.</summary>
    public Core.Directory Load(KeyRing ring)
    {
        seen = ReadSeen();
        directory = new Core.Directory(ring);
        foreach (var key in keys.ReadApiKeys())
        {
            directory.Put(key);
        }
        foreach (var (id, until) in credentials.ReadRevocations(clock.GetUtcNow()))
        {
            directory.Revoke(id, until);
        }
        foreach (var row in userTokenKeys.ReadAll())
        {
            directory.Put(row.Key);
        }
        foreach (var (project, subject, at) in userTokenKeys.ReadCutOffs())
        {
            directory.CutOff(project, subject, at);
        }
        foreach (var row in agents.ReadAll())
        {
            Put(row);
        }
        PutProjects();
        FreshAt = clock.GetUtcNow();
        return directory;
    }

    /// <summary>Begins to look for changes of other processes.</summary>
    public void Start() => polling = Task.Run(PollAsync);

    /// <summary>Applies every change that is committed by now.</summary>
    public async Task CatchUpAsync()
    {
        await catchingUp.WaitAsync();
        try
        {
            var asked = clock.GetUtcNow();
            var changes = ReadChanges();
            if (changes is [var first, ..] && first.Seq != seen + 1)
            {
                ApplyAll(); // this node was away for longer than changes are kept: what is missing could be a revocation
            }
            foreach (var (seq, kind, id) in changes)
            {
                Apply(kind, id);
                seen = seq;
                Changed?.Invoke(kind, id);
            }
            FreshAt = asked;
        }
        finally
        {
            catchingUp.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await polling;
        stopping.Dispose();
        catchingUp.Dispose();
    }

    private async Task PollAsync()
    {
        using var timer = new PeriodicTimer(Interval);
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                await timer.WaitForNextTickAsync(stopping.Token);
                await CatchUpAsync();
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception)
            {
                // Whatever it was, revocations must go on arriving. FreshAt tells how old the view is; readiness and the gate go by it.
            }
        }
    }

    private void ApplyAll()
    {
        var now = clock.GetUtcNow();
        var all = new List<(string Kind, string Id)> { ("signing_key", ""), (ProjectDefaults.Change, "") };
        all.AddRange(keys.ReadApiKeys().Select(key => ("key", key.Id)));
        all.AddRange(directory!.Agents.Concat(agents.ReadAll().Select(row => row.Id)).Distinct().Select(id => ("agent", id.Value)));
        all.AddRange(directory.UserTokenKeys.Concat(userTokenKeys.ReadAll().Select(row => row.Id)).Distinct().Select(id => (UserTokenKeyStore.KeyChange, id)));
        all.AddRange(userTokenKeys.ReadCutOffs().Select(cut => (UserTokenKeyStore.CutOffChange, $"{cut.Project}\n{cut.Subject}")));
        all.AddRange(credentials.ReadRevocations(now).Select(revoked => ("revocation", revoked.Id.Value)));
        foreach (var (kind, id) in all)
        {
            Apply(kind, id);
            Changed?.Invoke(kind, id);
        }
    }

    private void Apply(string kind, string id)
    {
        switch (kind)
        {
            case "agent" when agents.Read(new AgentId(id)) is { } row:
                Put(row);
                break;
            case "agent":
                directory!.Remove(new AgentId(id));
                break;
            case "key":
                keys.ReadApiKeys(id).ForEach(directory!.Put);
                break;
            case "revocation":
                credentials.ReadRevocations(clock.GetUtcNow(), id).ForEach(revoked => directory!.Revoke(revoked.Id, revoked.Until));
                directory!.ForgetExpired(clock.GetUtcNow());
                break;
            case UserTokenKeyStore.KeyChange when userTokenKeys.ReadAll(id) is [var row]:
                directory!.Put(row.Key);
                break;
            case UserTokenKeyStore.KeyChange:
                directory!.RemoveUserTokenKey(id);
                break;
            case UserTokenKeyStore.CutOffChange when userTokenKeys.ReadCutOffs(id) is [var (project, subject, at)]:
                directory!.CutOff(project, subject, at);
                break;
            case UserTokenKeyStore.CutOffChange:
                directory!.CutOff(new ProjectId(id[..id.IndexOf('\n', StringComparison.Ordinal)]), id[(id.IndexOf('\n', StringComparison.Ordinal) + 1)..], null);
                break;
            case ProjectDefaults.Change:
                PutProjects();
                break;
            case "signing_key" when keys.ReadRing() is { } ring:
                directory!.Ring = ring;
                break;
        }
    }

    private void PutProjects()
    {
        foreach (var (project, defaults) in agents.ReadDefaults())
        {
            directory!.LockSessions(project, defaults.LockSession ?? options.Realtime.LockSession);
        }
    }

    // An agent whose document cannot be read is no agent: the old one must not go on, nor keep the others' changes from arriving.
    private void Put(AgentRow row)
    {
        try
        {
            directory!.Put(AgentDocument.Read(row, options));
        }
        catch (Exception e) when (StrictJson.IsBadInput(e))
        {
            directory!.Remove(row.Id);
        }
    }

    private long ReadSeen()
    {
        using var connection = database.Open();
        using var command = Database.Command(connection, "select value from counter where name = 'change'");
        return Convert.ToInt64(command.ExecuteScalar(), System.Globalization.CultureInfo.InvariantCulture);
    }

    private List<(long Seq, string Kind, string Id)> ReadChanges()
    {
        using var connection = database.Open();
        using var command = Database.Command(connection, "select seq, kind, id from change where seq > $1 order by seq", seen);
        using var reader = command.ExecuteReader();
        var changes = new List<(long, string, string)>();
        while (reader.Read())
        {
            changes.Add((reader.GetInt64(0), reader.GetString(1), reader.GetString(2)));
        }
        return changes;
    }
}
