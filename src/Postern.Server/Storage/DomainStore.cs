using System.Data.Common;
using Postern.Core;
using Postern.Core.Agents;
using Postern.Core.Audit;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>A domain whose pages may ask an agent for completions.</summary>
internal sealed record DomainRow(string Id, AgentId Agent, string Domain, DateTimeOffset CreatedAt);

/// <summary>Approved domains in SQL. A change of them is a change of their agent.</summary>
internal sealed class DomainStore(Database database, GroupedWriter writer, TimeProvider clock)
{
    private const string Columns = "id, agent_id, domain, created_at";

    /// <summary>All of an agent.</summary>
    public List<DomainRow> List(AgentId agent) => database.Query($"select {Columns} from agent_domain where agent_id = $1 order by created_at, domain", Row, agent.Value);

    /// <summary>Adds domains; one that is there stays as it is. The rows of all of them, or null when there would be more than <paramref name="most"/>.</summary>
    public Task<List<DomainRow>?> AddAsync(ProjectId project, AgentId agent, string? keyId, IReadOnlyList<string> domains, int most) => writer.WriteAsync(transaction =>
    {
        transaction.LockDirectory();
        var now = clock.GetUtcNow();
        var present = transaction.Texts("select domain from agent_domain where agent_id = $1", agent.Value).ToHashSet(StringComparer.Ordinal);
        var added = domains.Where(present.Add).ToList();
        if (present.Count > most)
        {
            return null;
        }
        foreach (var domain in added)
        {
            transaction.Execute("insert into agent_domain (id, agent_id, domain, created_at) values ($1, $2, $3, $4)",
                "domain_" + RandomText.Base62(RandomText.IdLength), agent.Value, domain, now.ToUnixTimeMilliseconds());
        }
        if (added.Count > 0)
        {
            Note(transaction, project, agent, keyId, "approved domains added: " + string.Join(' ', added.Take(10)), now);
        }
        return domains.Select(domain => transaction.Read($"select {Columns} from agent_domain where agent_id = $1 and domain = $2", Row, agent.Value, domain)!).ToList();
    });

    /// <summary>Takes domains away; false when none of them was there.</summary>
    public Task<bool> RemoveAsync(ProjectId project, AgentId agent, string? keyId, IReadOnlyList<string> ids) => writer.WriteAsync(transaction =>
    {
        transaction.LockDirectory();
        var removed = ids.Sum(id => transaction.Execute("delete from agent_domain where id = $1 and agent_id = $2", id, agent.Value));
        if (removed > 0)
        {
            Note(transaction, project, agent, keyId, $"approved domains removed: {removed}", clock.GetUtcNow());
        }
        return removed > 0;
    });

    private static DomainRow Row(DbDataReader reader) => new(reader.GetString(0), new AgentId(reader.GetString(1)), reader.GetString(2), reader.Time(3));

    private static void Note(WriteTransaction transaction, ProjectId project, AgentId agent, string? keyId, string detail, DateTimeOffset now)
    {
        transaction.Changed("agent", agent.Value);
        transaction.Audit(new AuditEvent(now, AuditNames.AgentChanged) { Project = project, Agent = agent, Key = keyId, Detail = detail });
    }
}
