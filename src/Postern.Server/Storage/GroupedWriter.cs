using System.Data.Common;
using Microsoft.Data.Sqlite;
using Npgsql;
using Postern.Core.Audit;

namespace Postern.Server.Storage;

/// <summary>
/// Commits for many at once: while one group is being written, the next gathers, so that a thousand requests cost a few dozen waits
/// for the disk. A task completes when its group is committed. SQLite has one writer; PostgreSQL several, each with its connection.
/// </summary>
internal sealed class GroupedWriter : IAsyncDisposable
{
    private const int LargestGroup = 512;
    private const int FewestFinishedTogether = 8;
    private const int Attempts = 10; // against races that are lost
    private static readonly TimeSpan LongestGathering = TimeSpan.FromMilliseconds(10); // should the pool be held up

    private readonly Database database;
    private readonly object gate = new();
    private readonly Queue<IJob> waiting = new();
    private readonly Thread[] threads;
    private readonly WakeUp wake;
    private int idle;
    private bool closing;

    public GroupedWriter(Database database)
    {
        this.database = database;
        wake = new WakeUp(gate);
        threads = [.. Enumerable.Range(0, database.IsPostgres ? 4 : 1).Select(i => new Thread(Run) { IsBackground = true, Name = $"writer {i}" })];
        foreach (var thread in threads)
        {
            thread.Start();
        }
    }

    /// <summary>Runs <paramref name="work"/> inside a group's transaction and completes when that is committed.</summary>
    /// <exception cref="StorageException">
    /// Nothing of it was written; or the connection was lost while its commit was on the way, and nobody can tell. Whoever asks again
    /// may then find it done: a use may be spent without a session, never a session be opened without its use.
    /// </exception>
    /// <param name="work">What is to be done. It may be run again after a failure: it changes nothing outside of the transaction.</param>
    /// <param name="row">The shared row that it changes, if any: a group's jobs run in this order, so that no two groups wait for each other.</param>
    public Task<T> WriteAsync<T>(Func<WriteTransaction, T> work, string? row = null)
    {
        var job = new Job<T>(work, row);
        Enqueue(job);
        return job.Task;
    }

    /// <summary>As above, without a result.</summary>
    public Task WriteAsync(Action<WriteTransaction> work) => WriteAsync(transaction =>
    {
        work(transaction);
        return true;
    });

    /// <summary>Adds an audit row by itself.</summary>
    /// <exception cref="StorageException">It was not written.</exception>
    public Task RecordAsync(AuditEvent entry)
    {
        var job = new AuditJob(entry);
        Enqueue(job);
        return job.Task;
    }

    /// <summary>Writes what is waiting, then stops.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (gate)
        {
            closing = true;
            Monitor.PulseAll(gate);
        }
        await Task.Run(() => Array.ForEach(threads, thread => thread.Join()));
    }

    private void Enqueue(IJob job)
    {
        lock (gate)
        {
            if (closing)
            {
                job.Fail(new StorageException("The server is shutting down."));
                return;
            }
            waiting.Enqueue(job);
            // Whoever is woken for the first takes the next ones too.
            if (waiting.Count == 1 && idle > 0)
            {
                WakeBehindOthers();
            }
        }
    }

    // The wake-up stands in the pool's queue behind the requests that have come and the answers that are due: what they write joins
    // the group. Under load half as many commits, and threads that change half as often, carry the same writes.
    private void WakeBehindOthers() => ThreadPool.UnsafeQueueUserWorkItem(wake, preferLocal: false);

    private void Rest(TimeSpan longest)
    {
        idle++;
        Monitor.Wait(gate, longest);
        idle--;
    }

    private void Run()
    {
        WriteTransaction? transaction = null;
        var group = new List<IJob>();
        while (Take(group))
        {
            transaction = Write(transaction, group);
        }
        transaction?.Dispose();
    }

    // Whatever is thrown is the group's failure: a writer that ends with it would take the process along, and all other writes.
    private WriteTransaction? Write(WriteTransaction? kept, List<IJob> group)
    {
        var transaction = kept;
        try
        {
            transaction ??= new WriteTransaction(database.Open(Sight.All)); // the jobs are of many users
            if (group.Exists(static job => job.Row is not null))
            {
                // List.Sort keeps no order among equals, and who did not wait for one job may rely on its standing before the next.
                var sorted = group.OrderBy(static job => job.Row, StringComparer.Ordinal).ToList();
                group.Clear();
                group.AddRange(sorted);
            }
            WriteGroup(transaction, group);
            return transaction;
        }
        catch (Exception e)
        {
            // A kept connection may have died while it was idle: what was not sent to be committed is tried once more on a fresh one.
            var again = kept is { IsOpen: false, IsCommitting: false };
            transaction?.Dispose();
            if (again)
            {
                group.RemoveAll(static job => job.IsDone);
                return Write(null, group);
            }
            Finish(group, e as StorageException ?? new StorageException("The database did not commit.", e));
            return null;
        }
    }

    private bool Take(List<IJob> group)
    {
        group.Clear();
        lock (gate)
        {
            if (waiting.Count > 0 && !closing)
            {
                WakeBehindOthers();
                Rest(LongestGathering);
            }
            while (waiting.Count == 0)
            {
                if (closing)
                {
                    return false;
                }
                Rest(Timeout.InfiniteTimeSpan);
            }
            while (group.Count < LargestGroup && waiting.TryDequeue(out var job))
            {
                group.Add(job);
            }
            if (waiting.Count > 0 && idle > 0)
            {
                Monitor.Pulse(gate);
            }
            return true;
        }
    }

    // A group stands or falls together; when one job is at fault, each is tried by itself, so that the bad one fails alone.
    private static void WriteGroup(WriteTransaction transaction, List<IJob> group)
    {
        try
        {
            WriteTogether(transaction, group);
        }
        catch (Exception e) when (IsOneJobsFault(e) && transaction.IsOpen)
        {
            foreach (var job in group)
            {
                WriteAlone(transaction, job);
            }
        }
    }

    private static void WriteAlone(WriteTransaction transaction, IJob job)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                WriteTogether(transaction, [job]);
                return;
            }
            catch (Exception e) when (IsLostRace(e) && transaction.IsOpen && attempt < Attempts)
            {
                // Nothing of it was kept: it is done again.
            }
            catch (Exception e) when (IsOneJobsFault(e) && transaction.IsOpen)
            {
                Finish([job], e is JobException ? e.InnerException! : new StorageException("The database refused the change.", e));
                return;
            }
        }
    }

    // Another group held in another order what the job wants, or deleted what the job had found.
    private static bool IsLostRace(Exception e) =>
        e is PostgresException { SqlState: PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.ForeignKeyViolation };

    // Constraints, values and deadlocks; not a full disk or a lost server, which every job would meet.
    private static bool IsOneJobsFault(Exception e) => e is JobException
        || e is SqliteException { SqliteErrorCode: 19 }
        || e is PostgresException { SqlState: ['2', '2' or '3', ..] or ['4', '0', ..] };

    private static void WriteTogether(WriteTransaction transaction, List<IJob> group)
    {
        try
        {
            transaction.Begin();
            foreach (var job in group)
            {
                job.Execute(transaction);
            }
            transaction.Commit();
        }
        catch
        {
            transaction.Rollback();
            throw;
        }
        Finish(group, null);
    }

    // Never on the writer's thread, and many at a time: waking a thread of the pool for each would cost more than the commit does.
    private static void Finish(List<IJob> group, Exception? problem)
    {
        group.ForEach(static job => job.IsDone = true); // now, not when it is told: a group that is tried again leaves it out
        var together = Math.Max(FewestFinishedTogether, (group.Count + Environment.ProcessorCount - 1) / Environment.ProcessorCount);
        for (var i = 0; i < group.Count; i += together)
        {
            ThreadPool.UnsafeQueueUserWorkItem(new Finished(group.GetRange(i, Math.Min(together, group.Count - i)), problem), preferLocal: false);
        }
    }

    private sealed class WakeUp(object gate) : IThreadPoolWorkItem
    {
        public void Execute()
        {
            lock (gate) Monitor.Pulse(gate);
        }
    }

    /// <summary>A job threw something that is not the database's: its own refusal.</summary>
    private sealed class JobException(Exception inner) : Exception(inner.Message, inner);

    private sealed class Finished(List<IJob> jobs, Exception? problem) : IThreadPoolWorkItem
    {
        public void Execute()
        {
            foreach (var job in jobs)
            {
                if (problem is null)
                {
                    job.Complete();
                }
                else
                {
                    job.Fail(problem);
                }
            }
        }
    }

    /// <summary>What waits for its group. Completing or failing it runs what awaits it.</summary>
    private interface IJob
    {
        bool IsDone { get; set; }
        string? Row { get; }
        void Execute(WriteTransaction transaction);
        void Complete();
        void Fail(Exception e);
    }

    private sealed class Job<T>(Func<WriteTransaction, T> work, string? row) : TaskCompletionSource<T>, IJob
    {
        private T? result;

        public bool IsDone { get; set; }

        public string? Row => row;

        public void Execute(WriteTransaction transaction)
        {
            try
            {
                result = work(transaction);
            }
            catch (Exception e) when (e is not DbException)
            {
                throw new JobException(e);
            }
        }

        public void Complete() => TrySetResult(result!);

        public void Fail(Exception e) => TrySetException(e);
    }

    // The most frequent job of all: no closure, no result.
    private sealed class AuditJob(AuditEvent entry) : TaskCompletionSource, IJob
    {
        public bool IsDone { get; set; }

        public string? Row => null;

        public void Execute(WriteTransaction transaction) => transaction.Audit(entry);

        public void Complete() => TrySetResult();

        public void Fail(Exception e) => TrySetException(e);
    }
}
