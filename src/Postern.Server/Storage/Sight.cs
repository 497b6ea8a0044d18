using Postern.Core.Conversations;
using Postern.Core.Projects;

namespace Postern.Server.Storage;

/// <summary>
/// Whose conversations and memories a connection sees: nobody's unless it says so. PostgreSQL itself holds back all others (migration 0010),
/// so that a condition which a query has forgotten shows nothing. SQLite does not: every query has its condition all the same.
/// </summary>
internal readonly record struct Sight
{
    /// <summary>Everybody's, of every project: for what Postern does by itself.</summary>
    public static readonly Sight All = new("*");

    private readonly string? text;

    private Sight(string text) => this.text = text;

    /// <summary>As the policies read it: empty, *, a project, or a project, a space and a subject. A project's id has no space.</summary>
    public string Text => text ?? "";

    /// <summary>Everybody's in the project.</summary>
    public static Sight OfProject(ProjectId project) => new(project.Value);

    /// <summary>This user's in the project; an empty subject is nobody in particular.</summary>
    public static Sight Of(ProjectId project, string subject) => new($"{project} {subject}");

    /// <summary>This end user's, with whatever agent.</summary>
    public static Sight Of(Owner owner) => Of(owner.Project, owner.Subject);
}
