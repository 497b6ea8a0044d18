using System.Data.Common;
using System.Text;
using System.Text.Json;
using Postern.Core.Conversations;

namespace Postern.Server.Storage;

/// <summary>
/// Seals the texts of one conversation under a key of its own, each under its name: no row, column or database file shows what was
/// said, and a text copied into another row opens nowhere.
/// </summary>
internal sealed class ConversationSeal(SecretBox secrets, Owner owner, string id)
{
    private const string Title = "title";
    private const string Initiation = "initiation";
    private const string Comment = "comment";

    // A control character can be in none of them, so that no two conversations share a name.
    private readonly SecretBox box = secrets.For($"conversation\n{owner.Project}\n{owner.Agent}\n{owner.Subject}\n{id}");

    public byte[]? SealTitle(string? text) => Seal(Title, text);

    public byte[] SealInitiation(string text) => Seal(Initiation, text)!;

    public byte[]? SealComment(string? text) => Seal(Comment, text);

    public byte[] Seal(Message message) => box.Seal("message " + message.Id,
        JsonSerializer.SerializeToUtf8Bytes(new Body(message.Parts, message.Model, message.TurnContext), JsonSerializerOptions.Strict));

    public byte[] SealVote(string messageId, VoteText text) => box.Seal("vote " + messageId, JsonSerializer.SerializeToUtf8Bytes(text, JsonSerializerOptions.Strict));

    public string? OpenTitle(DbDataReader reader, int column) => Open(Title, reader, column);

    public string OpenInitiation(DbDataReader reader, int column) => Open(Initiation, reader, column) ?? "";

    public string? OpenComment(DbDataReader reader, int column) => Open(Comment, reader, column);

    public VoteText OpenVote(string messageId, byte[] sealedText) => JsonSerializer.Deserialize<VoteText>(box.Open("vote " + messageId, sealedText), JsonSerializerOptions.Strict)!;

    /// <summary>A row of <c>id, role, from_agent, sealed, at, input_tokens, output_tokens</c>.</summary>
    public Message Open(DbDataReader reader)
    {
        var id = reader.GetString(0);
        var body = JsonSerializer.Deserialize<Body>(box.Open("message " + id, (byte[])reader.GetValue(3)), JsonSerializerOptions.Strict)!;
        return new Message(id, reader.GetString(1) == "user" ? TurnRole.User : TurnRole.Agent, body.Parts, reader.Time(4))
        {
            FromAgent = reader.GetInt32(2) != 0, Model = body.Model, TurnContext = body.TurnContext, InputTokens = reader.Number(5), OutputTokens = reader.Number(6),
        };
    }

    private byte[]? Seal(string name, string? text) => text is null ? null : box.Seal(name, Encoding.UTF8.GetBytes(text));

    private string? Open(string name, DbDataReader reader, int column) =>
        reader.IsDBNull(column) ? null : Encoding.UTF8.GetString(box.Open(name, (byte[])reader.GetValue(column)));

    private sealed record Body(string Parts, string? Model, IReadOnlyDictionary<string, string>? TurnContext);
}
